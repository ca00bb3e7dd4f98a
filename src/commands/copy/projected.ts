import { closeSync, constants, readdirSync, readlinkSync, type Stats } from 'node:fs';

import { type Calls, calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import { codeAmong } from '../../fs/directory/directory.ts';
import { below, itself, pathOf, type RawName, rawOf } from '../../fs/directory/file-name.ts';
import { asDirectory, asPinned, isAbsent, isNoDirectory } from '../../fs/directory/open-directory.ts';
import { openingBelow } from '../../fs/directory/opening-below.ts';
import { isOwn, ownTarget } from '../../fs/directory/safe-open.ts';
import { dataLink, isCopyPlace, isOurs } from '../../fs/publish/file-names.ts';

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
 * @param at the path of an entry of the directory that holds it
 */
export function isInternal(name: RawName, at: (entry: RawName) => string | Buffer): boolean {
  return doAtOnce(beingInternal(calls, name, at));
}

/** The same as work. */
export function* beingInternal(
  by: Calls,
  name: RawName,
  at: (entry: RawName) => string | Buffer,
): Work<boolean> {
  if (!name.startsWith('..')) return false;
  if (isCopyPlace(name) || ownNote.test(name)) return true;
  try {
    const data = (yield* given(by.readlink(at(dataLink)))).toString('latin1');
    if (name === dataLink || isOurs(name)) return true;
    if (name !== data && name !== newDataLink && !kubeletVersion.test(name)) return false;
    const stat = yield* given(by.lstat(at(name)));
    if (stat === undefined) return false;
    return name === newDataLink ? stat.isSymbolicLink() : stat.isDirectory();
  } catch (error) {
    if (!isAbsent(error)) codeAmong(error, ['EACCES']);
    return false;
  }
}

/** Whether a volume holds nothing but versions and the links to the keys of the current one. */
export function isOnlyKeys(volume: number): boolean {
  const at = (name: RawName): string | Buffer => below(volume, name);
  return readdirSync(itself(volume), { encoding: 'latin1', withFileTypes: true }).every(
    (entry) => isInternal(entry.name, at) || (entry.isSymbolicLink() && isKeyOfItsName(volume, entry.name)),
  );
}

function isKeyOfItsName(volume: number, name: RawName): boolean {
  try {
    return readlinkSync(below(volume, name), 'latin1') === `${dataLink}/${name}`;
  } catch (error) {
    // The kubelet removes the links of keys that are gone.
    return codeAmong(error, ['ENOENT', 'EINVAL']) === 'ENOENT';
  }
}

/** Whether a link has the form `..data/key` or `..data/folder/key`. */
export function* isKey(by: Calls, path: string | Buffer): Work<boolean> {
  return (yield* componentsOf(by, path)) !== undefined;
}

function* componentsOf(by: Calls, path: string | Buffer): Work<readonly RawName[] | undefined> {
  const target = yield* given(by.readlink(path));
  const [data, ...components] = target.toString('latin1').split('/');
  if (data !== '..data') return undefined;
  const link = yield* given(by.lstat(path));
  if (link === undefined) throw Object.assign(new Error('the link is gone'), { code: 'ENOENT' });
  if (!isOwn(link)) return undefined;
  const plain = components.every((component) => component !== '' && !/^\.\.?$/.test(component));
  return components.length > 0 && plain ? components : undefined;
}

/** What a key's link leads to; undefined where the link is not one of such a volume. */
export function* statOfKey(by: Calls, path: string | Buffer): Work<Stats | undefined> {
  const pinned = yield* pinKey(by, path);
  if (pinned === undefined) return undefined;
  try {
    return yield* given(by.fstat(pinned));
  } finally {
    closeSync(pinned);
  }
}

/** Opens what a key's link leads to. @throws the system's error, or where the link is not one of such a volume */
export function* openKey(by: Calls, path: string | Buffer, flags: number): Work<number> {
  const pinned = yield* pinKey(by, path);
  if (pinned === undefined) throw new Error('it is not a link of a ConfigMap or Secret any more');
  try {
    return yield* given(by.open(itself(pinned), flags));
  } finally {
    closeSync(pinned);
  }
}

/** Pins the regular file or directory of a key. */
function* pinKey(by: Calls, path: string | Buffer): Work<number | undefined> {
  const components = yield* componentsOf(by, path);
  if (components === undefined) return undefined;
  const raw = typeof path === 'string' ? rawOf(path) : path.toString('latin1');
  const slash = raw.lastIndexOf('/');
  const volume = yield* given(by.open(slash < 0 ? '.' : pathOf(`${raw.slice(0, slash)}/.`), asDirectory));
  try {
    const version = yield* openVersion(by, volume);
    if (version === undefined) return undefined;
    try {
      return yield* pinPlain(by, version, components);
    } finally {
      closeSync(version);
    }
  } finally {
    closeSync(volume);
  }
}

function* pinPlain(by: Calls, version: number, components: readonly RawName[]): Work<number | undefined> {
  let parent: number;
  try {
    parent = yield* openingBelow(by, version, components.slice(0, -1).join('/'));
  } catch (error) {
    if (isNoDirectory((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
  try {
    const pinned = yield* given(by.open(below(parent, components.at(-1) ?? ''), asPinned));
    let plain = false;
    try {
      const stat = yield* given(by.fstat(pinned));
      plain = stat.isFile() || stat.isDirectory();
    } finally {
      if (!plain) closeSync(pinned);
    }
    return plain ? pinned : undefined;
  } finally {
    closeSync(parent);
  }
}

/**
 * Opens the current version of a volume.
 * @returns undefined where its `..data` does not lead to a directory beside it
 */
export function* openVersion(by: Calls, volume: number): Work<number | undefined> {
  for (let before = ''; ;) {
    const name = yield* versionOf(by, volume);
    if (name === undefined) return undefined;
    try {
      return yield* given(by.open(below(volume, name), asDirectory));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isNoDirectory(code)) return undefined;
      // The kubelet moves ..data on and removes the old version: between the two by it may have done both.
      if (code !== 'ENOENT' || name === before) throw error;
      before = name;
    }
  }
}

function* versionOf(by: Calls, volume: number): Work<RawName | undefined> {
  try {
    const data = yield* given(by.lstat(below(volume, dataLink)));
    if (!data?.isSymbolicLink()) return undefined;
    const name = yield* ownTarget(by, volume, dataLink);
    return name !== undefined && versionName.test(name) ? name : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw error;
  }
}

/** How far a link in the last component of a source is followed. */
export type Following = 'none' | 'key' | 'all';

const toRead = constants.O_RDONLY | constants.O_NONBLOCK;

/** How a file is opened that is no link. */
export const plainSource = toRead | constants.O_NOFOLLOW;

/** Never blocks on a FIFO that was swapped in, and follows a link only where that was asked for. */
export function* openSource(by: Calls, path: string | Buffer, following: Following): Work<number> {
  if (following === 'key') return yield* openKey(by, path, toRead);
  return yield* given(by.open(path, following === 'all' ? toRead : plainSource));
}

/** The same for a directory behind a link. */
export function* openFollowed(by: Calls, path: string | Buffer, following: Following): Work<number> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  return following === 'key' ? yield* openKey(by, path, flags) : yield* given(by.open(path, flags));
}
