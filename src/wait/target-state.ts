import type { Answer, Busy, Target } from './attempt.ts';
import { pauseOf } from './pause.ts';
import type { WaitStage } from './stage.ts';
import type { Streak } from './target-plan.ts';

/** What must hold before the wait is over. */
export interface Policy extends Streak {
  /** One of the targets is enough. */
  readonly any: boolean;
}

/** Timers are set by a difference, which loses the last bits: what is due within a millisecond is due. */
const exact = 1;

export const once: Policy = { any: false, successes: 1, stableFor: 0 };

/** An attempt under way. */
export interface StartedAttempt {
  readonly number: number;
  readonly startedAt: number;
  readonly controller: AbortController;
  phase: string;
  /** Whether the other end has said that it is at work on it. */
  atWork: boolean;
  /** What it has passed; undefined where that is nothing: there are millions of attempts. */
  passed: Set<WaitStage> | undefined;
  /** What it suspects should nothing be there. */
  suspicion: string | undefined;
}

/** What is known of one target; pure bookkeeping, no time of its own. */
export class TargetState {
  readonly target: Target;
  readonly flights = new Set<StartedAttempt>();
  state: 'waiting' | 'satisfied' | 'never' = 'waiting';
  attempts = 0;
  /** The newest answer; undefined until something answers. */
  answer: Answer | undefined;
  /** What the attempt of that answer had passed. */
  passed: ReadonlySet<WaitStage> | undefined;
  /** It had as many attempts as it may have. */
  gaveUp = false;
  /** When the present reason was first given. */
  since: number;
  streak = 0;
  /** When the present streak began. */
  streakSince = 0;
  /** Not to be tried before this. */
  quietUntil = Number.NEGATIVE_INFINITY;
  /** The other end named that time. */
  quietAsked = false;
  /** Answers in a row that it is too busy. */
  refusals = 0;
  #newest = -1;

  constructor(target: Target, now: number) {
    this.target = target;
    this.since = now;
  }

  begin(now: number): StartedAttempt {
    const flight: StartedAttempt = {
      number: this.attempts++,
      startedAt: now,
      controller: new AbortController(),
      phase: '',
      atWork: false,
      passed: undefined,
      suspicion: undefined,
    };
    this.flights.add(flight);
    return flight;
  }

  /** Takes in an answer; true where what people would be told has changed. */
  record(flight: StartedAttempt, answer: Answer, now: number, policy: Streak): boolean {
    this.flights.delete(flight);
    if (this.state !== 'waiting') return false;
    if (answer.state === 'satisfied') {
      if (this.streak === 0) this.streakSince = now;
      this.streak++;
      if (this.streak >= policy.successes && now - this.streakSince >= policy.stableFor)
        this.state = 'satisfied';
    } else if (answer.state === 'never') {
      this.state = 'never';
    } else {
      // An attempt that began before the streak says nothing about it: it hung while newer ones succeeded.
      if (this.streak > 0 && flight.startedAt < this.streakSince) return false;
      this.streak = 0;
    }
    if (flight.number < this.#newest && answer.state === 'not-yet') return false;
    this.#newest = Math.max(this.#newest, flight.number);
    const changed = told(answer) !== told(this.answer);
    if (changed) this.since = flight.startedAt;
    this.answer = answer;
    this.passed = flight.passed;
    return changed;
  }

  /**
   * Keeps a pause after an answer that the other end is too busy.
   * @param latest as far as the pause is ours to choose, it ends by then
   */
  rest(flight: StartedAttempt, busy: Busy, now: number, random: number, latest: number): void {
    if (this.beganAfterPause(flight)) this.refusals++;
    const asked = busy.pause !== undefined;
    // What spreads pods must not cost the last attempt either.
    const least = asked ? now + pauseOf(busy, this.refusals, 0) : now;
    const until = now + pauseOf(busy, this.refusals, random);
    const bounded = now >= latest ? until : Math.max(least, Math.min(until, latest));
    if (bounded <= this.quietUntil) return;
    this.quietUntil = bounded;
    this.quietAsked = asked && busy.ours !== true;
  }

  /** While the other end is too busy, attempts do not overlap: true where one has begun since the last pause. */
  isAsking(): boolean {
    const newest = this.newest();
    return this.refusals > 0 && newest !== undefined && this.beganAfterPause(newest);
  }

  isQuiet(now: number): boolean {
    return this.quietUntil - now >= exact;
  }

  /** False for an attempt that was under way when the last pause began. */
  beganAfterPause({ startedAt }: StartedAttempt): boolean {
    return !this.isQuiet(startedAt);
  }

  /** No further attempt is made, and none is under way: it is over without success. */
  giveUp(): void {
    this.state = 'never';
    this.gaveUp = true;
  }

  newest(): StartedAttempt | undefined {
    return [...this.flights].at(-1);
  }

  oldest(): StartedAttempt | undefined {
    return this.flights.values().next().value;
  }
}

function told(answer: Answer | undefined): string | undefined {
  return answer?.state === 'satisfied' ? `+${answer.seen}` : answer?.reason;
}
