import type { Held, Loss } from '../../clients/lock.ts';
import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import { done, failed, SignalReceived, DeadlinePassed } from '../../core/outcome.ts';
import { describeEnd, marked, startChild, statusOf, type Child, type ChildEnd } from '../../process/child.ts';
import { lostOutcome, type Performed } from './performed.ts';

/** A lock that is surely lost may be another's already: then the command gets no more than this, in milliseconds. */
const shortGrace = 5000;

/** By which the command's processes are known that leave its group. */
const runVariable = 'INITBOX_LOCK_RUN';

export interface CommandLimits {
  readonly commandTimeout: number;
  readonly grace: number;
}

/** Runs a command under the lock until it and all that it started are gone, whatever else happens. */
export async function performCommand(
  command: readonly string[],
  held: Held,
  { commandTimeout, grace }: CommandLimits,
  context: Context,
): Promise<Performed> {
  const { clock, environment, host, log } = context;
  using deadline = startDeadline(clock, context, commandTimeout, '--command-timeout');
  if (deadline.signal.aborted) throw reasonOf(deadline.signal);
  let survived = false;
  const child: Child = await startChild(command, {
    ...marked(runVariable, { ...environment, ...held.environment(environment) }),
    own: environment,
    inherit: held.keepOpen,
    onSurvivors(processes) {
      survived = true;
      log.warn(
        `waiting for processes that could not be ended: ${named(processes)}; the lock is kept as long as they work`,
      );
    },
    grace,
    clock,
    host,
  });
  log.debug(`started ${command[0]} as process ${child.pid}`);
  let stopped: Error | undefined;
  const onAbort = (): void => {
    stopped = reasonOf(deadline.signal);
    child.stop(stopped instanceof SignalReceived ? stopped.signal : 'SIGTERM', grace);
  };
  if (deadline.signal.aborted) onAbort();
  deadline.signal.addEventListener('abort', onAbort, { once: true });
  let loss: Loss | undefined;
  let gone = false;
  void held.lost.then((why) => {
    if (gone) return;
    loss = why;
    child.stop('SIGTERM', why.certain ? Math.min(grace, shortGrace) : grace);
    log.error(`the lock was lost: ${why.reason}; stopping the command`);
  });
  const end = await child.gone;
  gone = true;
  deadline.signal.removeEventListener('abort', onAbort);
  const status = statusOf(end);
  if (loss !== undefined)
    return {
      outcome: lostOutcome(loss, `the command was stopped (${describeEnd(end)})`),
      clean: false,
      status,
    };
  if (stopped instanceof SignalReceived) {
    const own = signalStatus(stopped.signal);
    return {
      outcome: failed(own, `ended by ${stopped.signal}; the command ended with ${describeEnd(end)}`),
      clean: false,
      status: own,
    };
  }
  if (stopped !== undefined) {
    const text = stopped instanceof DeadlinePassed ? stopped.message : 'the time was up';
    return {
      outcome: failed(exitStatus.deadline, `${text}: the command was stopped (${describeEnd(end)})`),
      clean: false,
      status: exitStatus.deadline,
    };
  }
  if (status === 0 && end.left.length > 0) {
    const left = survived
      ? 'left processes at work, which could not be ended, and were waited for'
      : 'left processes at work, which were ended';
    return {
      outcome: failed(
        exitStatus.failed,
        `the command ended with exit status 0, but ${left}: ${named(end.left)}`,
        {
          hint: 'let the command wait for what it starts (wait in a shell), and start no daemon in it (gradlew --no-daemon): what is ended here may be half done',
        },
      ),
      clean: false,
      status: exitStatus.failed,
    };
  }
  if (status === 0) return { outcome: done('the command is done'), clean: true, status };
  return {
    outcome: failed(status, `the command ended with ${describeEnd(end)}`, {
      hint:
        end.signal === 'SIGKILL'
          ? 'initbox didn’t send that signal: was it the memory limit (OOMKilled)?'
          : undefined,
    }),
    clean: false,
    status,
  };
}

/** `10307 (java), 10308 (sh)`; of many, the first five. */
function named(processes: ChildEnd['left']): string {
  const shown = processes.slice(0, 5).map(({ pid, name }) => `${pid} (${name})`);
  const more = processes.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
