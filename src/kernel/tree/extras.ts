import { muteExperimentalWarnings } from '../host.ts';

/** What an entry has beside content, mode, owner and times: Node has no calls for it. */
export interface Extras {
  /** Extended attributes that somebody gave it, file capabilities among them (xattr(7)). */
  readonly attributes: boolean;
  /** An access control list beyond its mode, or one for what is made in it (acl(5)). */
  readonly acl: boolean;
}

/** Tells what an entry has. */
export interface ExtrasReader {
  ofFile(descriptor: number): Extras;
  ofCurrentDirectory(): Extras;
}

/** XATTR_LIST_MAX: no list of names is longer, in bytes. */
const longest = 1 << 16;

const none: Extras = { attributes: false, acl: false };

/**
 * Asks the C library itself.
 * @returns undefined where Node cannot call it
 */
export async function openExtrasReader(): Promise<ExtrasReader | undefined> {
  try {
    muteExperimentalWarnings();
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, {
      flistxattr: { return: 'i64', arguments: ['i32', 'buffer', 'u64'] },
      listxattr: { return: 'i64', arguments: ['string', 'buffer', 'u64'] },
    });
    const names = Buffer.alloc(longest);
    const size = BigInt(longest);
    return {
      ofFile: (descriptor) => extrasIn(names, functions.flistxattr(descriptor, names, size)),
      ofCurrentDirectory: () => extrasIn(names, functions.listxattr('.', names, size)),
    };
  } catch {
    return undefined;
  }
}

/** Names end with a NUL. A negative length is an error: the file system has none of this. */
function extrasIn(names: Buffer, length: bigint): Extras {
  if (length <= 0n) return none;
  const list = names.toString('latin1', 0, Number(length)).split('\0');
  return {
    // Others are the system's own, such as SELinux's labels, which every file has.
    attributes: list.some((name) => name.startsWith('user.') || name === 'security.capability'),
    acl: list.some((name) => name.startsWith('system.posix_acl_')),
  };
}
