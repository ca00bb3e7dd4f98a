import { accessSync, constants, statfsSync } from 'node:fs';

import { exitStatus } from '../../core/exit-status.ts';
import { Directory } from '../directory/directory.ts';
import { itself } from '../directory/file-name.ts';
import { checkFolder, checkFolderPath, checkMakeable } from '../directory/missing-folders.ts';
import type { DirectoryOwner } from '../directory/new-directory.ts';
import { explained, refused } from '../error-message.ts';

/** f_type of statfs(2) for file systems that are memory. */
const inMemory: ReadonlySet<number> = new Set([0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */]);

/** What is to be written, before anything of it is known but names. */
export interface Intent {
  /** True where it must not reach a disk. */
  readonly memoryOnly: boolean;
  /** True where nothing that the user can say makes it content. */
  readonly alwaysSecret?: boolean | undefined;
  /** Whom folders belong to that are made for it; unset, whoever runs this. */
  readonly owner?: DirectoryOwner | undefined;
}

/**
 * Opens a folder, made where it is missing on a volume, and judges what was opened: what is written goes into that very
 * one, whatever stands at its path by then.
 * @param shown what is to be written, for messages
 * @throws Failure
 */
export function openForWriting(folder: string, shown: string, intent: Intent): Directory {
  return judged(folder, shown, intent, () => Directory.make(folder, shown, intent.owner));
}

/**
 * Looks whether a folder is one to write to, and makes nothing.
 * @param status of a failure that a rerun may not meet, where it is not the usual one
 * @returns the folder, or where that is to be made the nearest one above it and the names that are missing
 * @throws Failure
 */
export function lookForWriting(
  folder: string,
  shown: string,
  intent: Intent,
  status: number,
): { readonly directory: Directory; readonly missing: readonly string[] } {
  let missing: readonly string[] = [];
  const open = (): Directory => {
    using stack = new DisposableStack();
    const found = Directory.nearest(folder);
    const directory = stack.use(found.directory);
    missing = found.missing;
    const [first] = missing;
    if (first !== undefined) checkMakeable(directory.fd, directory.shown, first, shown);
    stack.move();
    return directory;
  };
  return { directory: judged(folder, shown, intent, open, status), missing };
}

function judged(
  folder: string,
  shown: string,
  { memoryOnly, alwaysSecret }: Intent,
  open: () => Directory,
  status?: number,
): Directory {
  try {
    checkFolderPath(folder, shown);
    using stack = new DisposableStack();
    const directory = stack.use(open());
    checkFolder(directory.fd, directory.shown, shown);
    accessSync(directory.itself, constants.W_OK | constants.X_OK);
    if (memoryOnly && !isInMemory(directory.fd)) {
      throw refused(
        `cannot write ${shown}: it is a secret, and ${folder} is not in memory`,
        alwaysSecret === true
          ? 'mount an emptyDir with medium: Memory there, or allow the disk with --allow-disk'
          : 'mount an emptyDir with medium: Memory there, allow the disk with --allow-disk, or say with --public that no file, variable or URL gives a secret',
        exitStatus.usage,
      );
    }
    stack.move();
    return directory;
  } catch (error) {
    throw explained(error, shown, status === undefined ? {} : { status });
  }
}

/** Does what was opened lie in memory, as the volumes of Secrets do and those of ConfigMaps do not? */
export function isInMemory(descriptor: number): boolean {
  return inMemory.has(statfsSync(itself(descriptor)).type);
}
