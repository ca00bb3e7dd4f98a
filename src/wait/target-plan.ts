import type { Schedule } from './schedule.ts';

/** What must hold before a target counts. `stableFor` is in milliseconds. */
export interface Streak {
  readonly successes: number;
  readonly stableFor: number;
}

/** How one target is tried. */
export interface TargetPlan {
  /** When to try. */
  readonly schedule: Schedule;
  readonly policy: Streak;
  /** Attempts of one target that may be under way at once. */
  readonly overlap?: number;
  /** Milliseconds from one attempt's start to the next while an older one is still under way; unset, the schedule's. */
  readonly pace?: number;
  /** Milliseconds before the first attempt. */
  readonly initialDelay?: number | undefined;
  /** Attempts that are made at most: after them it has failed. */
  readonly maxAttempts?: number | undefined;
  /** Attempts are never cut for newer ones, which start when an older one settles: they download, or may not be repeated. */
  readonly patient?: boolean;
}
