import { formatDuration } from '../../core/duration.ts';
import { sized } from '../../fs/error-message.ts';
import type { Tally } from './tally.ts';

/** `202,001`. Not by Intl, whose first use costs more time than most copies. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `202,001 entries`, `1 entry`. */
function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** What was found and done, for the summary line. */
export function tallyText(tally: Tally, removed: number | undefined, dryRun: boolean): string {
  const parts = [
    `${grouped(tally.copied)} ${dryRun ? 'to copy' : 'copied'} (${sized(tally.bytes)})`,
    `${grouped(tally.right)} unchanged`,
  ];
  if (tally.kept > 0) parts.push(`${grouped(tally.kept)} kept (--no-clobber)`);
  if (removed !== undefined) parts.push(`${grouped(removed)} ${dryRun ? 'to remove' : 'removed'}`);
  if (tally.excluded > 0) parts.push(`${grouped(tally.excluded)} excluded`);
  if (tally.vanished > 0) parts.push(`${grouped(tally.vanished)} vanished meanwhile`);
  return parts.join(', ');
}

/** `210,000 entries so far in 5s, 42,000/s, 1.2 GB written`. `milliseconds` is the time since it began. */
export function progressText(tally: Tally, milliseconds: number): string {
  const rate = milliseconds > 0 ? Math.round(tally.entries / (milliseconds / 1000)) : 0;
  const errors = tally.errors > 0 ? `, ${counted(tally.errors, 'error')}` : '';
  return `${counted(tally.entries, 'entry', 'entries')} so far in ${formatDuration(milliseconds)}, ${grouped(rate)}/s, ${sized(tally.bytes)} written${errors}`;
}

/** One sentence on what was left out, or undefined. */
export function leftOutText(tally: Tally): string | undefined {
  const parts = [
    ...(tally.fifos > 0 ? [counted(tally.fifos, 'FIFO')] : []),
    ...(tally.sockets > 0 ? [counted(tally.sockets, 'socket')] : []),
    ...(tally.devices > 0 ? [counted(tally.devices, 'device')] : []),
    ...(tally.attributes > 0
      ? [`extended attributes (xattrs) of ${counted(tally.attributes, 'entry', 'entries')}`]
      : []),
    ...(tally.acls > 0 ? [`ACLs of ${counted(tally.acls, 'entry', 'entries')}`] : []),
  ];
  return parts.length === 0
    ? undefined
    : `left out, since only files, links and directories are copied, with modes, owners and times: ${parts.join(', ')}`;
}

/** The first problems, one a line, and how many more there are. */
export function problemLines({ problems, errors }: Pick<Tally, 'problems' | 'errors'>): string[] {
  const more = errors - problems.length;
  return [
    ...problems.map(({ path, action, code }) => `cannot ${action} ${JSON.stringify(path)}: ${code}`),
    ...(more > 0 ? [`and ${grouped(more)} more`] : []),
  ];
}
