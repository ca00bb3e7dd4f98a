import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { systemHost } from '../process/host.ts';
import { mountId } from './tree/mounts.ts';
import { below, rawOf, type RawName, shownName } from './tree/file-name.ts';
import { absolutePath, isNoDirectory, LinkInPath, O_PATH } from './tree/open-directory.ts';

/** Needs no permission to read: a folder that may only be entered leads on. */
const entered = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** As many links as the kernel follows in one path (path_resolution(7)). */
const mostLinks = 40;

/** A folder on the way, held open. */
interface Step {
  readonly descriptor: number;
  /** Absolute, without links. */
  readonly path: RawName;
}

/**
 * Opens a folder that a user named, one component at a time. A link on the way is followed where the image brought it
 * (`/var/run -> /run`): on the root file system, made by root or by who runs this, in folders that nobody else may
 * write to. On a volume none is, whoever owns it: a volume outlives its users.
 * @param path relative to the current directory, or absolute; `..` is resolved in the text
 * @returns a descriptor, which the caller closes
 * @throws LinkInPath, or the system's error
 */
export function openFolder(path: string): number {
  return reach(path, (way) =>
    openSync(below(last(way).descriptor, '.'), constants.O_RDONLY | constants.O_DIRECTORY),
  );
}

/**
 * Opens a file in a folder that is reached so; a link at the file's own place is not followed (ELOOP).
 * @throws LinkInPath, or the system's error
 */
export function openFileThere(path: string, flags: number): number {
  const whole = absolutePath(path);
  const slash = whole.lastIndexOf('/');
  return reach(whole.slice(0, slash) || '/', (way) =>
    openSync(below(last(way).descriptor, rawOf(whole.slice(slash + 1))), flags | constants.O_NOFOLLOW),
  );
}

/** Whether a file or folder of this owner can be none that others planted: they could change it later. */
export function isOwn({ uid }: { readonly uid: number }): boolean {
  return uid === 0 || uid === systemHost.uid;
}

function reach(path: string, use: (way: readonly Step[]) => number): number {
  const left = partsOf(rawOf(absolutePath(path)));
  const way: Step[] = [{ descriptor: openSync('/', entered), path: '' }];
  try {
    for (let links = 0, name = left.shift(); name !== undefined; name = left.shift()) {
      const target = step(way, name);
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

/** Goes one component on; returns where it leads instead where that is a link of the image. */
function step(way: Step[], name: RawName): RawName | undefined {
  if (name === '..') {
    if (way.length > 1) closeSync((way.pop() as Step).descriptor);
    return undefined;
  }
  const { descriptor, path } = last(way);
  try {
    way.push({ descriptor: openSync(below(descriptor, name), entered), path: `${path}/${name}` });
    return undefined;
  } catch (error) {
    if (!isNoDirectory((error as NodeJS.ErrnoException).code)) throw error;
    const stat = lstatSync(below(descriptor, name), { throwIfNoEntry: false });
    if (!stat?.isSymbolicLink()) throw error;
    const target = readlinkSync(below(descriptor, name), 'latin1');
    // Where nobody else may write, it is the same link still.
    if (isImages(way, stat)) return target;
    throw new LinkInPath(shownName(`${path}/${name}`), shownName(target));
  }
}

function isImages(way: readonly Step[], link: Stats): boolean {
  const root = mountId((way[0] as Step).descriptor);
  return (
    root !== undefined &&
    isOwn(link) &&
    way.every(({ descriptor }) => {
      const stat = fstatSync(descriptor);
      return isOwn(stat) && (stat.mode & 0o022) === 0 && mountId(descriptor) === root;
    })
  );
}

function last(way: readonly Step[]): Step {
  return way.at(-1) as Step;
}

function partsOf(path: RawName): RawName[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
