import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync, type Stats } from 'node:fs';

import { below, itself, shownName } from './directory/file-name.ts';
import { openPinned } from './directory/open-directory.ts';
import { ClosedPath, MissingPath, openPlace } from './directory/pinned-path.ts';
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
  const { parent, name, path: raw, stat: there } = openPlace(path);
  let pinned: number;
  try {
    if (there === undefined) {
      const shown = shownName(raw);
      throw new MissingPath(shown, shown.slice(0, shown.lastIndexOf('/')) || '/', 'ENOENT');
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
    if (!ofKernel.has(statfsSync(itself(pinned)).type))
      throw new NotKernelFile("is not the kernel's own file: something else is mounted in its place");
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

function readWhole(pinned: number): string {
  const descriptor = openSync(itself(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
