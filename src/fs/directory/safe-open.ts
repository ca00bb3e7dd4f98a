import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';

import { systemHost } from '../../process/host.ts';
import { libcAtOnce } from '../../process/libc.ts';
import { type Calls, calls, doAtOnce, given, type Work } from '../calls.ts';
import { below, rawOf, type RawName, shownName } from './file-name.ts';
import { readLink } from './link.ts';
import { mountId } from './mounts.ts';
import { asPinned, isNoDirectory, O_PATH } from './open-directory.ts';
import { absolutePath, ExchangedInPath, LinkInPath } from './pinned-path.ts';

/** Needs no permission to read: a folder that may only be entered leads on. */
const entered = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** As many links as the kernel follows in one path (path_resolution(7)). */
const mostLinks = 40;

/**
 * How often a path is looked up that leads nowhere: it is followed one component at a time, and a link in it may lead to
 * another folder meanwhile, and the old one be removed, so that the path leads somewhere at every moment all the same.
 */
const mostLooks = 3;

/** A folder on the way, held open; the last step may be a file. */
interface Step {
  readonly descriptor: number;
  /** Absolute, without links. */
  readonly path: RawName;
}

/** Where a link at the end of a way leads; undefined where it is not to be followed. */
type Follow = (way: readonly Step[], name: RawName) => RawName | undefined;

/**
 * Opens a folder that a user named, one component at a time. A link on the way is followed where the image brought it
 * (`/var/run -> /run`): on the root file system, made by root or by who runs this, in folders that nobody else may
 * write to. On a volume none is, whoever owns it: a volume outlives its users.
 * @param path relative to the current directory, or absolute; `..` is resolved in the text
 * @returns a descriptor, which the caller closes
 * @throws LinkInPath, or the system's error
 */
export function openFolder(path: string): number {
  return reach(path, imageLink, entered, (way) =>
    openSync(below(last(way).descriptor, '.'), constants.O_RDONLY | constants.O_DIRECTORY),
  );
}

/**
 * As openFolder, and makes what is missing on the way.
 * @param make makes a folder in an open one, or throws
 */
export function makeFolder(path: string, make: MakeFolder): number {
  return reach(
    path,
    imageLink,
    entered,
    (way) => openSync(below(last(way).descriptor, '.'), constants.O_RDONLY | constants.O_DIRECTORY),
    make,
  );
}

/** @param rest what comes below the folder, as far as it is known without it */
type MakeFolder = (parent: number, shown: string, name: RawName, rest: readonly RawName[]) => void;

/** Opens the deepest folder on a path that is there, as openFolder does, and tells which names are missing below it. */
export function openNearest(path: string): {
  readonly descriptor: number;
  readonly path: string;
  readonly missing: readonly RawName[];
} {
  let missing: readonly RawName[] = [];
  let nearest: number | undefined;
  let shownNearest = path;
  try {
    const descriptor = makeFolder(path, (parent, shown, name, rest) => {
      nearest = openSync(below(parent, '.'), entered);
      shownNearest = shown === '' ? '/' : shown;
      missing = [name, ...rest];
      throw new Error('it is not made');
    });
    return { descriptor, path, missing };
  } catch (error) {
    if (nearest === undefined) throw error;
    return { descriptor: nearest, path: shownNearest, missing };
  }
}

/**
 * Opens a file in a folder that is reached so; a link at the file's own place is not followed (ELOOP).
 * @throws LinkInPath, or the system's error
 */
export function openFileThere(path: string, flags: number): number {
  const whole = absolutePath(path);
  const slash = whole.lastIndexOf('/');
  return reach(whole.slice(0, slash) || '/', imageLink, entered, (way) =>
    openSync(below(last(way).descriptor, rawOf(whole.slice(slash + 1))), flags | constants.O_NOFOLLOW),
  );
}

/**
 * Pins a file or folder that a user named to be read, one component at a time. A link is followed where root or whoever
 * runs this made it, as those of a ConfigMap's volume are. One of another user could lead to what only this process may
 * read, and its content to where that user reads it.
 * @returns a descriptor opened with O_PATH, of whatever is there but a link; the caller closes it
 * @throws LinkInPath, or the system's error
 */
export function pinInput(path: string): number {
  for (let look = 1; ; look++) {
    try {
      return reach(path, ownLink, asPinned, (way) => (way.pop() as Step).descriptor);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (look === mostLooks || (code !== 'ENOENT' && code !== 'ENOTDIR')) throw error;
    }
  }
}

/** Whether a file or folder of this owner can be none that others planted: they could change it later. */
export function isOwn({ uid }: { readonly uid: number }): boolean {
  return uid === 0 || uid === systemHost.uid;
}

/**
 * Whether mode and group let somebody write who is neither the owner nor root: everybody, or a group, which fsGroup gives
 * to all containers of a pod. Root's own group is no such one.
 */
export function isOpenToOthers({ mode, gid }: { readonly mode: number; readonly gid: number }): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
}

/**
 * @param end how the last component is opened
 * @param make makes a component that is missing; where it is not given, that is an error
 */
function reach(
  path: string,
  follow: Follow,
  end: number,
  use: (way: Step[]) => number,
  make?: MakeFolder,
): number {
  const left = partsOf(rawOf(absolutePath(path)));
  const way: Step[] = [{ descriptor: openSync('/', entered), path: '' }];
  try {
    for (let links = 0, name = left.shift(); name !== undefined; name = left.shift()) {
      const makeIt = make && ((at: number, shown: string, raw: RawName) => make(at, shown, raw, left));
      const target = step(way, name, follow, left.length === 0 ? end : entered, makeIt);
      if (target === undefined) continue;
      if (++links > mostLinks) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
      if (target.startsWith('/')) for (const { descriptor } of way.splice(1)) closeSync(descriptor);
      left.unshift(...partsOf(target));
    }
    return use(way);
  } finally {
    for (const { descriptor } of way) closeSync(descriptor);
  }
}

/** Goes one component on; returns where it leads instead where that is a link to be followed. */
function step(
  way: Step[],
  name: RawName,
  follow: Follow,
  flags: number,
  make?: (parent: number, shown: string, name: RawName) => void,
): RawName | undefined {
  if (name === '..') {
    if (way.length > 1) closeSync((way.pop() as Step).descriptor);
    return undefined;
  }
  const { descriptor, path } = last(way);
  try {
    const opened = openSync(below(descriptor, name), flags);
    // Without O_DIRECTORY, O_PATH opens a link itself.
    if (flags === entered || !fstatSync(opened).isSymbolicLink()) {
      way.push({ descriptor: opened, path: `${path}/${name}` });
      return undefined;
    }
    closeSync(opened);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && make !== undefined) {
      make(descriptor, shownName(path), name);
      return step(way, name, follow, flags);
    }
    if (!isNoDirectory(code)) throw error;
    if (!linkAt(way, name)) throw error;
  }
  const target = follow(way, name);
  if (target !== undefined) return target;
  throw linkInPath(descriptor, name, shownName(`${path}/${name}`));
}

/** @param shown the link's path */
function linkInPath(folder: number, name: RawName, shown: string): Error {
  try {
    return new LinkInPath(shown, shownName(readlinkSync(below(folder, name), 'latin1')));
  } catch {
    return new ExchangedInPath(shown);
  }
}

function linkAt(way: readonly Step[], name: RawName): Stats | undefined {
  const stat = lstatSync(below(last(way).descriptor, name), { throwIfNoEntry: false });
  return stat?.isSymbolicLink() ? stat : undefined;
}

/** Where nobody else may write, it is the same link still when it is read. */
function imageLink(way: readonly Step[], name: RawName): RawName | undefined {
  const link = linkAt(way, name);
  const root = mountId((way[0] as Step).descriptor);
  const isImages =
    root !== undefined &&
    link !== undefined &&
    isOwn(link) &&
    way.every(({ descriptor }) => isGuarded(fstatSync(descriptor)) && mountId(descriptor) === root);
  return isImages ? readlinkSync(below(last(way).descriptor, name), 'latin1') : undefined;
}

function ownLink(way: readonly Step[], name: RawName): RawName | undefined {
  return doAtOnce(ownTarget(calls, last(way).descriptor, name));
}

/**
 * Where a link in an open folder leads that root or whoever runs this made; undefined where others did.
 * @throws the system's error, an Error where it is no link any more
 */
export function* ownTarget(by: Calls, folder: number, name: RawName): Work<RawName | undefined> {
  // Elsewhere another link can take its place between the look at its owner and the look at its target.
  const libc = isGuarded(yield* given(by.fstat(folder))) ? undefined : libcAtOnce();
  const { stat, target } = yield* readLink(by, below(folder, name), libc);
  return isOwn(stat) ? target.toString('latin1') : undefined;
}

/** A folder of root or of this user into which nobody else may write. */
function isGuarded(folder: Stats): boolean {
  return isOwn(folder) && (folder.mode & 0o022) === 0;
}

function last(way: readonly Step[]): Step {
  return way.at(-1) as Step;
}

function partsOf(path: RawName): RawName[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
