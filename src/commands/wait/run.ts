import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Values } from '../../core/options/option.ts';
import type { ReadSecret } from '../../core/options/resolve-options.ts';
import { UsageError, type Outcome } from '../../core/outcome.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { bounded, paced } from '../../wait/attempt-timeout.ts';
import { inverted, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import type { AnyKind, OpenTarget } from './kind.ts';
import { kinds } from './kinds/index.ts';
import type { waitCommandOptions } from './options.ts';
import { readTarget, type TargetWithOptions } from './read-target.ts';
import type { RecognisedTarget } from './target.ts';

type WaitInput = Input<typeof waitCommandOptions, readonly RecognisedTarget[]>;

/** Waits for all targets at once, each by its own kind. */
export async function runWait(
  { options, positionals: given }: WaitInput,
  context: Context,
): Promise<Outcome> {
  const read = await readTargets(given, options, context, readSecretFile);
  using opened = new DisposableStack();
  const targets: Target[] = [];
  for (const one of read) {
    const target = await one.target.open(context);
    if (isDisposable(target)) opened.use(target);
    targets.push(withItsPlan(target, one, options, read.length, context));
  }
  return waitOutcome(await waitFor(targets, waitPlanOf(everyOther(options), targets.length), context));
}

/**
 * Checks all that can be told without a file or a server.
 * @throws UsageError, as runWait does for the same
 */
export async function checkWait(
  { options, positionals: given }: WaitInput,
  around: Surroundings,
): Promise<void> {
  await readTargets(given, options, around, undefined);
}

/** @throws UsageError with a line for each mistake */
async function readTargets(
  given: readonly RecognisedTarget[],
  options: Values<typeof waitCommandOptions>,
  context: Surroundings,
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
  { options, limit }: TargetWithOptions,
  { any }: Pick<Values<typeof waitCommandOptions>, 'any'>,
  targets: number,
  { clock }: Pick<Context, 'clock'>,
): Target {
  const plan = waitPlanOf({ ...options, any }, targets);
  const limited = limit === undefined ? target : bounded(target, limit, clock);
  return {
    ...(options.invert ? inverted(limited) : limited),
    plan: limit === undefined ? plan : paced(plan, limit),
  };
}

/** Each target has its own plan, in which it is turned around or not. */
function everyOther(options: Values<typeof waitCommandOptions>): Values<typeof waitCommandOptions> {
  return { ...options, invert: false };
}

function isDisposable(target: OpenTarget): target is OpenTarget & Disposable {
  return target[Symbol.dispose] !== undefined;
}
