/** An entry that could not be changed. */
export interface Problem {
  readonly path: string;
  readonly action: string;
  readonly code: string;
}

/** What was found and done below one top directory, or since the last time it was asked. */
export interface Tally {
  /** Entries looked at, directories among them. */
  entries: number;
  directories: number;
  changed: number;
  /** Right already. */
  right: number;
  /** Left alone for --from. */
  spared: number;
  vanished: number;
  excluded: number;
  /** Mounts and other file systems that were not entered. */
  crossed: number;
  errors: number;
  problems: Problem[];
}

/** Problems that are listed; the rest are counted. */
export const listed = 10;

export function emptyTally(): Tally {
  return {
    entries: 0,
    directories: 0,
    changed: 0,
    right: 0,
    spared: 0,
    vanished: 0,
    excluded: 0,
    crossed: 0,
    errors: 0,
    problems: [],
  };
}

export function addTally(sum: Tally, more: Tally): void {
  sum.entries += more.entries;
  sum.directories += more.directories;
  sum.changed += more.changed;
  sum.right += more.right;
  sum.spared += more.spared;
  sum.vanished += more.vanished;
  sum.excluded += more.excluded;
  sum.crossed += more.crossed;
  sum.errors += more.errors;
  for (const problem of more.problems) if (sum.problems.length < listed) sum.problems.push(problem);
}
