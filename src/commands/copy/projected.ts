import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from 'node:fs';

import { below, itself, pathOf, type RawName, rawOf } from '../../fs/directory/file-name.ts';
import { isNoDirectory, openDirectory, openPinned } from '../../fs/directory/open-directory.ts';
import { isOwn, ownTarget } from '../../fs/directory/safe-open.ts';
import { dataLink, isCopyPlace, isOurs } from '../../fs/publish/file-names.ts';
import { openBelow } from './merge.ts';

/**
 * The links of a ConfigMap's, Secret's or projected volume: `key -> ..data/key`, and `..data -> ..2026_…`, the directory
 * of the current version beside it (https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter). Whoever writes to
 * another volume can make links that look alike and lead anywhere. So only links of exactly this form are followed that
 * root or whoever runs this made, and each component is opened without following.
 */

/** A name beside `..data`, such as `..2026_11_22_10_00_00.123456789`. */
const versionName = /^\.\.[^/]+$/;

/** A version as the kubelet names it: the time in UTC, and a random number. */
const kubeletVersion = /^\.\.\d{4}(_\d\d){5}\.\d+$/;

/** What the kubelet renames to `..data`. */
const newDataLink = '..data_tmp';

/** What initbox notes in a version that it published: of which files it is made, from which archive. */
const ownNote = /^\.\.initbox(-archive)?\.json$/;

/**
 * Whether a name is part of how a volume keeps its versions, or of how initbox works, and no content of anybody.
 * @param directory the one that holds it, open; unless given, the current one
 */
export function isInternal(name: RawName, directory?: number): boolean {
  if (!name.startsWith('..')) return false;
  if (isCopyPlace(name) || ownNote.test(name)) return true;
  const at = (entry: RawName): string | Buffer =>
    directory === undefined ? pathOf(entry) : below(directory, entry);
  try {
    const data = readlinkSync(at(dataLink), 'latin1');
    if (name === dataLink || isOurs(name)) return true;
    if (name !== data && name !== newDataLink && !kubeletVersion.test(name)) return false;
    const stat = lstatSync(at(name));
    return name === newDataLink ? stat.isSymbolicLink() : stat.isDirectory();
  } catch {
    return false;
  }
}

/** Whether a volume holds nothing but versions and the links to the keys of the current one. */
export function isOnlyKeys(volume: number): boolean {
  return readdirSync(itself(volume), { encoding: 'latin1', withFileTypes: true }).every(
    (entry) =>
      isInternal(entry.name, volume) || (entry.isSymbolicLink() && isKeyOfItsName(volume, entry.name)),
  );
}

function isKeyOfItsName(volume: number, name: RawName): boolean {
  try {
    return readlinkSync(below(volume, name), 'latin1') === `${dataLink}/${name}`;
  } catch (error) {
    // The kubelet removes the links of keys that are gone.
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Whether a link has the form `..data/key` or `..data/folder/key`. */
export function isKey(path: string | Buffer): boolean {
  return componentsOf(path) !== undefined;
}

function componentsOf(path: string | Buffer): readonly RawName[] | undefined {
  const [data, ...components] = readlinkSync(path, 'latin1').split('/');
  if (data !== '..data' || !isOwn(lstatSync(path))) return undefined;
  const plain = components.every((component) => component !== '' && !/^\.\.?$/.test(component));
  return components.length > 0 && plain ? components : undefined;
}

/** What a key's link leads to; undefined where the link is not one of such a volume. */
export function statOfKey(path: string | Buffer): Stats | undefined {
  const pinned = pinKey(path);
  if (pinned === undefined) return undefined;
  try {
    return fstatSync(pinned);
  } finally {
    closeSync(pinned);
  }
}

/** Opens what a key's link leads to. @throws the system's error, or where the link is not one of such a volume */
export function openKey(path: string | Buffer, flags: number): number {
  const pinned = pinKey(path);
  if (pinned === undefined) throw new Error('it is not a link of a ConfigMap or Secret any more');
  try {
    return openSync(itself(pinned), flags);
  } finally {
    closeSync(pinned);
  }
}

/** Pins the regular file or directory of a key. */
function pinKey(path: string | Buffer): number | undefined {
  const components = componentsOf(path);
  if (components === undefined) return undefined;
  const raw = typeof path === 'string' ? rawOf(path) : path.toString('latin1');
  const slash = raw.lastIndexOf('/');
  const volume = openDirectory(slash < 0 ? '.' : `${raw.slice(0, slash)}/.`);
  try {
    const version = openVersion(volume);
    if (version === undefined) return undefined;
    try {
      return pinPlain(version, components);
    } finally {
      closeSync(version);
    }
  } finally {
    closeSync(volume);
  }
}

function pinPlain(version: number, components: readonly RawName[]): number | undefined {
  let parent: number;
  try {
    parent = openBelow(version, components.slice(0, -1).join('/'));
  } catch (error) {
    if (isNoDirectory((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
  try {
    const pinned = openPinned(below(parent, components.at(-1) ?? ''));
    const stat = fstatSync(pinned);
    if (stat.isFile() || stat.isDirectory()) return pinned;
    closeSync(pinned);
    return undefined;
  } finally {
    closeSync(parent);
  }
}

/**
 * Opens the current version of a volume.
 * @returns undefined where its `..data` does not lead to a directory beside it
 */
export function openVersion(volume: number): number | undefined {
  for (let before = ''; ;) {
    const name = versionOf(volume);
    if (name === undefined) return undefined;
    try {
      return openDirectory(name, volume);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isNoDirectory(code)) return undefined;
      // The kubelet moves ..data on and removes the old version: between the two calls it may have done both.
      if (code !== 'ENOENT' || name === before) throw error;
      before = name;
    }
  }
}

function versionOf(volume: number): RawName | undefined {
  try {
    if (!lstatSync(`${itself(volume)}/..data`).isSymbolicLink()) return undefined;
    const name = ownTarget(volume, '..data');
    return name !== undefined && versionName.test(name) ? name : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw error;
  }
}

/** How far a link in the last component of a source is followed. */
export type Following = 'none' | 'key' | 'all';

/** Never blocks on a FIFO that was swapped in, and follows a link only where that was asked for. */
export function openSource(path: string | Buffer, following: Following): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  if (following === 'key') return openKey(path, flags);
  return openSync(path, following === 'all' ? flags : flags | constants.O_NOFOLLOW);
}

/** The same for a directory behind a link. */
export function openFollowed(path: string | Buffer, following: Following): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  return following === 'key' ? openKey(path, flags) : openSync(path, flags);
}
