import { closeSync, constants, fstatSync, fsyncSync, openSync, readdirSync, readlinkSync } from 'node:fs';

import { sideBySide } from '../calls.ts';
import { below, itself, type RawName, shownName } from './file-name.ts';
import { checkMakeable } from './missing-folders.ts';
import { type DirectoryOwner, makeDirectory } from './new-directory.ts';
import { asDirectory, openDirectory } from './open-directory.ts';
import { makeFolder, openFolder, openNearest } from './safe-open.ts';

/**
 * An opened directory. Names below it go through /proc/self/fd, which is what openat(2) would do: whatever is swapped
 * for a link on the way to it afterwards, they stay inside.
 */
export class Directory implements Disposable {
  readonly fd: number;
  /** As people know it, for messages. */
  readonly shown: string;
  /** A name that is not told among those in it. */
  readonly #hidden: string | undefined;

  private constructor(fd: number, shown: string, hidden?: string) {
    this.fd = fd;
    this.shown = shown;
    this.#hidden = hidden;
  }

  /** Opens a path that nobody can lead elsewhere, such as that of a descriptor. @throws the system's error */
  static open(path: string): Directory {
    return new Directory(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), path);
  }

  /** Opens what a user named, through no link that others may have made. @throws LinkInPath, or the system's error */
  static reach(path: string): Directory {
    return new Directory(openFolder(path), path);
  }

  /**
   * As reach, and makes what is missing where it lies on a volume, with folders that others may enter.
   * @param shown what is to be written, for people
   * @param owner of what is made; unset, whoever runs this
   * @throws as reach, WrongPlace, Failure
   */
  static make(path: string, shown = path, owner?: DirectoryOwner): Directory {
    const make = (parent: number, above: string, name: RawName): void => {
      const nearest = above === '' ? '/' : above;
      checkMakeable(parent, nearest, shownName(name), shown);
      try {
        makeDirectory(new Directory(parent, nearest), Buffer.from(name, 'latin1'), owner);
      } catch (error) {
        codeAmong(error, ['EEXIST']); // another run was faster
      }
    };
    return new Directory(makeFolder(path, make), path);
  }

  /** As reach, of the deepest folder on the path that is there. @throws as reach */
  static nearest(path: string): { readonly directory: Directory; readonly missing: readonly string[] } {
    const { descriptor, path: there, missing } = openNearest(path);
    return { directory: new Directory(descriptor, there), missing: missing.map(shownName) };
  }

  /**
   * Opens a directory in this one; a link is not followed (ENOTDIR or ELOOP).
   * @param hidden a name that it does not tell among those in it
   * @throws the system's error
   */
  child(name: string | Buffer, hidden?: string): Directory {
    const raw = Buffer.from(name).toString('latin1');
    return new Directory(openDirectory(raw, this.fd), `${this.shown}/${name.toString()}`, hidden);
  }

  /** As child and names, by calls that others are made beside. */
  async list(name: string | Buffer): Promise<{ readonly child: Directory; readonly names: Buffer[] }> {
    const fd = await sideBySide.open(this.at(name), asDirectory);
    const child = new Directory(fd, `${this.shown}/${name.toString()}`);
    try {
      const names = await sideBySide.readdir(child.itself);
      return { child, names: names.map((raw) => Buffer.from(raw, 'latin1')) };
    } catch (error) {
      child[Symbol.dispose]();
      throw error;
    }
  }

  /** A path for calls that do not follow a link at its end. Buffers are for names that are not UTF-8. */
  at(name: string): string;
  at(name: string | Buffer): string | Buffer;
  at(name: string | Buffer): string | Buffer {
    return typeof name === 'string' ? `${this.itself}/${name}` : below(this.fd, name.toString('latin1'));
  }

  /** The directory itself as a path. */
  get itself(): string {
    return itself(this.fd);
  }

  names(): Buffer[] {
    const all = readdirSync(this.itself, { encoding: 'buffer' });
    return this.#hidden === undefined ? all : all.filter((name) => name.toString() !== this.#hidden);
  }

  /** Device and inode, which are the same through every mount of it. */
  identity(): string {
    const { dev, ino } = fstatSync(this.fd, { bigint: true });
    return `${dev}-${ino}`;
  }

  /** Makes renames and new names in it last. */
  sync(): void {
    try {
      fsyncSync(this.fd);
    } catch (error) {
      // Some network and FUSE file systems cannot; the names are there all the same.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** The error's code where the call failed with one of these; else rethrows. */
export function codeAmong<const C extends string>(error: unknown, codes: readonly C[]): C {
  const code = (error as NodeJS.ErrnoException).code as C;
  if (codes.includes(code)) return code;
  throw error;
}

/** Where a link points; undefined where there is none under that name. */
export function linkTarget(directory: Directory, name: string): string | undefined {
  try {
    return readlinkSync(directory.at(name));
  } catch (error) {
    codeAmong(error, ['ENOENT', 'EINVAL']);
    return undefined;
  }
}
