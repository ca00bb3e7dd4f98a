import type { Clock } from '../../core/clock.ts';
import type { HttpResponse } from './transport.ts';

/** Milliseconds by which a clock may be wrong: clouds take five minutes, of which their SDKs leave one to the way. */
const tolerated = 240_000;

/** The time of a server: by our clock, until an answer shows that it is wrong. */
export class ServerClock {
  readonly #clock: Clock;
  #ahead = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Date {
    return new Date(this.#clock.date().getTime() + this.#ahead);
  }

  /** Whether a refusal may be about the time, which is right from now on. */
  corrects({ headers }: Pick<HttpResponse, 'headers'>): boolean {
    const theirs = Date.parse(headers.date ?? '');
    if (Number.isNaN(theirs)) return false;
    const off = theirs - this.now().getTime();
    if (Math.abs(off) < tolerated) return false;
    this.#ahead += off;
    return true;
  }
}
