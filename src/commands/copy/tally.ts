import type { RawName } from '../../fs/tree/file-name.ts';
import type { Following } from './projected.ts';

/** An entry that could not be copied. */
export interface Problem {
  readonly path: string;
  readonly action: string;
  readonly code: string;
}

/** A file that takes longer than a step of the walk may; paths are relative to the two tops. */
export interface LargeFile {
  readonly from: RawName;
  readonly to: RawName;
  readonly followed: Following;
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

/** A directory whose mode would keep its owner from filling it; it is set at the end. */
export interface TightDirectory {
  readonly to: RawName;
  /** Which directory it is, whatever stands at its path by then. */
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
}

/** What was found and done, or was since the last time it was asked. */
export interface Tally {
  entries: number;
  directories: number;
  /** Written, or with --dry-run to be written. */
  copied: number;
  /** Bytes of file content that were written. */
  bytes: number;
  /** Right already. */
  right: number;
  /** Left alone for --no-clobber. */
  kept: number;
  excluded: number;
  vanished: number;
  /** Left out: Node cannot make them. */
  fifos: number;
  sockets: number;
  devices: number;
  /** Entries of which something was left out: Node has no calls for it. */
  attributes: number;
  acls: number;
  /** Files whose owner the kernel did not let us keep. */
  ownerless: number;
  errors: number;
  problems: Problem[];
  large: LargeFile[];
  followed: FollowedLink[];
  tight: TightDirectory[];
  volumes: VolumeBelow[];
}

/** Problems that are listed; the rest are counted. */
export const listed = 10;

export function emptyTally(): Tally {
  return {
    entries: 0,
    directories: 0,
    copied: 0,
    bytes: 0,
    right: 0,
    kept: 0,
    excluded: 0,
    vanished: 0,
    fifos: 0,
    sockets: 0,
    devices: 0,
    attributes: 0,
    acls: 0,
    ownerless: 0,
    errors: 0,
    problems: [],
    large: [],
    followed: [],
    tight: [],
    volumes: [],
  };
}

export function addTally(sum: Tally, more: Tally): void {
  for (const key of counts) sum[key] += more[key];
  for (const problem of more.problems) if (sum.problems.length < listed) sum.problems.push(problem);
  for (const file of more.large) sum.large.push(file);
  for (const link of more.followed) sum.followed.push(link);
  for (const directory of more.tight) sum.tight.push(directory);
  for (const volume of more.volumes) sum.volumes.push(volume);
}

const counts = [
  'entries',
  'directories',
  'copied',
  'bytes',
  'right',
  'kept',
  'excluded',
  'vanished',
  'fifos',
  'sockets',
  'devices',
  'attributes',
  'acls',
  'ownerless',
  'errors',
] as const satisfies readonly (keyof Tally)[];
