/**
 * How long to pause, in milliseconds, from the start of one attempt to the start of the next.
 * @param waited milliseconds since the wait began
 * @param random uniform in [0, 1)
 */
export interface Schedule {
  (waited: number, random: number): number;
  /** The user chose the pause: only the other end may ask for a longer one. */
  readonly chosen?: true;
}

const share = 0.02;
const shortest = 100;
const longest = 1000;

/** Attempts a second that all targets together may start: 10,000 targets must not burn a core. */
const busiest = 2000;

/**
 * Proportional polling: a constant pause makes a thousand pods hammer a dead service, a doubling one sleeps through
 * its return; 2 % of the time waited costs at most 2 % of it. Jitter only shortens, so that the bound holds.
 */
export function proportional(targets = 1): Schedule {
  const floor = Math.max(shortest, (targets / busiest) * 1000);
  const ceiling = Math.max(longest, floor);
  return (waited, random) => jitter(Math.min(ceiling, Math.max(floor, waited * share)), random);
}

/** The pause that the user fixed. */
export function fixed(milliseconds: number): Schedule {
  return Object.assign(() => milliseconds, { chosen: true as const });
}

/** From `first` doubling to `last`: for what every attempt burdens, such as a lock that hundreds wait for. */
export function growing(first: number, last: number): Schedule {
  return (waited, random) => jitter(Math.min(last, Math.max(first, waited / 2)), random);
}

function jitter(milliseconds: number, random: number): number {
  return milliseconds * (1 - 0.12 * random);
}
