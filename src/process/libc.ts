import process from 'node:process';

import { muteExperimentalWarnings } from './standard-streams.ts';

/** Calls of the C library that Node has not. Sizes and results are as the library has them; -1 is an error. */
export interface Libc {
  /** Names of extended attributes, each with a NUL at its end; returns their bytes (listxattr(2)). */
  flistxattr(descriptor: number, names: Buffer, size: number): number;
  listxattr(path: string, names: Buffer, size: number): number;
  /** Where a link leads; with an empty name, the link that was opened itself (readlinkat(2)). */
  readlinkat(descriptor: number, name: string, target: Buffer, size: number): number;
  /** Moves an open file's position to where data or a hole begins (lseek(2)). */
  lseek(descriptor: number, offset: bigint, whence: number): bigint;
  /** Copies within the kernel; the two positions are read and moved on (copy_file_range(2)). */
  copyFileRange(from: number, fromAt: Buffer, to: number, toAt: Buffer, length: number): number;
  /**
   * Opens an entry of the current directory where that crosses no mount, a bind mount of the same file system included
   * (openat2(2), RESOLVE_NO_XDEV). The name ends with a NUL.
   */
  openOnMount(name: Buffer, flags: number): number;
  /** Locks an open file, until it is closed, however its process ends (flock(2)); 0 where it did. */
  flock(descriptor: number, operation: number): number;
}

/** Ends the process at once, whatever its other threads do (_exit(2)); does not return. */
export type ExitAtOnce = (status: number) => void;

/** Sets something of this process by two numbers (prctl(2)). */
export type Prctl = (option: number, value: number) => number;

/** The same number on every architecture (asm-generic/unistd.h), and the values of linux/openat2.h and fcntl.h. */
const openat2 = 437;
const currentDirectory = -100;
const noCrossing = 1n;
const closeOnExec = 0o2000000n;

/** Of flock(2), on Linux: for one process alone, and without waiting. */
export const lockAlone = 2 | 4;

/** Of lseek(2), on Linux. */
export const seekData = 3;
export const seekHole = 4;

let opened: { readonly libc: Libc | undefined } | undefined;

/** The C library that Node itself runs on; undefined where Node cannot call it. */
export function libcAtOnce(): Libc | undefined {
  return (opened ??= { libc: load() }).libc;
}

export async function openLibc(): Promise<Libc | undefined> {
  return libcAtOnce();
}

let exit: { readonly call: ExitAtOnce | undefined } | undefined;

/**
 * By itself, since each call that Node makes a bridge to costs a third of a millisecond and more; undefined where Node
 * cannot call it. Who calls this while it waits has it ready at its end.
 */
export function exitOfLibc(): ExitAtOnce | undefined {
  exit ??= {
    call: one((dlopen) => dlopen(null, { _exit: { return: 'void', arguments: ['i32'] } }).functions._exit),
  };
  return exit.call;
}

/** Lists and removes extended attributes (xattr(7)); -1 is an error. Names and paths end with a NUL. */
export interface AttributesOfFiles {
  flistxattr(descriptor: number, names: Buffer, size: number): number;
  /** Follows no link. */
  llistxattr(path: Buffer, names: Buffer, size: number): number;
  fremovexattr(descriptor: number, name: Buffer): number;
}

const forAttributes = {
  flistxattr: { return: 'i32', arguments: ['i32', 'buffer', 'u32'] },
  llistxattr: { return: 'i32', arguments: ['buffer', 'buffer', 'u32'] },
  fremovexattr: { return: 'i32', arguments: ['i32', 'buffer'] },
} as const;

const attributes: {
  [Name in keyof AttributesOfFiles]?: { readonly call: AttributesOfFiles[Name] | undefined };
} = {};

/** As exitOfLibc, each call by itself: most files have no attributes, and then none is removed. */
export function attributesOfLibc<Name extends keyof AttributesOfFiles>(
  name: Name,
): AttributesOfFiles[Name] | undefined {
  const known = (attributes[name] ??= {
    call: one((dlopen) => dlopen(null, { [name]: forAttributes[name] }).functions[name]),
  } as (typeof attributes)[Name]);
  return known?.call;
}

/** As exitOfLibc. */
export function prctlOfLibc(): Prctl | undefined {
  return one((dlopen) => {
    const { functions } = dlopen(null, {
      prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
    });
    return (option, value) => functions.prctl(option, BigInt(value), 0n, 0n, 0n);
  });
}

/** Renames by flags (renameat2(2)); paths end with a NUL. */
export type Rename = (fromAt: number, from: Buffer, toAt: number, to: Buffer, flags: number) => number;

let renaming: { readonly call: Rename | undefined } | undefined;

/** As exitOfLibc. */
export function renameOfLibc(): Rename | undefined {
  renaming ??= {
    call: one(
      (dlopen) =>
        dlopen(null, {
          renameat2: { return: 'i32', arguments: ['i32', 'buffer', 'i32', 'buffer', 'u32'] },
        }).functions.renameat2,
    ),
  };
  return renaming.call;
}

type Dlopen = ReturnType<typeof process.getBuiltinModule<'node:ffi'>>['dlopen'];

function one<T>(open: (dlopen: Dlopen) => T): T | undefined {
  try {
    muteExperimentalWarnings();
    return open(process.getBuiltinModule('node:ffi').dlopen);
  } catch {
    return undefined;
  }
}

function load(): Libc | undefined {
  try {
    muteExperimentalWarnings();
    const { dlopen } = process.getBuiltinModule('node:ffi');
    // Sizes by 32 bits, which saves a bigint for each file: no buffer or piece here is larger.
    const { functions } = dlopen(null, {
      flistxattr: { return: 'i32', arguments: ['i32', 'buffer', 'u32'] },
      listxattr: { return: 'i32', arguments: ['string', 'buffer', 'u32'] },
      readlinkat: { return: 'i32', arguments: ['i32', 'string', 'buffer', 'u32'] },
      lseek: { return: 'i64', arguments: ['i32', 'i64', 'i32'] },
      syscall: { return: 'i32', arguments: ['i32', 'i32', 'buffer', 'buffer', 'u32'] },
      copy_file_range: { return: 'i32', arguments: ['i32', 'buffer', 'i32', 'buffer', 'u32', 'u32'] },
      flock: { return: 'i32', arguments: ['i32', 'i32'] },
    });
    const { flistxattr, listxattr, readlinkat, lseek, flock, syscall, copy_file_range: range } = functions;
    // struct open_how: flags, mode, resolve.
    const how = new BigUint64Array([0n, 0n, noCrossing]);
    const howBytes = Buffer.from(how.buffer);
    return {
      flistxattr,
      listxattr,
      readlinkat,
      lseek,
      flock,
      copyFileRange: (from, fromAt, to, toAt, length) => range(from, fromAt, to, toAt, length, 0),
      openOnMount(name, flags) {
        how[0] = BigInt(flags) | closeOnExec;
        return syscall(openat2, currentDirectory, name, howBytes, how.byteLength);
      },
    };
  } catch {
    return undefined;
  }
}
