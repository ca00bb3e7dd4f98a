import { chmodSync, closeSync, fstatSync, opendirSync, type Stats } from 'node:fs';

import { UsageError } from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { below, itself, rawOf, shownName } from '../../fs/directory/file-name.ts';
import { refusedDirectory } from '../../fs/directory/forbidden-places.ts';
import { openPinned } from '../../fs/directory/open-directory.ts';
import { explained, refused } from '../../fs/error-message.ts';
import { modesOf, parseModeChange } from '../../fs/tree/mode.ts';
import type { NamedEntries } from './action.ts';
import type { Change, Way } from './change.ts';
import { asUsage, DoesNotFit } from './place.ts';

const permissions = 0o7777;

/** Names looked at between two chances for a signal to be handled. */
const atOnce = 256;

/**
 * Sets permissions of a path, or of what a pattern stands for, and of nothing below. Each is judged and changed by one
 * handle; a link has no mode, and is not followed.
 */
export async function setMode(
  { folder, names }: NamedEntries,
  mode: string,
  path: string,
  { apply, ifExists, script }: Way,
  signal: AbortSignal,
): Promise<Change> {
  let opened: Directory;
  try {
    opened = Directory.reach(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing(path, ifExists);
    throw asUsage(explained(error, path, { doing: 'set the mode of' }));
  }
  using directory = opened;
  const one = (name: string | Buffer, shown: string, byPattern: boolean): Change =>
    ofEntry({ directory, name, shown, mode, apply, script, byPattern });
  if (typeof names === 'string') {
    const change = one(names === '' ? '.' : names, path, false);
    return change === 'absent' ? missing(path, ifExists) : change;
  }
  let [changed, right, looked] = [0, 0, 0];
  using listing = opendirSync(directory.itself, { encoding: 'latin1' as BufferEncoding });
  for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
    if (++looked % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    const shown = shownName(entry.name);
    if (shown.startsWith('..') || !names.matchesAsInShell(shown)) continue;
    const change = one(Buffer.from(entry.name, 'latin1'), `${folder === '/' ? '' : folder}/${shown}`, true);
    if (change === 'changed') changed++;
    else if (change === 'right') right++;
  }
  if (changed + right === 0) return missing(path, ifExists);
  return changed > 0 ? 'changed' : 'right';
}

function missing(path: string, ifExists: boolean): Change {
  if (ifExists) return 'left out';
  throw new DoesNotFit(
    `cannot set the mode of ${path}: it does not exist`,
    'is its volume mounted in this container? --if-exists leaves it out',
  );
}

function ofEntry({
  directory,
  name,
  shown,
  mode,
  apply,
  script,
  byPattern,
}: {
  readonly directory: Directory;
  readonly name: string | Buffer;
  readonly shown: string;
  readonly mode: string;
  readonly apply: boolean;
  readonly script: string;
  /** Then a link is passed over. */
  readonly byPattern: boolean;
}): Change {
  let pinned: number;
  try {
    pinned = openPinned(
      below(directory.fd, typeof name === 'string' ? rawOf(name) : name.toString('latin1')),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw explained(error, shown, { doing: 'set the mode of' });
  }
  try {
    const stat = fstatSync(pinned);
    if (stat.isSymbolicLink()) {
      if (byPattern) return 'left out';
      throw new DoesNotFit(
        `cannot set the mode of ${shown}: it is a symbolic link, which is not followed`,
        'write the real path, without links',
      );
    }
    const why = refusedDirectory(stat.isDirectory() ? pinned : directory.fd, shown, script, 'file');
    if (why !== undefined || shown === '/')
      throw new UsageError(`cannot set the mode of ${shown}: ${why ?? 'it is the root directory'}`);
    const wanted = wantedMode(stat, mode, shown);
    if (wanted === (stat.mode & permissions)) return 'right';
    if (apply) changeMode(pinned, wanted, shown);
    return 'changed';
  } finally {
    closeSync(pinned);
  }
}

/** @throws DoesNotFit where a special bit is for folders alone */
function wantedMode(stat: Stats, mode: string, shown: string): number {
  const before = stat.mode & permissions;
  if (stat.isDirectory()) return parseModeChange(mode, 'directory')(before, true);
  try {
    parseModeChange(mode, 'file', false);
    return modesOf({ file: mode, setgid: false }).file?.(before, false) ?? before;
  } catch (error) {
    throw new DoesNotFit(`cannot set the mode of ${shown}: ${(error as Error).message}`);
  }
}

function changeMode(pinned: number, wanted: number, shown: string): void {
  try {
    chmodSync(itself(pinned), wanted);
  } catch (error) {
    throw explained(error, shown, { doing: 'set the mode of' });
  }
  const now = fstatSync(pinned).mode & permissions;
  if (now !== wanted)
    throw refused(
      `cannot set the mode of ${shown}: it was set to ${octal(wanted)}, and the file system made it ${octal(now)}`,
      'some file systems (vfat, CIFS, some FUSE) keep no modes: their mount options set them; set-group-ID needs a group that this user is in, or the capability FSETID',
    );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
