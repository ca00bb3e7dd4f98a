import { rolesFor } from '../../clients/kubernetes/role.ts';
import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Context } from '../../core/context.ts';
import { resolveOptions } from '../../core/options/resolve-options.ts';
import { printed, UsageError, type Outcome } from '../../core/outcome.ts';
import type { Plan } from './plan.ts';

/**
 * Prints what all steps together need of the cluster, also those that a `when` may leave out: one pair of a Role and its
 * binding for each namespace.
 * @throws UsageError where no step needs any
 */
export async function printRolesOfPlan(
  plan: Plan,
  account: string | undefined,
  context: Context,
): Promise<Outcome> {
  const needed: ClusterRights[] = [];
  for (const { work } of plan.steps) {
    if (work.kind !== 'own') continue;
    const { command, input } = work;
    const found = await command.rights?.(
      {
        options: resolveOptions(command.options, new Map(input.options), {}, context.redactor, () => ''),
        positionals: command.positionals?.parse(input.positionals, (value: string) => {
          context.redactor.secret(value);
        }),
        command: input.words,
        limited: input.limited,
        inPlan: true,
      },
      context,
    );
    if (found === undefined) continue;
    if ('kind' in found) return found;
    needed.push(...found);
  }
  if (needed.length === 0)
    throw new UsageError(
      '--print-role: no step of the plan waits for an object of the cluster, or reads one',
    );
  context.stdout(rolesFor(needed, account));
  return printed('printed the Roles');
}
