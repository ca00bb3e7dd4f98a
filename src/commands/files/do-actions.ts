import type { Context } from '../../core/context.ts';
import { formatDuration } from '../../core/duration.ts';
import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import {
  DeadlinePassed,
  done,
  everyOne,
  type Failed,
  Failure,
  failed,
  firstFailure,
  type Outcome,
  SignalReceived,
  UsageError,
} from '../../core/outcome.ts';
import { ExchangedInPath, LinkInPath } from '../../fs/directory/pinned-path.ts';
import { explained } from '../../fs/error-message.ts';
import { counted, grouped, problemLines } from '../../fs/tree/tally.ts';
import { type Action, shownAction } from './action.ts';
import type { Change, Way } from './change.ts';
import { makeFolders, makeLink, touch } from './make.ts';
import { setMode } from './mode.ts';
import { move } from './move.ts';
import { DoesNotFit } from './place.ts';
import { emptyRemovalTally, remove, type RemovalTally } from './remove.ts';

type Settings = Pick<Way, 'ifExists' | 'script'>;

/** What would become of an action, for --dry-run. */
interface Looked {
  readonly action: string;
  readonly change: Change | 'removed' | 'not possible';
  /** Of a removal. */
  readonly entries?: number;
  readonly why?: string;
}

/** Milliseconds between two lines about a long removal. */
const progressEvery = 5000;

/** Actions of one kind that a summary names; more are counted. */
const named = 5;

/**
 * Looks at all places, so that a wrong one is told before anything is done. What an earlier action would make is not
 * there yet: what does not fit is no mistake here.
 * @throws UsageError with each mistake
 */
export async function lookAtActions(
  actions: readonly Action[],
  settings: Settings,
  count: boolean,
  context: Context,
): Promise<readonly Looked[] | Failed> {
  const results: Looked[] = [];
  const mistakes: UsageError[] = [];
  for (const action of actions) {
    try {
      results.push(await look(action, settings, count, context));
    } catch (error) {
      if (error instanceof DoesNotFit)
        results.push({ action: shownAction(action), change: 'not possible', why: error.message });
      else if (error instanceof UsageError) mistakes.push(error);
      else return endedEarly(action, error, results.length, [], []);
    }
  }
  everyOne(mistakes, (mistake) => {
    throw mistake;
  });
  return results;
}

async function look(action: Action, settings: Settings, count: boolean, context: Context): Promise<Looked> {
  const shown = shownAction(action);
  if (action.kind !== 'remove')
    return { action: shown, change: await perform(action, { ...settings, apply: false }, context) };
  const tally = emptyRemovalTally();
  await remove(action.entries, action.path, count ? 'count' : 'look', tally, context);
  if (!count) return { action: shown, change: 'removed' };
  return { action: shown, change: tally.removed > 0 ? 'removed' : 'right', entries: tally.removed };
}

/** Does each action; the first that fails ends it. */
export async function doActions(
  actions: readonly Action[],
  settings: Settings,
  context: Context,
): Promise<Outcome> {
  const { clock, log } = context;
  const startedAt = clock.now();
  const changed: string[] = [];
  let right = 0;
  for (const [index, action] of actions.entries()) {
    const rest = actions.slice(index + 1);
    const tally = emptyRemovalTally();
    try {
      const change =
        action.kind === 'remove'
          ? await removeWithProgress(action, tally, context)
          : await perform(action, { ...settings, apply: true }, context);
      if (change === 'left out')
        log.info(`${shownAction(action)} is left out: it does not exist (--if-exists)`);
      else if (change === 'right') right++;
      else changed.push(change === 'removed' ? removedText(action, tally) : `${change} ${shownPath(action)}`);
      if (tally.errors > 0) return incomplete(action, tally, changed, rest);
    } catch (error) {
      if (tally.removed > 0) changed.push(removedText(action, tally));
      return endedEarly(action, error, index, changed, rest);
    }
  }
  const elapsed = formatDuration(clock.now() - startedAt);
  const already = right === 0 ? [] : [`${grouped(right)} right already`];
  if (changed.length === 0) return done(`${['nothing was changed', ...already].join(': ')}, in ${elapsed}`);
  return done(`${[...told(changed), ...already].join(', ')}, in ${elapsed}`);
}

async function perform(
  action: Exclude<Action, { kind: 'remove' }>,
  way: Way,
  { signal }: Pick<Context, 'signal'>,
): Promise<Change> {
  signal.throwIfAborted();
  switch (action.kind) {
    case 'mkdir':
      return makeFolders(action.path, way);
    case 'touch':
      return touch(action.path, way);
    case 'link':
      return makeLink(action.path, action.target, way);
    case 'move':
      return move(action.from, action.path, way);
    case 'mode':
      return await setMode(action.entries, action.mode, action.path, way, signal);
    default:
      return action satisfies never;
  }
}

async function removeWithProgress(
  { entries, path }: Extract<Action, { kind: 'remove' }>,
  tally: RemovalTally,
  context: Context,
): Promise<'removed' | 'right'> {
  const { clock, log } = context;
  const startedAt = clock.now();
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(progressEvery, () => {
      log.info(
        `${path}: ${counted(tally.removed, 'entry', 'entries')} removed so far in ${formatDuration(clock.now() - startedAt)}`,
      );
      arm();
    });
  };
  arm();
  try {
    await remove(entries, path, 'remove', tally, context);
  } finally {
    cancel();
  }
  return tally.removed > 0 ? 'removed' : 'right';
}

function removedText(action: Action, { removed }: RemovalTally): string {
  const entries = removed === 1 ? '' : ` (${counted(removed, 'entry', 'entries')})`;
  return `removed ${action.path}${entries}`;
}

function shownPath(action: Action): string {
  if (action.kind === 'move') return `${action.from} to ${action.path}`;
  if (action.kind === 'mode') return `the mode of ${action.path} to ${action.mode}`;
  return action.kind === 'link' ? `${action.path} to lead to ${action.target}` : action.path;
}

function told(changed: readonly string[]): readonly string[] {
  const more = changed.length - named;
  return more > 1 ? [...changed.slice(0, named), `and ${grouped(more)} more`] : changed;
}

function incomplete(
  action: Action,
  tally: RemovalTally,
  changed: readonly string[],
  rest: readonly Action[],
): Failed {
  return failed(
    exitStatus.failed,
    `${action.path}: ${counted(tally.errors, 'entry', 'entries')} could not be removed`,
    {
      details: [...problemLines(tally), ...standing(changed, rest)],
      hint: tally.problems.some(({ code }) => code === 'EACCES' || code === 'EPERM')
        ? 'look at runAsUser: files of others in their own folders need root with the capability DAC_OVERRIDE, in sticky folders FOWNER too'
        : undefined,
    },
  );
}

/** Before anything was done, `changed` is empty. @throws what is an outcome of its own */
function endedEarly(
  action: Action,
  thrown: unknown,
  before: number,
  changed: readonly string[],
  rest: readonly Action[],
): Failed {
  const error = firstFailure(thrown);
  const details = standing(changed, rest);
  const hint = 'run it again: what is done already stays as it is';
  const where = before === 0 && changed.length === 0 ? '' : `, while at ${shownAction(action)}`;
  if (error instanceof SignalReceived)
    return failed(signalStatus(error.signal), `ended by ${error.signal}${where}`, { details, hint });
  if (error instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${error.message}${where}`, { details, hint });
  // What is wrong with a place now was right when it was looked at: another run may find it so again.
  if (error instanceof UsageError) return failed(exitStatus.failed, error.message, { details });
  const { outcome } = error instanceof Failure ? error : explainedFor(action, error);
  const status = outcome.status === exitStatus.usage ? exitStatus.failed : outcome.status;
  return { ...outcome, status, details: [...(outcome.details ?? []), ...details] };
}

function explainedFor(action: Action, error: unknown): Failure {
  const exchangedMeanwhile = error instanceof LinkInPath || error instanceof ExchangedInPath;
  if (!exchangedMeanwhile && (error as NodeJS.ErrnoException).code === undefined) throw error;
  const doing = {
    mkdir: 'make',
    touch: 'make',
    link: 'link',
    move: 'move',
    mode: 'set the mode of',
    remove: 'remove',
  };
  return explained(error, action.path, { doing: doing[action.kind] });
}

function standing(changed: readonly string[], rest: readonly Action[]): string[] {
  return [
    ...(changed.length === 0 ? [] : [`done before: ${told(changed).join(', ')}`]),
    ...(rest.length === 0 ? [] : [`not tried: ${told(rest.map(shownAction)).join(' ')}`]),
  ];
}
