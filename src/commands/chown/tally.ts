import { emptyWalkTally, type WalkTally } from '../../fs/tree/tally.ts';

/** What was found and done below one top directory, or since the last time it was asked. */
export interface ChownTally extends WalkTally {
  changed: number;
  /** Left alone for --from. */
  spared: number;
  /** Mounts and other file systems that were not entered. */
  crossed: number;
}

export function emptyChownTally(): ChownTally {
  return { ...emptyWalkTally(), changed: 0, spared: 0, crossed: 0 };
}
