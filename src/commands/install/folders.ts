import { fstatSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';

import { exitStatus } from '../../core/exit-status.ts';
import { explained, refused } from '../../fs/error-message.ts';
import { codeAmong, Directory, linkTarget } from '../../fs/publish/directory.ts';
import { isOwnIn } from '../../fs/publish/own-files.ts';
import { makeDirectory } from '../../fs/publish/write.ts';
import { isOwn } from '../../fs/safe-open.ts';
import { isNoDirectory, LinkInPath } from '../../fs/tree/open-directory.ts';

/** The folder that is filled, as `dirname` names it for the paths in it. */
const top = '.';

/** A folder of the runtime in which somebody else could exchange files. The message follows its path. */
class FolderOfOthers extends Error {
  readonly shown: string;

  constructor(shown: string, why: string) {
    super(why);
    this.shown = shown;
  }
}

/**
 * The folders of a runtime on a volume, each held open from the first look to the last rename: what is judged is what is
 * written to. None is reached through a link.
 */
export class RuntimeFolders implements Disposable {
  readonly #open = new Map<string, Directory>();

  private constructor(directory: Directory) {
    this.#open.set(top, directory);
  }

  /** Opens a folder, and makes what is missing of it. @throws Failure, or the system's error */
  static make(path: string): RuntimeFolders {
    try {
      return new RuntimeFolders(Directory.make(path));
    } catch (error) {
      throw inWords(error, path);
    }
  }

  /** Opens a folder; undefined where there is none. @throws Failure, or the system's error */
  static find(path: string): RuntimeFolders | undefined {
    try {
      return new RuntimeFolders(Directory.reach(path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw inWords(error, path);
    }
  }

  get top(): Directory {
    return this.#open.get(top) as Directory;
  }

  /** A folder that is there; undefined where it is missing. @throws Failure, or the system's error */
  find(path: string): Directory | undefined {
    try {
      return this.#find(path);
    } catch (error) {
      throw inWords(error, `${this.top.shown}/${path}`);
    }
  }

  /** A folder, made where it is missing. @throws Failure, or the system's error */
  make(path: string): Directory {
    const found = this.find(path);
    if (found !== undefined) return found;
    const parent = this.make(dirname(path));
    try {
      makeDirectory(parent, basename(path));
    } catch (error) {
      // Another install was faster; what is there is judged all the same.
      codeAmong(error, ['EEXIST']);
    }
    const made = this.find(path);
    if (made === undefined) throw Object.assign(new Error('it was removed'), { code: 'ENOENT' });
    return made;
  }

  /** What is wrong with a folder that is there, for a report that goes on; its path begins with `path`. */
  problemOf(path: string): string | undefined {
    try {
      this.#find(path);
      return undefined;
    } catch (error) {
      if (error instanceof FolderOfOthers) return `${path} ${error.message}`;
      if (error instanceof LinkInPath) return `${path} is a symbolic link`;
      return `${path} cannot be opened (${(error as NodeJS.ErrnoException).code})`;
    }
  }

  #find(path: string): Directory | undefined {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const parent = this.#find(dirname(path));
    const directory = parent && openChild(parent, basename(path));
    if (parent === undefined || directory === undefined) return undefined;
    const why = whyNotOwn(parent, fstatSync(directory.fd));
    if (why !== undefined) {
      directory[Symbol.dispose]();
      throw new FolderOfOthers(directory.shown, why);
    }
    this.#open.set(path, directory);
    return directory;
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open.values()) directory[Symbol.dispose]();
  }
}

/** Who else could change what stands in a folder; undefined where nobody can. The words follow its path. */
export function whyNotOwn(parent: Directory, stat: Stats): string | undefined {
  if (isOwnIn(parent, stat)) return undefined;
  return isOwn(stat) ? 'may be written to by everybody' : `belongs to user ${stat.uid}`;
}

/** @throws LinkInPath, or the system's error */
function openChild(parent: Directory, name: string): Directory | undefined {
  try {
    return parent.child(name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    const target = isNoDirectory(code) ? linkTarget(parent, name) : undefined;
    if (target !== undefined) throw new LinkInPath(`${parent.shown}/${name}`, target);
    throw error;
  }
}

/** As fetch-config and render say of a target that others could lead elsewhere; other errors as they are. */
function inWords(error: unknown, path: string): unknown {
  if (error instanceof LinkInPath) return explained(error, path);
  if ((error as NodeJS.ErrnoException).code === 'ENOTDIR')
    return refused(`cannot write to ${path}: it is not a folder`, 'remove it, or name another folder');
  if (!(error instanceof FolderOfOthers)) return error;
  return refused(
    `cannot write to ${error.shown}: it ${error.message}, so somebody else could exchange the program later`,
    'remove that folder, or name one that nobody else writes to',
    exitStatus.usage,
  );
}
