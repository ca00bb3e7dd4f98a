import { formatBytes } from '../../core/size.ts';
import { counted, grouped } from '../../fs/tree/tally.ts';
import type { CopyTally } from './tally.ts';

/** What was found and done, for the summary line. */
export function copySummary(tally: CopyTally, removed: number | undefined, dryRun: boolean): string {
  const parts = [
    `${grouped(tally.copied)} ${dryRun ? 'to copy' : 'copied'} (${formatBytes(tally.bytes)})`,
    `${grouped(tally.right)} unchanged`,
  ];
  if (tally.kept > 0) parts.push(`${grouped(tally.kept)} kept`);
  if (removed !== undefined) parts.push(`${grouped(removed)} ${dryRun ? 'to remove' : 'removed'}`);
  if (tally.excluded > 0) parts.push(`${grouped(tally.excluded)} excluded`);
  if (tally.vanished > 0) parts.push(`${grouped(tally.vanished)} vanished meanwhile`);
  return parts.join(', ');
}

/** One sentence on what was left out, or undefined. */
export function leftOutText(tally: CopyTally): string | undefined {
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
