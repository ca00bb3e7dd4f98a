import { rolesFor, type NeededRight } from '../../clients/kubernetes/role.ts';
import type { Context } from '../../core/context.ts';
import { printed, UsageError, type Outcome } from '../../core/outcome.ts';
import { subjectOf } from '../wait-kubernetes/run.ts';
import type { TargetWithOptions } from './read-target.ts';

/**
 * Prints the Roles and RoleBindings that all targets together need: one pair for each namespace.
 * @throws UsageError where none of them needs any
 */
export async function printRolesOf(
  targets: readonly TargetWithOptions[],
  account: string | undefined,
  context: Context,
): Promise<Outcome> {
  const rights: NeededRight[] = [];
  const namespaces = new Set<string>();
  for (const { target } of targets) {
    const needed = await target.rights?.(context);
    if (needed === undefined) continue;
    if ('kind' in needed) return needed;
    rights.push(...needed.rights);
    namespaces.add(needed.namespace);
  }
  if (rights.length === 0)
    throw new UsageError('--print-role is for targets kubernetes:KIND/NAME, and there is none');
  const [own = 'default', ...others] = namespaces;
  if (others.length > 0 && !account?.includes('/'))
    throw new UsageError(
      `--print-role: the targets are in several namespaces (${[...namespaces].join(', ')}), so that nobody knows where the pod is; say who gets the Role: --account NAMESPACE/NAME`,
    );
  context.stdout(rolesFor(rights, subjectOf(account, own)));
  return printed('printed the Roles');
}
