import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { inputKind, readInput, unread } from '../../fs/input-file.ts';
import { isEmpty } from '../../fs/publish/empty-folder.ts';

/** Bytes of a file that is looked into, as of those that are waited for. */
const mostContent = 1 << 20;

/** Whether something is at a path. @throws Failure where that cannot be told */
export function isThere(path: string): boolean {
  return judged(path, () => inputKind(path) !== undefined) ?? false;
}

/** Whether a folder is empty as `copy` with if-empty judges, or not there. @throws Failure, also where it is no folder */
export function isEmptyFolder(path: string): boolean {
  const found = judged(path, () => {
    const kind = inputKind(path);
    if (kind === undefined) return true;
    if (kind !== 'folder') throw new Failure(failed(exitStatus.refused, `when: ${path} is not a folder`));
    using folder = Directory.reach(path);
    return isEmpty(folder);
  });
  return found ?? true;
}

/** What a file holds; undefined where none is there. @throws Failure where it cannot be read */
export function contentThere(path: string): string | undefined {
  return judged(path, () => readInput(path, mostContent).toString());
}

/** @returns undefined where nothing is there */
function judged<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const { why, hint, status } = unread(error);
    throw new Failure(failed(status, `when: ${path} ${why}`, { hint }));
  }
}
