import {
  chmod,
  chmodSync,
  chown,
  chownSync,
  close,
  closeSync,
  type Dirent,
  fchmod,
  fchmodSync,
  fchown,
  fchownSync,
  fstat,
  fstatSync,
  futimes,
  futimesSync,
  lchown,
  lchownSync,
  link,
  linkSync,
  lstat,
  lstatSync,
  lutimes,
  lutimesSync,
  mkdir,
  mkdirSync,
  open,
  openSync,
  read,
  readdir,
  readdirSync,
  readlink,
  readlinkSync,
  readSync,
  rename,
  renameSync,
  rmdir,
  rmdirSync,
  stat,
  type Stats,
  statSync,
  symlink,
  symlinkSync,
  unlink,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';

import { reasonOf } from '../core/clock.ts';
import { hasAcl, hasAclAt, hasAclBeside } from './inherited-acl.ts';

type FilePath = string | Buffer;
type Time = number | string;
/** What a call gives, now or later. */
export type Soon<T> = T | Promise<T>;

/** The system calls on files that a walk makes. Errors are thrown, or reject, as Node's own have them. */
export interface Calls {
  /** Undefined where nothing has that name. */
  lstat(path: FilePath): Soon<Stats | undefined>;
  stat(path: FilePath): Soon<Stats>;
  fstat(descriptor: number): Soon<Stats>;
  open(path: FilePath, flags: number, mode?: number): Soon<number>;
  close(descriptor: number): Soon<void>;
  /** Bytes read; 0 at the end. A position of null reads on from the last place. */
  read(
    descriptor: number,
    into: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Soon<number>;
  write(descriptor: number, from: Buffer, offset: number, length: number): Soon<number>;
  chmod(path: FilePath, mode: number): Soon<void>;
  fchmod(descriptor: number, mode: number): Soon<void>;
  chown(path: FilePath, uid: number, gid: number): Soon<void>;
  lchown(path: FilePath, uid: number, gid: number): Soon<void>;
  fchown(descriptor: number, uid: number, gid: number): Soon<void>;
  futimes(descriptor: number, accessed: Time, modified: Time): Soon<void>;
  lutimes(path: FilePath, accessed: Time, modified: Time): Soon<void>;
  mkdir(path: FilePath, mode: number): Soon<void>;
  rmdir(path: FilePath): Soon<void>;
  unlink(path: FilePath): Soon<void>;
  rename(from: FilePath, to: FilePath): Soon<void>;
  link(from: FilePath, to: FilePath): Soon<void>;
  symlink(target: FilePath, path: FilePath): Soon<void>;
  readlink(path: FilePath): Soon<Buffer>;
  /** Whether an entry has an access control list; a link is not followed. */
  hasAcl(path: FilePath): Soon<boolean>;
  /** The same of what is open. */
  fhasAcl(descriptor: number): Soon<boolean>;
  /** Names as bytes, one character each. */
  readdir(path: FilePath): Soon<string[]>;
  /** The same, with what kind of entry each is. */
  entries(path: FilePath): Soon<Dirent[]>;
}

const quiet = { throwIfNoEntry: false } as const;
const withKinds = { encoding: 'latin1', withFileTypes: true } as const;

/** Each call made at once: the process does nothing else meanwhile. */
export const calls: Calls = {
  lstat: (path) => lstatSync(path, quiet),
  stat: (path) => statSync(path),
  fstat: (descriptor) => fstatSync(descriptor),
  open: (path, flags, mode) => openSync(path, flags, mode),
  close: (descriptor) => closeSync(descriptor),
  read: (descriptor, into, offset, length, position) => readSync(descriptor, into, offset, length, position),
  write: (descriptor, from, offset, length) => writeSync(descriptor, from, offset, length),
  chmod: (path, mode) => chmodSync(path, mode),
  fchmod: (descriptor, mode) => fchmodSync(descriptor, mode),
  chown: (path, uid, gid) => chownSync(path, uid, gid),
  lchown: (path, uid, gid) => lchownSync(path, uid, gid),
  fchown: (descriptor, uid, gid) => fchownSync(descriptor, uid, gid),
  futimes: (descriptor, accessed, modified) => futimesSync(descriptor, accessed, modified),
  lutimes: (path, accessed, modified) => lutimesSync(path, accessed, modified),
  mkdir: (path, mode) => mkdirSync(path, { mode }),
  rmdir: (path) => rmdirSync(path),
  unlink: (path) => unlinkSync(path),
  rename: (from, to) => renameSync(from, to),
  link: (from, to) => linkSync(from, to),
  symlink: (target, path) => symlinkSync(target, path),
  readlink: (path) => readlinkSync(path, 'buffer'),
  hasAcl: hasAclAt,
  fhasAcl: hasAcl,
  readdir: (path) => readdirSync(path, 'latin1'),
  entries: (path) => readdirSync(path, withKinds),
};

const lstatLater = promisify(lstat);
const readLater = (
  descriptor: number,
  into: Buffer,
  offset: number,
  length: number,
  position: number | null,
): Promise<number> =>
  new Promise((resolve, reject) => {
    read(descriptor, into, offset, length, position, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    );
  });
const writeLater = (descriptor: number, from: Buffer, offset: number, length: number): Promise<number> =>
  new Promise((resolve, reject) => {
    write(descriptor, from, offset, length, null, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  });
const mkdirLater = promisify(mkdir);
const readlinkLater = promisify(readlink);
const readdirLater = promisify(readdir);

/** Each call made by a thread of its own, side by side with others: for volumes on which one call takes long. */
export const sideBySide: Calls = {
  lstat: (path) =>
    lstatLater(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    }),
  stat: promisify(stat),
  fstat: promisify(fstat),
  open: promisify(open) as Calls['open'],
  close: promisify(close),
  read: readLater,
  write: writeLater,
  chmod: promisify(chmod),
  fchmod: promisify(fchmod),
  chown: promisify(chown),
  lchown: promisify(lchown),
  fchown: promisify(fchown),
  futimes: promisify(futimes),
  lutimes: promisify(lutimes),
  mkdir: (path, mode) => mkdirLater(path, { mode }),
  rmdir: promisify(rmdir),
  unlink: promisify(unlink),
  rename: promisify(rename),
  link: promisify(link),
  symlink: promisify(symlink) as Calls['symlink'],
  readlink: (path) => readlinkLater(path, 'buffer'),
  hasAcl: hasAclBeside,
  fhasAcl: hasAclBeside,
  readdir: (path) => readdirLater(path, 'latin1'),
  entries: (path) => readdirLater(path, withKinds),
};

/** Work on files, cut at each of its calls. It is the same work whether its calls are made at once or side by side. */
export type Work<T> = Generator<Promise<unknown>, T, unknown>;

/** What a call gives, within work: `const stat = yield* given(calls.lstat(name))`. */
export function given<T>(call: Soon<T>): Work<T> {
  if (call instanceof Promise) return later(call);
  there.value = call;
  return ready as Work<T>;
}

function* later<T>(call: Promise<T>): Work<T> {
  return (yield call) as T;
}

/** What was given at once: taken by `yield*` before anything else happens, so that one is enough, and none is made anew. */
const there: { done: true; value: unknown } = { done: true, value: undefined };
const ready = { [Symbol.iterator]: () => ready, next: () => there } as unknown as Work<unknown>;

/** Does work whose calls are all made at once. */
export function doAtOnce<T>(work: Work<T>): T {
  const step = work.next();
  if (step.done !== true) throw new Error('a call was to be made at once');
  return step.value;
}

/**
 * Does work whose calls take their time.
 * @throws the signal's reason, within the work, at its next call once the signal is aborted
 */
export async function doInTime<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
  let step = work.next();
  while (step.done !== true) {
    let value: unknown;
    try {
      value = await step.value;
      if (signal?.aborted) throw reasonOf(signal);
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(value);
  }
  return step.value;
}

/** Calls side by side that can be given up: what hangs, or comes too late, is followed by nothing. */
export class Abandonable {
  readonly calls: Calls;
  #abandoned = false;

  constructor() {
    const all = Object.entries(sideBySide) as [string, (...values: unknown[]) => Promise<unknown>][];
    this.calls = Object.fromEntries(
      all.map(([name, call]) => [name, (...values: unknown[]) => this.#step(call(...values))]),
    ) as unknown as Calls;
  }

  /** From now on none of the calls gives anything, and so nobody goes on to the next one. */
  abandon(): void {
    this.#abandoned = true;
  }

  async #step<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } finally {
      if (this.#abandoned) await new Promise<never>(() => {});
    }
  }
}
