import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { LinkInPath } from '../../fs/directory/pinned-path.ts';
import { inputKind, openInput, readInput, unread } from '../../fs/input-file.ts';
import { isEmpty } from '../../fs/publish/empty-folder.ts';

/** Bytes of a file that is looked into, as of those that are waited for. */
const mostContent = 1 << 20;

/** What a condition is about. */
interface Place {
  readonly path: string;
  /** As the plan writes it, with `$(NAME)`: what a variable holds is not shown. */
  readonly written: string;
}

/** Whether something is at a path. @throws Failure where that cannot be told */
export function isThere(place: Place): boolean {
  return judged(place, () => kindThere(place) !== undefined) ?? false;
}

/** Whether a folder is empty as `copy` with if-empty judges, or not there. @throws Failure, also where it is no folder */
export function isEmptyFolder(place: Place): boolean {
  const { path, written } = place;
  const found = judged(place, () => {
    const kind = inputKind(path);
    if (kind === undefined) {
      if (isBelowFile(path)) throw refused(`${written} is not a folder: a part of it is a file`);
      return true;
    }
    if (kind !== 'folder') throw refused(`${written} is not a folder`);
    using folder = Directory.reach(path);
    return isEmpty(folder);
  });
  return found ?? true;
}

/** What a file holds; undefined where none is there. @throws Failure where it cannot be read */
export function contentThere(place: Place): string | undefined {
  return judged(place, () =>
    kindThere(place) === undefined ? undefined : readInput(place.path, mostContent).toString(),
  );
}

/** As inputKind; of a path that ends with a slash only a folder, as the system has it. */
function kindThere({ path }: Place): ReturnType<typeof inputKind> {
  const kind = inputKind(path);
  return kind === 'folder' || !/\/\.?\/*$/.test(path) ? kind : undefined;
}

/** Whether nothing can be at a path, since something on the way to it is no folder. */
function isBelowFile(path: string): boolean {
  try {
    openInput(path)[Symbol.dispose]();
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  }
}

/** @returns undefined where nothing is there */
function judged<T>({ path, written }: Place, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const { why, hint, status } = unread(error);
    // The link's own path has what the variables hold.
    const words =
      error instanceof LinkInPath && written !== path
        ? 'cannot be read: it is, or leads through, a symbolic link, which others may have made'
        : why;
    throw refused(`${written} ${words}`, hint, status);
  }
}

function refused(text: string, hint?: string, status: number = exitStatus.refused): Failure {
  return new Failure(failed(status, `when: ${text}`, { hint }));
}
