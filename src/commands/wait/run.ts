import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Values } from '../../core/options/option.ts';
import type { ReadSecret } from '../../core/options/resolve-options.ts';
import { printed, UsageError, type Failed, type Outcome } from '../../core/outcome.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { bounded, paced } from '../../wait/attempt-timeout.ts';
import { inverted, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { targetFields, waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import type { AnyKind, OpenTarget } from './kind.ts';
import { kinds } from './kinds/index.ts';
import type { waitCommandOptions } from './options.ts';
import { readTarget, type TargetWithOptions } from './read-target.ts';
import { rightsOfTargets } from './rights.ts';
import type { RecognisedTarget } from './target.ts';

/** Milliseconds for one attempt of those that are counted, where nothing else limits it. */
const countedLimit = 5000;

type WaitInput = Input<typeof waitCommandOptions, readonly RecognisedTarget[]>;

/** Waits for all targets at once, each by its own kind. */
export async function runWait(
  { options, positionals: given, inPlan = false }: WaitInput,
  context: Context,
): Promise<Outcome> {
  if (options.validate) {
    const found = await readTargets(given, options, { ...context, inPlan }, undefined);
    context.stdout(`${JSON.stringify({ targets: found.map(shown) }, undefined, 2)}\n`);
    return printed(`${found.length} target${found.length === 1 ? '' : 's'} can be waited for`);
  }
  if (options['print-role'])
    return printRoles(options, await rightsOfWait({ options, positionals: given, inPlan }, context), context);
  const read = await readTargets(given, options, { ...context, inPlan }, readSecretFile);
  await using opened = new AsyncDisposableStack();
  const targets: Target[] = [];
  for (const one of read) {
    const target = await one.spelling.opened(context, (around) => one.target.open(around));
    if (isDisposable(target)) opened.use(target);
    targets.push(withItsPlan(target, one, options, read.length, context));
  }
  const report = await waitFor(targets, waitPlanOf(everyOther(options), targets.length), context);
  if (context.log.format === 'json')
    context.log.info('what each target came to', { targets: report.targets.map(targetFields) });
  return waitOutcome(report);
}

async function printRoles(
  { account }: Pick<WaitInput['options'], 'account'>,
  needed: readonly ClusterRights[] | Failed,
  context: Context,
): Promise<Outcome> {
  if ('kind' in needed) return needed;
  if (needed.length === 0)
    throw new UsageError('--print-role is for targets kubernetes:KIND/NAME, and there is none');
  const { rolesFor } = await import('../../clients/kubernetes/role.ts');
  context.stdout(rolesFor(needed, account));
  return printed('printed the Roles');
}

/** What the targets need of API servers. @throws UsageError */
export async function rightsOfWait(
  { options, positionals: given, inPlan = false }: Pick<WaitInput, 'options' | 'positionals' | 'inPlan'>,
  context: Context,
): Promise<readonly ClusterRights[] | Failed> {
  return rightsOfTargets(await readTargets(given, options, { ...context, inPlan }, undefined), context);
}

/** One target for --validate, without a secret; times in milliseconds. */
function shown({ kind, target, options, limit }: TargetWithOptions): object {
  return {
    kind,
    target: target.name,
    ...options,
    'attempt-timeout': limit,
  };
}

/**
 * Checks all that can be told without a file or a server.
 * @throws UsageError, as runWait does for the same
 */
export async function checkWait(
  { options, positionals: given, inPlan = false }: WaitInput,
  around: Surroundings,
): Promise<void> {
  await readTargets(given, options, { ...around, inPlan }, undefined);
}

/** @throws UsageError with a line for each mistake */
async function readTargets(
  given: readonly RecognisedTarget[],
  options: Values<typeof waitCommandOptions>,
  context: Surroundings & { readonly inPlan: boolean },
  readSecret: ReadSecret | undefined,
): Promise<readonly TargetWithOptions[]> {
  const loaded = new Map<string, Promise<AnyKind>>();
  const kindNamed = (name: string): Promise<AnyKind> => {
    const kind = loaded.get(name) ?? (kinds[name] as (typeof kinds)[string]).load();
    loaded.set(name, kind);
    return kind;
  };
  const results = await Promise.allSettled(
    given.map(async (one) => readTarget(one, await kindNamed(one.kind), options, context, readSecret)),
  );
  const wrong: string[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    if (!(result.reason instanceof UsageError)) throw result.reason;
    wrong.push(...result.reason.lines);
  }
  if (wrong.length > 0) throw new UsageError(wrong);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

function withItsPlan(
  target: OpenTarget,
  { target: { serial }, options, limit: said }: TargetWithOptions,
  { any }: Pick<Values<typeof waitCommandOptions>, 'any'>,
  targets: number,
  { clock }: Pick<Context, 'clock'>,
): Target {
  const plan = waitPlanOf({ ...options, interval: options.interval ?? serial?.interval, any }, targets);
  // Attempts that are counted must end, also where no newer one takes the place of one that hangs.
  const limit = said ?? (plan.maxAttempts === undefined ? undefined : countedLimit);
  const limited = limit === undefined ? target : bounded(target, limit, clock);
  return {
    ...(options.invert ? inverted(limited) : limited),
    plan: limit === undefined ? plan : paced(plan, serial === undefined ? limit : 0),
  };
}

/** Each target has its own plan, in which it is turned around or not. */
function everyOther(options: Values<typeof waitCommandOptions>): Values<typeof waitCommandOptions> {
  return { ...options, invert: false };
}

function isDisposable(target: OpenTarget): target is OpenTarget & (Disposable | AsyncDisposable) {
  return (target[Symbol.dispose] ?? target[Symbol.asyncDispose]) !== undefined;
}
