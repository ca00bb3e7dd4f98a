import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import type { Forbidden } from './refusal.ts';

/**
 * Milliseconds for which a missing right is waited for: the Role is often applied together with the pod, and the API
 * server's authorizer learns of it a moment later.
 */
const rightsTime = 10_000;

/** A right that is missing is waited for only a while. */
export class MissingRight {
  readonly #clock: Clock;
  #since: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It was there. */
  given(): void {
    this.#since = undefined;
  }

  missed({ reason, hint }: Forbidden): NotYet | Never {
    const now = this.#clock.now();
    this.#since ??= now;
    return now - this.#since < rightsTime
      ? notYet(reason, { hint })
      : never(exitStatus.refused, reason, hint);
  }
}
