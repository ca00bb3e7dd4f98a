import { fchmodSync, fstatSync, lstatSync, statSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';

import { exitStatus } from '../../core/exit-status.ts';
import { codeAmong, Directory, linkTarget } from '../../fs/directory/directory.ts';
import { isOwnFolder, refusedDirectory } from '../../fs/directory/forbidden-places.ts';
import { WrongPlace } from '../../fs/directory/missing-folders.ts';
import { makeDirectory } from '../../fs/directory/new-directory.ts';
import { isNoDirectory } from '../../fs/directory/open-directory.ts';
import { LinkInPath } from '../../fs/directory/pinned-path.ts';
import { isOpenToOthers, isOwn } from '../../fs/directory/safe-open.ts';
import { explained, refused } from '../../fs/error-message.ts';
import { isOwnAloneIn } from '../../fs/publish/own-files.ts';
import { systemHost } from '../../process/host.ts';

interface FolderProblem {
  readonly what: string;
  /** Whether install repairs it. */
  readonly mendable: boolean;
}

/** @param folder as `dirname` names it */
type IsOfRuntime = (folder: string, name: string) => boolean;

/** The folder that is filled, as `dirname` names it for the paths in it. */
const top = '.';

/** A folder of the runtime in which somebody else could exchange files. The message follows its path. */
class FolderOfOthers extends Error {
  readonly shown: string;
  /** Whether install can close the folder to them. */
  readonly mendable: boolean;

  constructor(shown: string, why: string, mendable = false) {
    super(why);
    this.shown = shown;
    this.mendable = mendable;
  }
}

/**
 * The folders of a runtime on a volume, each held open from the first look to the last rename: what is judged is what is
 * written to. None is reached through a link.
 */
export class RuntimeFolders implements Disposable {
  readonly #open = new Map<string, Directory>();

  readonly #isOfRuntime: IsOfRuntime;
  /** Whether folders are closed to a group that may write to them, or left as they are. */
  readonly #closes: boolean;

  private constructor(directory: Directory, isOfRuntime: IsOfRuntime, closes: boolean) {
    this.#open.set(top, directory);
    this.#isOfRuntime = isOfRuntime;
    this.#closes = closes;
  }

  /**
   * Opens a folder, and makes what is missing of it. Folders below that a group may write to are closed to it.
   * @param script the running program's own file
   * @throws Failure, or the system's error
   */
  static make(path: string, isOfRuntime: IsOfRuntime, script: string): RuntimeFolders {
    try {
      checkOutsideOwn(path, script);
      using stack = new DisposableStack();
      const directory = stack.use(Directory.make(path));
      // Its own folder may be filled again: what is written is what is there.
      const why = refusedDirectory(directory.fd, path, undefined, 'names');
      if (why !== undefined) throw new WrongPlace(`cannot fill ${path}: ${why}`, 'name a volume');
      stack.move();
      return new RuntimeFolders(directory, isOfRuntime, true);
    } catch (error) {
      throw inWords(error, path);
    }
  }

  /** Opens a folder and changes nothing; undefined where there is none. @throws Failure, or the system's error */
  static find(path: string, isOfRuntime: IsOfRuntime): RuntimeFolders | undefined {
    try {
      return new RuntimeFolders(Directory.reach(path), isOfRuntime, false);
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

  /** A folder that was opened and to which its name does not lead any more, by its path for people; undefined where none is. */
  moved(): string | undefined {
    for (const [path, directory] of this.#open) {
      const there =
        path === top
          ? statSync(directory.shown, { throwIfNoEntry: false })
          : lstatSync((this.#open.get(dirname(path)) as Directory).at(basename(path)), {
              throwIfNoEntry: false,
            });
      const { dev, ino } = fstatSync(directory.fd);
      if (there?.dev !== dev || there.ino !== ino) return directory.shown;
    }
    return undefined;
  }

  /** What is wrong with a folder that is there, for a report that goes on; its path begins with `path`. */
  problemOf(path: string): FolderProblem | undefined {
    try {
      this.#find(path);
      return undefined;
    } catch (error) {
      if (error instanceof FolderOfOthers)
        return { what: `${path} ${error.message}`, mendable: error.mendable };
      const what =
        error instanceof LinkInPath
          ? 'is a symbolic link'
          : `cannot be opened (${(error as NodeJS.ErrnoException).code})`;
      return { what: `${path} ${what}`, mendable: false };
    }
  }

  /** Whether a folder has the path of a file. */
  isFolder(path: string): boolean {
    const folder = this.#find(dirname(path));
    const stat = folder && lstatSync(folder.at(basename(path)), { throwIfNoEntry: false });
    return stat?.isDirectory() === true;
  }

  #find(path: string): Directory | undefined {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const parent = this.#find(dirname(path));
    const directory = parent && openChild(parent, basename(path));
    if (parent === undefined || directory === undefined) return undefined;
    this.#closeToGroup(path, directory);
    const stat = fstatSync(directory.fd);
    const why = whyNotOwn(parent, stat);
    if (why !== undefined) {
      using _ = directory;
      const open = isOpenToGroupAlone(stat);
      const strange = open ? this.#strangeIn(path, directory) : undefined;
      if (strange !== undefined) throw holding(directory.shown, stat, strange);
      throw new FolderOfOthers(directory.shown, why, open && mayChangeMode(stat));
    }
    this.#open.set(path, directory);
    return directory;
  }

  /**
   * For fsGroup the kubelet lets a group write to all that it finds on a volume. Whoever is in it could put a library
   * into a folder that the loader looks into before the list's: so nothing else may be there once the folder is closed.
   */
  #closeToGroup(path: string, directory: Directory): void {
    const stat = fstatSync(directory.fd);
    if (!this.#closes || !isOpenToGroupAlone(stat)) return;
    try {
      fchmodSync(directory.fd, stat.mode & 0o7777 & ~0o020);
    } catch (error) {
      codeAmong(error, ['EPERM']);
      return; // root's folder, and this user is not root: it is judged as it is
    }
    const strange = this.#strangeIn(path, directory);
    if (strange === undefined) return;
    const shown = directory.shown;
    // The next run must find it as it was, or it would take it for right.
    fchmodSync(directory.fd, stat.mode & 0o7777);
    directory[Symbol.dispose]();
    throw holding(shown, stat, strange);
  }

  /** An entry that is not of the runtime. */
  #strangeIn(path: string, directory: Directory): string | undefined {
    return directory
      .names()
      .map((name) => name.toString())
      .find((name) => !this.#isOfRuntime(path, name));
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open.values()) directory[Symbol.dispose]();
  }
}

function holding(shown: string, { gid }: Stats, strange: string): FolderOfOthers {
  return new FolderOfOthers(
    shown,
    `may be written to by group ${gid} and holds ${JSON.stringify(strange)}, which is not of the runtime`,
  );
}

/** Whether this user may close a folder to its group. */
function mayChangeMode({ uid }: Stats): boolean {
  return systemHost.uid === 0 || uid === systemHost.uid;
}

/** A folder of root's or of this user, whose group may write to it, and not everybody. */
function isOpenToGroupAlone(stat: Stats): boolean {
  return isOwn(stat) && (stat.mode & 0o002) === 0 && isOpenToOthers(stat);
}

/**
 * The program's own folder may be filled again, and no folder in it, which may be one that its loader looks into.
 * @throws WrongPlace, LinkInPath, or the system's error
 */
function checkOutsideOwn(path: string, script: string): void {
  const { directory, missing } = Directory.nearest(path);
  using nearest = directory;
  const where = isOwnFolder(nearest.fd, script);
  if (where === undefined || (where === 'itself' && missing.length === 0)) return;
  throw new WrongPlace(
    `cannot fill ${path}: it is inside of this program's own folder, ${dirname(script)}`,
    'name a folder outside of it, on a volume',
  );
}

/** Who else could change what stands in a folder; undefined where nobody can. The words follow its path. */
export function whyNotOwn(parent: Directory, stat: Stats): string | undefined {
  if (isOwnAloneIn(parent, stat)) return undefined;
  if (!isOwn(stat)) return `belongs to user ${stat.uid}`;
  return (stat.mode & 0o002) === 0
    ? `may be written to by group ${stat.gid}`
    : 'may be written to by everybody';
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
