import type { Libc } from '../../process/libc.ts';

/** What an entry has beside content, mode, owner and times: Node has no calls for it. */
export interface Extras {
  /** Extended attributes that somebody gave it, file capabilities among them (xattr(7)). */
  readonly attributes: boolean;
  /** An access control list beyond its mode, or one for what is made in it (acl(5)). */
  readonly acl: boolean;
}

/** XATTR_LIST_MAX: no list of names is longer, in bytes. */
const longest = 1 << 16;

const none: Extras = { attributes: false, acl: false };

/** Tells what entries have. */
export class ExtrasReader {
  readonly #libc: Libc;
  readonly #names = Buffer.alloc(longest);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  ofFile(descriptor: number): Extras {
    // The length alone first: for the names, the kernel sets aside as much as it is offered, for every file anew.
    if (this.#libc.flistxattr(descriptor, this.#names, 0) <= 0) return none;
    return this.#among(this.#libc.flistxattr(descriptor, this.#names, longest));
  }

  /** @param path `.`, or one by a descriptor */
  ofDirectory(path: string): Extras {
    return this.#among(this.#libc.listxattr(path, this.#names, longest));
  }

  /** Names end with a NUL. A negative length is an error: the file system has none of this. */
  #among(length: number): Extras {
    if (length <= 0) return none;
    const list = this.#names.toString('latin1', 0, length).split('\0');
    return {
      // Others are the system's own, such as SELinux's labels, which every file has.
      attributes: list.some((name) => name.startsWith('user.') || name === 'security.capability'),
      acl: list.some((name) => name.startsWith('system.posix_acl_')),
    };
  }
}
