import { formatDuration } from '../../core/duration.ts';

/** An entry to which something could not be done. */
export interface WalkProblem {
  readonly path: string;
  readonly action: string;
  readonly code: string;
}

/** What every walk counts; a command adds counts and lists of its own. */
export interface WalkTally {
  /** Entries looked at, directories among them. */
  entries: number;
  directories: number;
  /** Right already. */
  right: number;
  vanished: number;
  excluded: number;
  errors: number;
  problems: WalkProblem[];
}

/** Problems that are listed; the rest are counted. */
export const listedProblems = 10;

export function emptyWalkTally(): WalkTally {
  return { entries: 0, directories: 0, right: 0, vanished: 0, excluded: 0, errors: 0, problems: [] };
}

/** Adds counts to counts and lists to lists, of problems only as many as are listed. */
export function addTally<Tally extends WalkTally>(sum: Tally, more: Tally): void {
  const [to, from] = [sum, more] as unknown as Record<string, number | unknown[]>[];
  for (const [key, value] of Object.entries(from ?? {})) {
    const there = to?.[key];
    if (Array.isArray(value)) for (const one of value) (there as unknown[]).push(one);
    else if (to !== undefined) to[key] = (there as number) + value;
  }
  sum.problems.length = Math.min(sum.problems.length, listedProblems);
}

/** `202,001`. Not by Intl, whose first use costs more time than most walks. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `202,001 entries`, `1 entry`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** `210,000 entries so far in 5s, 42,000/s, 1,200 changed`. `milliseconds` is the time since the walk began. */
export function walkProgressText(tally: WalkTally, milliseconds: number, done: string): string {
  const rate = milliseconds > 0 ? Math.round(tally.entries / (milliseconds / 1000)) : 0;
  const errors = tally.errors > 0 ? `, ${counted(tally.errors, 'error')}` : '';
  return `${counted(tally.entries, 'entry', 'entries')} so far in ${formatDuration(milliseconds)}, ${grouped(rate)}/s, ${done}${errors}`;
}

/** The first problems, one a line, and how many more there are. */
export function problemLines({ problems, errors }: Pick<WalkTally, 'problems' | 'errors'>): string[] {
  const more = errors - problems.length;
  return [
    ...problems.map(({ path, action, code }) => `cannot ${action} ${JSON.stringify(path)}: ${code}`),
    ...(more > 0 ? [`and ${grouped(more)} more`] : []),
  ];
}
