import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync, type Stats } from 'node:fs';

import { below, itself, shownName } from './directory/file-name.ts';
import { isWithin, type Mount, mountId, mountOf, readMounts } from './directory/mounts.ts';
import { openDirectory, openPinned } from './directory/open-directory.ts';
import { ClosedPath, MissingPath, openPlace, type PinnedPath } from './directory/pinned-path.ts';
import { systemErrorCode } from './error-message.ts';

/** proc and sysfs, whose files are the kernel's own settings, as statfs(2) tells them (linux/magic.h). */
const ofKernel: ReadonlySet<number> = new Set([0x9fa0, 0x62656572]);

/** Something is there, and it is no setting of the kernel's; the message follows its name. */
export class NotKernelFile extends Error {}

/** A file in which the kernel shows one of its settings, held: nobody can put another in its place. */
export interface KernelFile extends Disposable {
  readonly stat: Stats;
  /** @throws the system's error */
  read(): string;
  /**
   * Opens it to be written; nothing is written by that. The caller closes it.
   * @throws the system's error
   */
  openToWrite(): number;
}

/**
 * Opens a setting by its path, through no link.
 * @throws MissingPath, LinkInPath, ClosedPath, NotKernelFile
 */
export function openKernelFile(path: string): KernelFile {
  const { parent, name, path: raw, stat: there } = openKernelPlace(path);
  let pinned: number;
  try {
    if (there === undefined) {
      const shown = shownName(raw);
      const folder = shown.slice(0, shown.lastIndexOf('/')) || '/';
      refuseMounted(parent, folder);
      throw new MissingPath(shown, folder, 'ENOENT');
    }
    if (there.isDirectory()) throw new NotKernelFile('is a folder of settings; name one of them');
    pinned = openPinned(below(parent, name));
  } catch (error) {
    if (error instanceof MissingPath || error instanceof NotKernelFile) throw error;
    throw new ClosedPath(shownName(raw), systemErrorCode(error) ?? String(error));
  } finally {
    closeSync(parent);
  }
  try {
    const stat = fstatSync(pinned);
    if (!stat.isFile()) throw new NotKernelFile('is not a file');
    refuseMounted(pinned, path);
    return {
      stat,
      read: () => readWhole(pinned),
      openToWrite: () => openSync(itself(pinned), constants.O_WRONLY | constants.O_NONBLOCK),
      [Symbol.dispose]: () => closeSync(pinned),
    };
  } catch (error) {
    closeSync(pinned);
    throw error;
  }
}

/** As openPlace. What is missing below something that is mounted there may well be a setting of this kernel. */
function openKernelPlace(path: string): PinnedPath {
  try {
    return openPlace(path);
  } catch (error) {
    if (error instanceof MissingPath && roots.some((root) => isBelow(error.nearest, root))) {
      const folder = openNearestFolder(error.nearest);
      if (folder !== undefined) {
        try {
          refuseMounted(folder, error.nearest);
        } finally {
          closeSync(folder);
        }
      }
    }
    throw error;
  }
}

/** Undefined where it is no folder, or a link by now. */
function openNearestFolder(path: string): number | undefined {
  try {
    return openDirectory(path);
  } catch {
    return undefined;
  }
}

const roots = ['/proc', '/sys'] as const;

/** @throws NotKernelFile where an open file or folder is not the one that the kernel itself has at this path */
function refuseMounted(descriptor: number, path: string): void {
  if (!ofKernel.has(statfsSync(itself(descriptor)).type))
    throw new NotKernelFile("is not the kernel's own file: something else is mounted in its place");
  const mounts = readMounts();
  const id = mountId(descriptor);
  // gVisor's descriptors do not tell their mount; its table does.
  const mount = id === undefined ? mountOf(path, mounts) : mounts.find((one) => one.id === id);
  if (mount === undefined || !isInPlace(path, mount))
    throw new NotKernelFile('is not its own file: another one of the kernel is mounted in its place');
}

/**
 * Whether a mount shows at a path what the kernel has there. Containers have /proc/sys, or folders in it, mounted over
 * itself to make it read-only, or writable again.
 */
export function isInPlace(
  path: string,
  { point, root, type }: Pick<Mount, 'point' | 'root' | 'type'>,
): boolean {
  const top = roots.find((one) => isWithin(path, one));
  if (top === undefined || !isWithin(path, point) || type !== (top === '/proc' ? 'proc' : 'sysfs'))
    return false;
  // The path on the file system: what its mount has as its root, and what comes below that.
  const own = `${root === '/' ? '' : root}${path.slice(point.length)}`;
  return own === path.slice(top.length);
}

function isBelow(path: string, folder: string): boolean {
  return path !== folder && isWithin(path, folder);
}

function readWhole(pinned: number): string {
  const descriptor = openSync(itself(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
