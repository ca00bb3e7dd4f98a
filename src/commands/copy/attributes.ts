import type { Stats } from 'node:fs';

import { type Calls, given, type Soon, type Work } from '../../fs/calls.ts';
import { itself } from '../../fs/directory/file-name.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import type { Modes } from '../../fs/tree/mode.ts';
import type { CopyDirectory } from './copy-directories.ts';

const permissions = 0o7777;
const setIds = 0o6000;
const setuid = 0o4000;
const setgid = 0o2000;

/** Whose a copy is and what may be done with it. */
export interface AttributeSettings {
  readonly modes: Modes;
  /** Asked for; undefined to keep the source's where the kernel lets us. */
  readonly owner: FileOwner | undefined;
  /** Whether this process may give files away. */
  readonly mayChown: boolean;
  readonly ownUser: number;
  /** The bits that the kernel takes from the mode of what is made. */
  readonly mask: number;
}

/** What a copy of an entry is to have; an owner only where one is to be set. */
export interface Attributes {
  readonly mode: number;
  readonly owner: FileOwner | undefined;
}

/** As cp -a: mode and owner of the source. A file with another owner gets no set-ID bits for him. */
export function attributesOf(stat: Stats, settings: AttributeSettings): Attributes {
  const directory = stat.isDirectory();
  const change = directory ? settings.modes.directory : settings.modes.file;
  const owner = settings.owner ?? (settings.mayChown ? { uid: stat.uid, gid: stat.gid } : undefined);
  let mode = stat.mode & permissions;
  if (!directory) mode = owner === undefined ? mode & ~setIds : withoutOthersBits(mode, stat, owner);
  return { mode: change?.(mode, directory) ?? mode, owner };
}

/**
 * The mode for a file that belongs to `owner`. Whoever owned the source gave his own program his own rights: with the
 * set-ID bits it would get those of the new owner.
 */
function withoutOthersBits(mode: number, source: FileOwner, owner: FileOwner): number {
  let kept = mode;
  if (source.uid !== owner.uid) kept &= ~setuid;
  if (source.gid !== owner.gid) kept &= ~setgid;
  return kept;
}

/** What a file gets whose owner cannot be kept: as of whoever copies, and no set-ID bits for him. */
export function withoutOwner({ mode }: Attributes): Attributes {
  return { mode: mode & ~setIds, owner: undefined };
}

/** Whether what is there has them. */
export function hasAttributes(there: Stats, wanted: Attributes): boolean {
  if (!there.isSymbolicLink() && (there.mode & permissions) !== wanted.mode) return false;
  const { owner } = wanted;
  return owner === undefined || (there.uid === owner.uid && there.gid === owner.gid);
}

/**
 * Gives an open file that was just made its attributes. The owner after mode and times, which only CAP_FOWNER could
 * change then; set-ID bits last, since giving a file away clears them.
 * @returns false where the owner could not be kept
 */
export function* finishFile(
  calls: Calls,
  descriptor: number,
  stat: Stats,
  wanted: Attributes,
  place: CopyDirectory,
  settings: AttributeSettings,
): Work<boolean> {
  let { mode } = wanted;
  let kept = true;
  const { owner } = wanted;
  const plain = mode & ~setIds;
  if (plain !== (plain & 0o777 & ~settings.mask)) yield* given(calls.fchmod(descriptor, plain));
  yield* given(calls.futimes(descriptor, secondsOf(stat.atimeMs), secondsOf(stat.mtimeMs)));
  const isGiven = owner !== undefined && (owner.uid !== settings.ownUser || owner.gid !== place.group);
  if (isGiven) {
    kept = yield* tryOwner(() => calls.fchown(descriptor, owner.uid, owner.gid), settings);
    if (!kept) mode &= ~setIds;
  }
  // Judged by the owner that the file has: a file system may take another one and not keep it.
  if ((mode & setIds) !== 0) mode = withoutOthersBits(mode, stat, yield* given(calls.fstat(descriptor)));
  if ((mode & setIds) !== 0) yield* given(calls.fchmod(descriptor, mode));
  return kept;
}

/**
 * A time for utimes(2) that reads the same to the microsecond. A double of seconds is up to 119 ns off either way, and
 * whoever cuts off what is below the microsecond would see the one before.
 */
export function secondsOf(milliseconds: number): number | string {
  const micro = Math.floor(milliseconds * 1000);
  const seconds = micro / 1e6;
  // Node takes a negative number for now, and a text for what it says.
  if (seconds < 0) return String(seconds);
  const whole = Math.floor(seconds);
  const early = (seconds - whole) * 1e6 < micro - whole * 1e6;
  // The next double: from 0.7 to 1.4 times the last place is rounded to once.
  return early ? seconds + seconds * Number.EPSILON * 0.7 : seconds;
}

/** Runs what changes an owner. False where that is not allowed and nobody asked for it. */
export function* tryOwner(
  change: () => Soon<void>,
  settings: Pick<AttributeSettings, 'owner'>,
): Work<boolean> {
  try {
    yield* given(change());
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // As cp -a: without the right to it, or with an id that the user namespace has not, the owner is who copies.
    if (settings.owner === undefined && (code === 'EPERM' || code === 'EINVAL')) return false;
    throw error;
  }
}

/** Gives a directory of this copy's own its attributes; set-group-ID that it inherited stays where its group does. */
export function* finishDirectory(
  calls: Calls,
  descriptor: number,
  stat: Stats,
  wanted: Attributes,
  inherited: boolean,
  settings: Pick<AttributeSettings, 'owner'>,
): Work<boolean> {
  const path = itself(descriptor);
  const { owner } = wanted;
  const isGiven = owner !== undefined && (stat.uid !== owner.uid || stat.gid !== owner.gid);
  const mode = inherited && owner === undefined ? wanted.mode | setgid : wanted.mode;
  // Before it is another's, and while its group is one of ours: chown(2) leaves the mode of a directory.
  if ((stat.mode & permissions) !== mode) yield* given(calls.chmod(path, mode));
  return !isGiven || (yield* tryOwner(() => calls.chown(path, owner.uid, owner.gid), settings));
}
