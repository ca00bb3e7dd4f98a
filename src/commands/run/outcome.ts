import { reasonOf } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Log } from '../../core/log.ts';
import { DeadlinePassed, failed, type Failed, type Outcome } from '../../core/outcome.ts';
import { outcomeOfError } from '../../core/unexpected-error.ts';
import type { Ran } from './schedule.ts';
import type { Step } from './step.ts';

/** What the whole plan came to: the first step that failed tells why, and what it left undone is named. */
export function outcomeOfPlan(ran: readonly Ran[], took: number, signal: AbortSignal, log: Log): Outcome {
  const failures = ran
    .filter(({ state }) => state === 'failed')
    .toSorted((a, b) => (a.end ?? 0) - (b.end ?? 0));
  const [first] = failures;
  if (first !== undefined) return failureOf(first, failures.slice(1), ran);
  if (signal.aborted && ran.some(({ state }) => state === 'stopped' || state === 'not run'))
    return interruption(ran, reasonOf(signal), log);
  return {
    kind: 'done',
    summary: summaryOf(ran, took),
    environment: environmentOf(ran, log),
    takeBack: (given) => takeBackAll(ran, given),
  };
}

/** Ends what the steps that are done made for whoever comes after the plan. */
export async function takeBackAll(ran: readonly Ran[], signal: AbortSignal): Promise<void> {
  await Promise.all(
    ran.flatMap(({ outcome }) => (outcome?.kind === 'done' ? (outcome.takeBack?.(signal) ?? []) : [])),
  );
}

function failureOf(first: Ran, others: readonly Ran[], ran: readonly Ran[]): Failed {
  const outcome = first.outcome as Failed;
  const rest = [
    ...others.map((one) => `${nameOf(one.step)} failed too: ${(one.outcome as Failed).what}`),
    ...listed('stopped with it', ran, 'stopped'),
    ...listed('not run', ran, 'not run'),
  ];
  const tries = first.tries > 1 ? ` after ${first.tries} tries` : '';
  return failed(outcome.status, `${nameOf(first.step)} failed${tries}: ${outcome.what}`, {
    details: [...(outcome.details ?? []), ...rest],
    hint: outcome.hint,
  });
}

function interruption(ran: readonly Ran[], reason: Error, log: Log): Failed {
  const stopped = ran.filter(({ state }) => state === 'stopped');
  const names = stopped.map(({ step }) => step.name).join(', ');
  const base = outcomeOfError(reason, log);
  const details = [
    ...stopped.flatMap(({ step, outcome }) =>
      reason instanceof DeadlinePassed && outcome?.kind === 'failed'
        ? [`${nameOf(step)}: ${outcome.what}`]
        : [],
    ),
    ...listed('not run', ran, 'not run'),
  ];
  const hints = stopped.flatMap(({ outcome }) =>
    outcome?.kind === 'failed' && outcome.hint ? [outcome.hint] : [],
  );
  return failed(
    reason instanceof DeadlinePassed ? exitStatus.deadline : base.status,
    names === '' ? base.what : `${base.what} while ${names} ran`,
    { details, hint: reason instanceof DeadlinePassed ? hints[0] : undefined },
  );
}

function listed(words: string, ran: readonly Ran[], state: Ran['state']): string[] {
  const names = ran.filter((one) => one.state === state).map(({ step }) => step.name);
  return names.length === 0 ? [] : [`${words}: ${names.join(', ')}`];
}

/** `step database (wait-tcp)`. */
export function nameOf({ name, work }: Step): string {
  return `step ${name} (${work.kind === 'own' ? work.command.name : (work.command[0] ?? '')})`;
}

function summaryOf(ran: readonly Ran[], took: number): string {
  const out = ran.filter(({ state }) => state === 'left out').length;
  const count = ran.length - out;
  return `${count} step${count === 1 ? '' : 's'} done in ${formatDuration(took)}${out > 0 ? `, ${out} left out` : ''}`;
}

/** What steps found for the command that takes over; the later step of the plan wins, and that is said. */
function environmentOf(ran: readonly Ran[], log: Log): Readonly<Record<string, string>> {
  const environment = Object.create(null) as Record<string, string>;
  const from = new Map<string, string>();
  for (const { step, outcome } of ran) {
    if (outcome?.kind !== 'done') continue;
    for (const [name, value] of Object.entries(outcome.environment ?? {})) {
      const before = from.get(name);
      if (before !== undefined)
        log.warn(
          `the variable ${name} comes from step ${before} and from step ${step.name}; the latter's is taken`,
        );
      from.set(name, step.name);
      environment[name] = value;
    }
  }
  return environment;
}
