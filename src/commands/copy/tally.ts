import type { RawName } from '../../fs/directory/file-name.ts';
import { emptyWalkTally, type WalkTally } from '../../fs/tree/tally.ts';
import type { ReadPart } from './listings.ts';
import type { Following } from './projected.ts';

/** A file that takes longer than a step of the walk may; paths are relative to the two tops. */
export interface LargeFile {
  readonly from: RawName;
  readonly to: RawName;
  readonly followed: Following;
  /** What `entryHash` says of it. */
  readonly hash: number;
}

/** A link to a directory whose content is to be copied in its place. */
export interface FollowedLink {
  readonly from: RawName;
  readonly to: RawName;
}

/** A ConfigMap's, Secret's or projected volume below a source, and the version of which the first key was read. */
export interface VolumeBelow {
  readonly path: RawName;
  readonly version: string;
}

/** A directory that gets its mode at the end: it would keep its owner from filling it, or is one that readers see. */
export interface TightDirectory {
  readonly to: RawName;
  /** Which directory it is, whatever stands at its path by then. */
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
}

/** The stage of a mount below DEST that was written to, and the mount's own root. */
export interface MountStage {
  /** The mount, relative to DEST. */
  readonly path: RawName;
  readonly dev: number;
  readonly ino: number;
  readonly rootDev: number;
  readonly rootIno: number;
}

/** What was found and done, or was since the last time it was asked. */
export interface CopyTally extends WalkTally {
  /** Written, or with --dry-run to be written. */
  copied: number;
  /** Bytes of file content that were written. */
  bytes: number;
  /** Left alone for --no-clobber. */
  kept: number;
  /** Left out: Node cannot make them. */
  fifos: number;
  sockets: number;
  devices: number;
  /** Entries of which something was left out: Node has no calls for it. */
  attributes: number;
  acls: number;
  /** Files whose owner the kernel did not let us keep. */
  ownerless: number;
  /** Of those that vanished, folders, and what was gone before it was looked at. */
  foldersGone: number;
  unknownGone: number;
  /** Folders in whose place another one stood by the time all of them was read. */
  foldersReplaced: number;
  /** Files that became shorter while they were read, by their paths in DEST. */
  shortened: RawName[];
  /** The same of those that were written to, and did not only grow. */
  rewritten: RawName[];
  large: LargeFile[];
  followed: FollowedLink[];
  tight: TightDirectory[];
  volumes: VolumeBelow[];
  stages: MountStage[];
  /** Folders and entries (listings.ts). */
  read: ReadPart[];
  /** With --delete, the directories that were entered (seen-directories.ts). */
  seen: number[];
}

export function emptyCopyTally(): CopyTally {
  return {
    ...emptyWalkTally(),
    copied: 0,
    bytes: 0,
    kept: 0,
    fifos: 0,
    sockets: 0,
    devices: 0,
    attributes: 0,
    acls: 0,
    ownerless: 0,
    foldersGone: 0,
    unknownGone: 0,
    foldersReplaced: 0,
    shortened: [],
    rewritten: [],
    large: [],
    followed: [],
    tight: [],
    volumes: [],
    stages: [],
    read: [],
    seen: [],
  };
}

/** Counts that --dry-run reports; others, and the lists, are for the work, or known only once a file is read. */
const reported = [
  'entries',
  'directories',
  'right',
  'vanished',
  'excluded',
  'errors',
  'copied',
  'bytes',
  'kept',
  'fifos',
  'sockets',
  'devices',
  'ownerless',
] as const satisfies readonly (keyof CopyTally)[];

export function countsOf(tally: CopyTally): Readonly<Record<string, number>> {
  return Object.fromEntries(reported.map((name) => [name, tally[name]]));
}
