import { reasonOf, sleep } from '../../core/clock.ts';
import type { AnyCommand } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { formatDuration } from '../../core/duration.ts';
import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import type { Log } from '../../core/log.ts';
import {
  DeadlinePassed,
  done,
  failed,
  SignalReceived,
  type Failed,
  type Outcome,
} from '../../core/outcome.ts';
import { performStep, type StepInput, stepWord, type StepRequest, type StepUser } from '../../core/step.ts';
import { outcomeOfError } from '../../core/unexpected-error.ts';
import { contactVolumes } from '../../fs/contact.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { pathsOfStep } from '../../fs/written-paths.ts';
import type { ChildEnd, ChildOptions } from '../../process/child.ts';
import { nodeFlags } from '../../process/host.ts';
import { whyLeftOut } from './condition.ts';
import type { StepEnd } from './schedule.ts';
import type { Step } from './step.ts';

/** Pauses before tries, in milliseconds: doubled from the first to the longest. */
const firstPause = 1000;
const longestPause = 30_000;

/** What another try would not change: a mistake in the plan, a program that is not there, a dependency's refusal. */
const hopeless: ReadonlySet<number> = new Set([
  exitStatus.usage,
  exitStatus.refused,
  exitStatus.notExecutable,
  exitStatus.notFound,
]);

/** Milliseconds that a process of our own has to end by itself when its time is up: it knows better what to say. */
const patience = 500;

/** A log whose lines name the step, and the command that it uses. */
export function stepLog(log: Log, { name, work }: Step): Log {
  return log.with({ step: name, ...(work.kind === 'own' ? { command: work.command.name } : {}) });
}

/**
 * Does a step's work, as often as it asks for, within its time.
 * @param successor what takes over after the whole plan: what a step finds for it goes there
 */
export async function performWithRetries(
  step: Step,
  parent: Context,
  successor: readonly string[] | undefined,
): Promise<StepEnd> {
  const { clock } = parent;
  const log = stepLog(parent.log, step);
  using deadline = startDeadline(clock, parent, step.limit, step.limitOrigin);
  const context = { ...parent, log, signal: deadline.signal, deadline: deadline.at };
  const whole = parent.deadline !== undefined && deadline.at === parent.deadline;
  const bounded = whole ? { ...step, limitOrigin: 'the time of the whole plan' } : step;
  try {
    const leftOut = await whyLeftOut(step.when?.later ?? [], context);
    if (leftOut !== undefined) return { outcome: done(`left out: ${leftOut}`), tries: 0, leftOut };
  } catch (error) {
    return { outcome: outcomeOfError(error, log), tries: 0 };
  }
  for (let tries = 1; ; tries += 1) {
    const { outcome, final } = await performInTime(bounded, context, successor);
    if (outcome.kind === 'done' || final || tries > step.retries || context.signal.aborted)
      return { outcome, tries };
    const pause = step.retryPause ?? Math.min(longestPause, firstPause * 2 ** (tries - 1));
    log.warn(`try ${tries} of ${step.retries + 1}: ${outcome.what}; again in ${formatDuration(pause)}`);
    try {
      await sleep(clock, pause, context.signal);
    } catch (error) {
      return { outcome: interrupted(error, outcome), tries };
    }
  }
}

function interrupted(reason: unknown, last: Failed): Failed {
  return reason instanceof DeadlinePassed
    ? { ...last, status: exitStatus.deadline, what: `${reason.message}: ${last.what}` }
    : last;
}

/** One try; `final` where another one would end the same. */
interface Try {
  readonly outcome: Outcome;
  readonly final: boolean;
}

/** Does what a command of our own does, once the volumes of its paths answer. */
async function performContacted(command: AnyCommand, input: StepInput, context: Context): Promise<Outcome> {
  try {
    await contactVolumes(pathsOfStep(command, input), context);
  } catch (error) {
    return outcomeOfError(error, context.log);
  }
  return performStep(command, input, context, readSecretFile);
}

/** One try, within the time that the plan gives to each. */
async function performInTime(
  step: Step,
  context: Context,
  successor: readonly string[] | undefined,
): Promise<Try> {
  if (step.tryLimit === 0) return performOnce(step, context, successor);
  using deadline = startDeadline(context.clock, context, step.tryLimit, 'try-timeout');
  const ownTime = deadline.at !== context.deadline;
  // The time is over when the try is, and not before.
  return await performOnce(
    ownTime ? { ...step, limitOrigin: 'try-timeout' } : step,
    { ...context, signal: deadline.signal, deadline: deadline.at },
    successor,
  );
}

async function performOnce(
  step: Step,
  context: Context,
  successor: readonly string[] | undefined,
): Promise<Try> {
  const { work, user } = step;
  if (work.kind === 'own') {
    const words = work.command.afterDashes === 'successor' ? successor : work.input.words;
    const input = { ...work.input, words };
    const outcome =
      user === undefined
        ? await performContacted(work.command, input, context)
        : await performAs(user, { kind: 'own', command: work.command.name, input }, step, context);
    return { outcome, final: outcome.kind === 'failed' && hopeless.has(outcome.status) };
  }
  if (user !== undefined) {
    const outcome = await performAs(user, { kind: 'any', command: work.command }, step, context);
    return { outcome, final: false };
  }
  try {
    const { environment, clock, host } = context;
    const end = await runChild(work.command, { environment, grace: work.grace, clock, host }, 0, context);
    return { outcome: outcomeOfEnd(end, context), final: false };
  } catch (error) {
    return { outcome: outcomeOfError(error, context.log), final: true };
  }
}

/** Does the work in a process of its own, which becomes that user before it does anything. */
async function performAs(
  user: StepUser,
  work: StepRequest['work'],
  step: Step,
  context: Context,
): Promise<Outcome> {
  const { environment, clock, host, log } = context;
  const first: StepRequest = {
    user,
    work,
    limit:
      work.kind === 'any' || context.deadline === undefined ? 0 : Math.max(1, context.deadline - clock.now()),
    limitOrigin: step.limitOrigin,
    log: {
      format: log.format,
      level: log.level,
      fields: { ...(work.kind === 'own' ? { command: work.command } : {}), step: step.name },
    },
  };
  let told: Outcome | undefined;
  const channel = { first, onMessage: (message: unknown) => void (told = message as Outcome) };
  const grace = step.work.kind === 'any' ? step.work.grace : ownGrace(step);
  try {
    const end = await runChild(
      [host.executable, ...nodeFlags, host.script, stepWord],
      { environment, grace, clock, host, channel },
      work.kind === 'own' ? patience : 0,
      context,
    );
    return told ?? outcomeOfEnd(end, context);
  } catch (error) {
    return outcomeOfError(error, context.log);
  }
}

/** What runs a child of its own gives that one time to end, and must not be killed before. */
function ownGrace({ work }: Step): number {
  return work.kind === 'own' && work.command.afterDashes === 'child' ? 3_600_000 : 5000;
}

/** How a child ended, the status that stands for it, and the words. */
interface Ended {
  readonly end: ChildEnd;
  readonly status: number;
  readonly words: string;
}

/** Runs a command until it and its process group are gone; an aborted signal sends TERM, and KILL after the grace. */
async function runChild(
  command: readonly string[],
  options: ChildOptions,
  delay: number,
  { signal, clock, log }: Context,
): Promise<Ended> {
  if (signal.aborted) throw reasonOf(signal);
  // Loaded by those plans alone that start a process.
  const { describeEnd, startChild, statusOf } = await import('../../process/child.ts');
  const child = await startChild(command, options);
  log.debug(`started ${command[0]} as process ${child.pid}`);
  let cancel = (): void => {};
  const onAbort = (): void => {
    const reason = reasonOf(signal);
    const stop = (): void =>
      child.stop(reason instanceof SignalReceived ? reason.signal : 'SIGTERM', options.grace);
    if (reason instanceof DeadlinePassed && delay > 0) cancel = clock.after(delay, stop);
    else stop();
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const end = await child.gone;
  cancel();
  signal.removeEventListener('abort', onAbort);
  return { end, status: statusOf(end), words: describeEnd(end) };
}

function outcomeOfEnd({ end, status, words }: Ended, { signal }: Context): Outcome {
  const reason = signal.aborted ? reasonOf(signal) : undefined;
  if (reason instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${reason.message}: the command was stopped (${words})`);
  // What ends with 0 after it was told to stop has not done its work.
  if (reason instanceof SignalReceived)
    return failed(signalStatus(reason.signal), `ended by ${reason.signal}; the command ended with ${words}`);
  if (status === 0) return done('the command is done');
  const hint =
    end.signal === 'SIGKILL' && reason === undefined
      ? 'initbox didn’t send that signal: was it the memory limit (OOMKilled)?'
      : undefined;
  return failed(status, `the command ended with ${words}`, { hint });
}
