import { fchownSync, fstatSync, readFileSync, type Stats } from 'node:fs';

import { doAtOnce } from '../../fs/calls.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import type { Modes } from '../../fs/tree/mode.ts';
import { ownGroups } from '../../process/capabilities.ts';
import { systemHost } from '../../process/host.ts';
import { changeDirectory, directoryMode } from './change.ts';
import { belongsTo, type NewOwner } from './owner.ts';

/**
 * The owner of a top directory below which a change is under way. No user has this id: as 16 bits it is -1
 * (https://systemd.io/UIDS-GIDS/), and it is mapped in a pod's user namespace, which ends with it.
 */
export const underWay = 65_535;

/** The code of a file system that takes a new owner and goes on showing the old one. */
export const notKept = 'ENOTKEPT';

/** The top directory cannot be changed: then nothing below it is, because nobody could trust the result. */
export class TopRefused extends Error {
  override readonly name = 'TopRefused';
  readonly code: string;

  constructor(code: string) {
    super(`its owner cannot be changed (${code})`);
    this.code = code;
  }
}

/** Whether the top may be one that was marked as under way: it speaks for nothing below it then. */
export function isMarked(stat: Stats, owner: NewOwner): boolean {
  return (
    (owner.uid !== undefined && stat.uid === underWay) || (owner.gid !== undefined && stat.gid === underWay)
  );
}

export function isRight(stat: Stats, owner: NewOwner, modes: Modes): boolean {
  return belongsTo(stat, owner) && directoryMode(stat, modes) === undefined;
}

/**
 * Makes the top directory's owner one that nobody takes for right, before anything below is changed: not for what this
 * run sets, and not for what an earlier one set either. Only ids that this run sets are touched, and so are restored.
 * @param keepAccess the user id to leave in force where the caller could not enter a directory of another user
 * @throws TopRefused
 */
export function mark(descriptor: number, owner: NewOwner, keepAccess: number | undefined): void {
  const before = fstatSync(descriptor);
  if (before.uid === underWay || before.gid === underWay) {
    if (isWholeMark(before, owner, keepAccess)) return;
  }
  const uid = owner.uid === undefined ? undefined : (keepAccess ?? underWay);
  const gid = owner.gid === undefined ? undefined : underWay;
  const refused = tried(descriptor, uid, gid);
  if (refused !== undefined) {
    const second = substitutes(refused, owner).some(
      (other) => tried(descriptor, uid && other(owner.uid), gid && other(owner.gid)) === undefined,
    );
    // Who owns it may give it to a group of his own, and to no other: it is not marked then, only set last.
    if (!second && mayGiveToOwnGroup(refused, before, owner)) return;
    if (!second) throw new TopRefused(refused);
  }
  const after = fstatSync(descriptor);
  if (belongsTo(after, owner) && !isMarked(after, owner)) throw new TopRefused(notKept);
}

/** Whether this process may make the change though not the mark: without CAP_CHOWN (chown(2)). */
function mayGiveToOwnGroup(refused: string, before: Stats, { uid, gid }: NewOwner): boolean {
  if (refused !== 'EPERM' || gid === undefined || before.uid !== systemHost.uid) return false;
  return (uid === undefined || uid === before.uid) && ownGroups().has(gid);
}

/** The code of the error, where there was one. */
function tried(descriptor: number, uid: number | undefined, gid: number | undefined): string | undefined {
  try {
    fchownSync(descriptor, uid ?? unchanged, gid ?? unchanged);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** No owner: tells chown(2) to leave it. */
const unchanged = -1;

/** Ids to mark with where 65535 is none, in the order in which they are to be tried. */
function substitutes(code: string, owner: NewOwner): readonly ((id: number | undefined) => number)[] {
  // A user namespace that maps fewer ids, where root and nobody are the best there are, or not even this run's.
  if (code === 'EINVAL' && isMapped(owner.uid, 'uid_map') && isMapped(owner.gid, 'gid_map'))
    return [(id) => (id === 0 ? 65_534 : 0)];
  // An idmapped mount, whose mapping nobody tells: if it has this run's id, it has one beside it.
  if (code === 'EOVERFLOW')
    return [1, -1].map(
      (step) =>
        (id = 0) =>
          Math.max(0, id + step),
    );
  return [];
}

function codeOf(error: unknown): string {
  return systemErrorCode(error) ?? String(error);
}

function isWholeMark(stat: Stats, owner: NewOwner, keepAccess: number | undefined): boolean {
  return (
    (owner.uid === undefined || stat.uid === (keepAccess ?? underWay)) &&
    (owner.gid === undefined || stat.gid === underWay)
  );
}

/** Whether an id exists in this user namespace: lines of first id, first id outside, count (user_namespaces(7)). */
function isMapped(id: number | undefined, map: 'uid_map' | 'gid_map'): boolean {
  if (id === undefined) return true;
  try {
    return readFileSync(`/proc/self/${map}`, 'latin1')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .some(([first = 0, , count = 0]) => id >= first && id < first + count);
  } catch {
    return true;
  }
}

/**
 * Gives the top directory its owner and mode, after all else.
 * @throws TopRefused
 */
export function settle(descriptor: number, owner: NewOwner, modes: Modes, ownGroup: number): void {
  const stat = fstatSync(descriptor);
  try {
    doAtOnce(changeDirectory(descriptor, stat, owner, directoryMode(stat, modes), ownGroup));
  } catch (error) {
    throw new TopRefused(codeOf(error));
  }
  if (!belongsTo(fstatSync(descriptor), owner)) throw new TopRefused(notKept);
}
