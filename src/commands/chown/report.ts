import { formatDuration } from '../../kernel/duration.ts';
import type { Mount } from '../../kernel/tree/mounts.ts';
import { type Capability, explain } from './explain.ts';
import type { Problem, Tally } from './tally.ts';

const number = new Intl.NumberFormat('en-US');

/** `202,001 entries`, `1 entry`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

/** What was found and done, for the summary line. */
export function tallyText(tally: Tally, what: string, dryRun: boolean): string {
  const parts = [
    `${number.format(tally.changed)} ${dryRun ? 'to change' : 'changed'} to ${what}`,
    `${number.format(tally.right)} right already`,
  ];
  if (tally.spared > 0) parts.push(`${number.format(tally.spared)} of other owners left (--from)`);
  if (tally.excluded > 0) parts.push(`${number.format(tally.excluded)} excluded`);
  if (tally.vanished > 0) parts.push(`${number.format(tally.vanished)} vanished meanwhile`);
  if (tally.crossed > 0)
    parts.push(`${counted(tally.crossed, 'mount')} not entered (--no-one-file-system enters)`);
  return `${counted(tally.entries, 'entry', 'entries')}, ${parts.join(', ')}`;
}

/** `210,000 entries so far, 42,000/s, 1,200 changed`. `milliseconds` is the time since the walk began. */
export function progressText(tally: Tally, milliseconds: number): string {
  const rate = milliseconds > 0 ? Math.round(tally.entries / (milliseconds / 1000)) : 0;
  const errors = tally.errors > 0 ? `, ${counted(tally.errors, 'error')}` : '';
  return `${counted(tally.entries, 'entry', 'entries')} so far in ${formatDuration(milliseconds)}, ${number.format(rate)}/s, ${number.format(tally.changed)} changed${errors}`;
}

/** The first problems, one a line, and how many more there are. */
export function problemLines(tally: Tally): string[] {
  const more = tally.errors - tally.problems.length;
  return [
    ...tally.problems.map(({ path, action, code }) => `cannot ${action} ${JSON.stringify(path)}: ${code}`),
    ...(more > 0 ? [`and ${number.format(more)} more`] : []),
  ];
}

/** Each explanation once. */
export function problemHints(
  problems: readonly Pick<Problem, 'code'>[],
  mount: Mount | undefined,
  has: ((capability: Capability) => boolean) | undefined,
): string | undefined {
  const hints = new Set(
    problems.map(({ code }) => explain(code, mount, has)).filter((hint) => hint !== undefined),
  );
  return hints.size > 0 ? [...hints].slice(0, 3).join('\nhint: ') : undefined;
}
