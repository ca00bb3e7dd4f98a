import { accessSync, constants, readlinkSync, statfsSync } from 'node:fs';

import { exitStatus } from '../../core/exit-status.ts';
import type { Failure } from '../../core/outcome.ts';
import { Directory } from '../directory/directory.ts';
import { itself } from '../directory/file-name.ts';
import { LinkInPath } from '../directory/pinned-path.ts';
import { explained, refused } from '../error-message.ts';

/** f_type of statfs(2) for file systems that are memory. */
const inMemory: ReadonlySet<number> = new Set([0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */]);

/** What is to be written, before anything of it is known but names. */
export interface Intent {
  /** True where it must not reach a disk. */
  readonly memoryOnly: boolean;
}

/**
 * Opens a folder and judges what was opened: what is written goes into that very one, whatever stands at its path by then.
 * @param shown what is to be written, for messages
 * @param status of a failure that a rerun may not meet, where it is not the usual one
 * @throws Failure
 */
export function openForWriting(
  folder: string,
  shown: string,
  { memoryOnly }: Intent,
  status?: number,
): Directory {
  try {
    using stack = new DisposableStack();
    const directory = stack.use(Directory.reach(folder));
    if (/^\/(dev|proc(\/.*)?|sys(\/.*)?)$/.test(readlinkSync(directory.itself)))
      throw ofTheSystem(folder, shown);
    accessSync(directory.itself, constants.W_OK | constants.X_OK);
    if (memoryOnly && !isInMemory(directory.fd)) {
      throw refused(
        `cannot write ${shown}: it is a secret, and ${folder} is not in memory`,
        'mount an emptyDir with medium: Memory there, or allow the disk with --allow-disk',
        exitStatus.usage,
      );
    }
    stack.move();
    return directory;
  } catch (error) {
    // /proc/self, /dev/fd
    if (error instanceof LinkInPath && /^\/(dev|proc|sys)\//.test(error.link))
      throw ofTheSystem(folder, shown);
    if (folder === shown && (error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw refused(
        `cannot write to ${shown}: there is no such folder`,
        'is the volume mounted in this init container, and at this path? Folders are not made, so that a mistyped path does not go unnoticed',
        status,
      );
    }
    throw explained(error, shown, status === undefined ? {} : { status });
  }
}

function ofTheSystem(folder: string, shown: string): Failure {
  return refused(
    `cannot write ${shown}: ${folder} belongs to the system`,
    'write to a volume; standard output is for reports, and a value there would end up in a log',
    exitStatus.usage,
  );
}

/** Does what was opened lie in memory, as the volumes of Secrets do and those of ConfigMaps do not? */
export function isInMemory(descriptor: number): boolean {
  return inMemory.has(statfsSync(itself(descriptor)).type);
}
