import { formatDuration } from '../../core/duration.ts';
import type { Capability } from '../../process/capabilities.ts';
import type { Mount } from '../../fs/tree/mounts.ts';
import { explain } from './explain.ts';
import type { Problem, Tally } from './tally.ts';

/** `202,001`. Not by Intl, whose first use costs more time than most walks. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `202,001 entries`, `1 entry`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** What was found and done, for the summary line. */
export function tallyText(tally: Tally, what: string, dryRun: boolean): string {
  const parts = [
    `${grouped(tally.changed)} ${dryRun ? 'to change' : 'changed'} to ${what}`,
    `${grouped(tally.right)} right already`,
  ];
  if (tally.spared > 0) parts.push(`${grouped(tally.spared)} of other owners left (--from)`);
  if (tally.excluded > 0) parts.push(`${grouped(tally.excluded)} excluded`);
  if (tally.vanished > 0) parts.push(`${grouped(tally.vanished)} vanished meanwhile`);
  if (tally.crossed > 0)
    parts.push(`${counted(tally.crossed, 'mount')} not entered (--no-one-file-system enters)`);
  return `${counted(tally.entries, 'entry', 'entries')}, ${parts.join(', ')}`;
}

/** `210,000 entries so far, 42,000/s, 1,200 changed`. `milliseconds` is the time since the walk began. */
export function progressText(tally: Tally, milliseconds: number): string {
  const rate = milliseconds > 0 ? Math.round(tally.entries / (milliseconds / 1000)) : 0;
  const errors = tally.errors > 0 ? `, ${counted(tally.errors, 'error')}` : '';
  return `${counted(tally.entries, 'entry', 'entries')} so far in ${formatDuration(milliseconds)}, ${grouped(rate)}/s, ${grouped(tally.changed)} changed${errors}`;
}

/** The first problems, one a line, and how many more there are. */
export function problemLines(tally: Tally): string[] {
  const more = tally.errors - tally.problems.length;
  return [
    ...tally.problems.map(({ path, action, code }) => `cannot ${action} ${JSON.stringify(path)}: ${code}`),
    ...(more > 0 ? [`and ${grouped(more)} more`] : []),
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
