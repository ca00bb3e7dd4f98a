import { reasonOf } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { formatDuration } from '../core/duration.ts';
import { DeadlinePassed } from '../core/outcome.ts';
import { inverted, notYet, type Answer, type Target } from './attempt.ts';
import { reportOf, saidIn, type WaitReport } from './outcome.ts';
import { createProgress } from './progress.ts';
import type { WaitStage } from './stage.ts';
import type { TargetPlan } from './target-plan.ts';
import { type StartedAttempt, type Policy, TargetState } from './target-state.ts';

/** Milliseconds between two attempts while the other end is at work on the first: its answer is on the way. */
const paceOfWork = 10_000;

/** How to wait: when to try, what counts, and how far attempts may overlap; a target may have a plan of its own. */
export interface WaitPlan extends TargetPlan {
  readonly policy: Policy;
  /** Waits for the opposite of each attempt. */
  readonly inverted?: boolean;
  /** Calls back whenever an attempt should be made at once; returns what stops it. */
  readonly wakeUps?: (wake: () => void) => () => void;
  /** It is all that the command does for now: on a terminal, progress is a block that is redrawn. */
  readonly block?: boolean;
}

type Ending = 'decided' | { readonly aborted: Error };

/** With pauses of 100 ms, twenty attempts under way give each two seconds: enough for a repeated SYN (1 s). */
const defaultOverlap = 20;

/** An attempt is not cut for a newer one before this age, in milliseconds, whatever the pause. */
const shortestLife = 2000;

/** Attempts under way at once over all targets; each may hold a descriptor. */
const most = 500;

/** The last attempt starts so long before the deadline, in milliseconds, and is cut at it. */
const lastLead = 250;

/** How long attempts may take to settle once they were told to stop, in milliseconds. */
const settleTime = 20;

/** An attempt that the end cuts before this age, in milliseconds, says less than an earlier one's answer. */
const telling = 1000;

/** An attempt with less time than this before the deadline, in milliseconds, has asked nothing when it is cut. */
const shortestTry = 10;

/** A line for each target that is ready, up to so many targets. */
const readyLines = 20;

type WaitContext = Pick<Context, 'signal' | 'deadline' | 'clock' | 'random' | 'log' | 'terminal'>;

/**
 * The one polling loop: tries every target on schedule until the policy holds. A new attempt starts on time even while
 * older ones hang, so that a dependency whose packets were dropped is seen within one pause of its coming up.
 * @returns what was found, also when the deadline passed
 * @throws the signal's reason where it is not the deadline (SignalReceived), and whatever an attempt throws
 */
export async function waitFor(
  targets: readonly Target[],
  plan: WaitPlan,
  context: WaitContext,
): Promise<WaitReport> {
  const { clock, signal, log } = context;
  const startedAt = clock.now();
  const watches = targets.map(
    (target) => new TargetState(plan.inverted ? inverted(target) : target, startedAt),
  );
  const timers = new Map<TargetState, () => void>();
  const running = new Set<Promise<void>>();
  const inFlight = new Set<StartedAttempt>();
  const due: TargetState[] = [];
  /** Due, but held until one of their own attempts settles. */
  const held = new Set<TargetState>();
  const progress = createProgress(watches, { startedAt, block: plan.block === true }, context);
  const planOf = ({ target }: TargetState): TargetPlan => target.plan ?? plan;
  let wakePump = (): void => {};
  let ended = false;
  let end!: (ending: Ending) => void;
  let fail!: (error: unknown) => void;
  const ending = new Promise<Ending>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });

  const plannedStart = (watch: TargetState, now: number): number | undefined => {
    const { schedule, policy } = planOf(watch);
    let at = now + schedule(now - startedAt, context.random());
    const stableAt = watch.streakSince + policy.stableFor;
    if (watch.streak > 0 && stableAt > now) at = Math.min(at, stableAt);
    if (context.deadline === undefined || at <= context.deadline - lastLead) return at;
    return now < context.deadline - lastLead ? context.deadline - lastLead : undefined;
  };

  const startAt = (watch: TargetState, wanted: number): void => {
    const at = Math.max(wanted, watch.quietUntil);
    timers.get(watch)?.();
    timers.set(
      watch,
      clock.after(at - clock.now(), () => {
        timers.delete(watch);
        held.delete(watch);
        due.push(watch);
        pump();
      }),
    );
  };

  /** When a target whose older attempts hang may be tried again; undefined where that is now. */
  const pacedStart = (watch: TargetState, now: number): number | undefined => {
    const newest = watch.newest();
    const pace = newest?.atWork === true ? paceOfWork : planOf(watch).pace;
    if (pace === undefined || newest === undefined) return undefined;
    if (context.deadline !== undefined && now > context.deadline - lastLead - 1) return undefined;
    const at = newest.startedAt + pace;
    // Timers are set by a difference, which loses the last bits: what is due within a millisecond is due.
    return at - now >= 1 ? Math.min(at, (context.deadline ?? Infinity) - lastLead) : undefined;
  };

  /** Starts what is due, as far as descriptors allow; what hangs longest makes room, unless the other end is at work. */
  const pump = (): void => {
    wakePump();
    while (!ended && due.length > 0) {
      const now = clock.now();
      const watch = due[0] as TargetState;
      if (watch.attempts >= (planOf(watch).maxAttempts ?? Infinity)) {
        due.shift();
        continue;
      }
      if (watch.isAsking()) {
        due.shift();
        held.add(watch);
        continue;
      }
      const later = watch.isQuiet(now) ? watch.quietUntil : pacedStart(watch, now);
      if (later !== undefined) {
        due.shift();
        startAt(watch, later);
        held.add(watch);
        continue;
      }
      const { overlap = defaultOverlap, patient } = planOf(watch);
      const full =
        watch.flights.size >= overlap ? watch.flights : inFlight.size >= most ? inFlight : undefined;
      const oldest = full && cutFirst(full);
      if (full !== undefined && (patient || oldest === undefined)) {
        if (full !== watch.flights) return;
        due.shift();
        held.add(watch);
        continue;
      }
      if (oldest !== undefined && now - oldest.startedAt < shortestLife) {
        if (full === watch.flights) {
          due.shift();
          startAt(watch, oldest.startedAt + shortestLife);
          continue;
        }
        wakePump = clock.after(oldest.startedAt + shortestLife - now, pump);
        return;
      }
      due.shift();
      if (oldest !== undefined) {
        inFlight.delete(oldest);
        oldest.controller.abort(new Error('a newer attempt took its place'));
      }
      if (watch.state === 'waiting') begin(watch, now);
    }
  };

  /** Whether it has had all of its attempts. */
  const isSpent = ({ attempts, flights, target }: TargetState): boolean =>
    flights.size === 0 && attempts >= ((target.plan ?? plan).maxAttempts ?? Infinity);

  const begin = (watch: TargetState, now: number): void => {
    const flight = watch.begin(now);
    inFlight.add(flight);
    const next = plannedStart(watch, now);
    if (next !== undefined) startAt(watch, next);
    const probe = {
      signal: flight.controller.signal,
      phase(text: string) {
        flight.phase = text;
      },
      atWork(yes: boolean) {
        flight.atWork = yes;
      },
      reached(stage: WaitStage) {
        (flight.passed ??= new Set()).add(stage);
      },
      suspect(hint: string) {
        flight.suspicion = hint;
      },
    };
    const run = watch.target
      .attempt(probe)
      .then((answer) => settle(watch, flight, withSuspicion(flight, answer)), fail)
      .finally(() => running.delete(run));
    running.add(run);
  };

  const settle = (watch: TargetState, flight: StartedAttempt, answer: Answer): void => {
    inFlight.delete(flight);
    if (ended && watch.answer !== undefined && clock.now() - flight.startedAt < telling) {
      watch.flights.delete(flight);
      return;
    }
    const wasStreak = watch.streak;
    // With so little time it says "no answer" of what it hardly asked.
    const early =
      ended && watch.answer === undefined && (context.deadline ?? Infinity) - flight.startedAt < shortestTry;
    const heard =
      early && answer.state === 'not-yet' ? notYet('the time was up before anything could be tried') : answer;
    const changed = watch.record(flight, heard, clock.now(), planOf(watch).policy);
    if (log.verbose) log.debug(`${watch.target.name}: attempt ${flight.number + 1}: ${saidIn(answer)}`);
    if (ended) return;
    rest(watch, flight, answer);
    if (held.delete(watch)) startAt(watch, clock.now());
    if (watch.state === 'waiting' && isSpent(watch)) watch.giveUp();
    if (watch.state === 'satisfied') ready(watch, answer);
    if (watch.state !== 'waiting') {
      timers.get(watch)?.();
      timers.delete(watch);
      stopFlights(watch.flights);
      if (decision(watches, plan.policy) !== undefined) return end('decided');
    } else if (wasStreak === 0 && watch.streak > 0) {
      const next = plannedStart(watch, clock.now());
      if (next !== undefined) startAt(watch, next);
    }
    if (changed) progress.changed();
    pump();
  };

  /** Obeys an answer that asks for fewer attempts, however soon the next one was planned. */
  const rest = (watch: TargetState, flight: StartedAttempt, answer: Answer): void => {
    const busy = answer.state === 'not-yet' ? answer.busy : undefined;
    if (busy === undefined) {
      if (watch.beganAfterPause(flight)) watch.refusals = 0;
      return;
    }
    if (watch.state !== 'waiting' || (busy.pause === undefined && planOf(watch).schedule.chosen)) return;
    const latest = (context.deadline ?? Infinity) - lastLead;
    watch.rest(flight, busy, clock.now(), context.random(), latest);
  };

  const ready = (watch: TargetState, answer: Answer): void => {
    const line = `${watch.target.name} ${saidIn(answer)} after ${formatDuration(clock.now() - startedAt)}, ${watch.attempts} attempt${watch.attempts === 1 ? '' : 's'}`;
    if (watches.length > 1 && watches.length <= readyLines) progress.ready(line);
    else log.debug(line);
  };

  const onAbort = (): void => end({ aborted: reasonOf(signal) });
  const wakeUp = (woken: readonly TargetState[]): void => {
    const now = clock.now();
    for (const watch of woken) if (!ended && watch.state === 'waiting') startAt(watch, now);
  };
  const stopWakeUps = [
    plan.wakeUps?.(() => wakeUp(watches)),
    ...watches.map((watch) => watch.target.wakeUps?.(() => wakeUp([watch]))),
  ];

  try {
    if (signal.aborted) throw reasonOf(signal);
    signal.addEventListener('abort', onAbort, { once: true });
    for (const watch of watches) {
      const { initialDelay = 0 } = planOf(watch);
      if (initialDelay > 0) startAt(watch, startedAt + initialDelay);
      else due.push(watch);
    }
    pump();
    const outcome = await ending;
    ended = true;
    for (const watch of watches) stopFlights(watch.flights);
    await settled(running, clock);
    const aborted = outcome === 'decided' ? undefined : outcome.aborted;
    if (aborted !== undefined && !(aborted instanceof DeadlinePassed)) throw aborted;
    return {
      // What an attempt had found when it was cut counts.
      result: decision(watches, plan.policy) ?? 'deadline',
      targets: watches.map((watch) => reportOf(watch, clock.now())),
      waited: clock.now() - startedAt,
      ...(aborted === undefined ? {} : { deadline: aborted }),
    };
  } finally {
    ended = true;
    signal.removeEventListener('abort', onAbort);
    for (const stop of stopWakeUps) stop?.();
    wakePump();
    progress.stop();
    for (const cancel of timers.values()) cancel();
    for (const watch of watches) stopFlights(watch.flights);
  }
}

/** What the targets' states come to; undefined while it is open. */
function decision(watches: readonly TargetState[], policy: Policy): 'satisfied' | 'never' | undefined {
  const any = (state: TargetState['state']): boolean => watches.some((watch) => watch.state === state);
  const every = (state: TargetState['state']): boolean => watches.every((watch) => watch.state === state);
  if (policy.any ? every('never') : any('never')) return 'never';
  return (policy.any ? any('satisfied') : every('satisfied')) ? 'satisfied' : undefined;
}

/** What it suspected of the name it asked says more than what such a failure says in general. */
function withSuspicion({ suspicion }: StartedAttempt, answer: Answer): Answer {
  const absent = answer.state === 'not-yet' && answer.absent;
  return absent && suspicion !== undefined ? { ...answer, hint: suspicion } : answer;
}

/** The attempt that makes room for a newer one; undefined where the other end is at work on all of them. */
function cutFirst(flights: Iterable<StartedAttempt>): StartedAttempt | undefined {
  for (const flight of flights) if (!flight.atWork) return flight;
  return undefined;
}

function stopFlights(flights: Iterable<StartedAttempt>): void {
  for (const flight of flights) flight.controller.abort(new Error('the wait has ended'));
}

/** Lets attempts that were told to stop say where they stood; one that does not listen is left behind. */
async function settled(running: ReadonlySet<Promise<void>>, clock: Context['clock']): Promise<void> {
  if (running.size === 0) return;
  await new Promise<void>((resolve) => {
    const cancel = clock.after(settleTime, resolve);
    void Promise.allSettled(running).then(() => {
      cancel();
      resolve();
    });
  });
}
