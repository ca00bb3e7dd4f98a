import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
} from 'node:fs';

import { withoutByteOrderMark } from '../core/byte-order-mark.ts';
import { exitStatus } from '../core/exit-status.ts';
import { secretAsPath, shownPath } from '../core/misplaced-secret.ts';
import type { Given } from '../core/options/resolve-options.ts';
import { UsageError } from '../core/outcome.ts';
import { overLimit } from '../core/size.ts';
import { itself } from './directory/file-name.ts';
import { O_PATH } from './directory/open-directory.ts';
import { LinkInPath } from './directory/pinned-path.ts';
import { pinInput } from './directory/safe-open.ts';

/** What a user named to be read, open. */
export interface InputFile extends Disposable {
  readonly descriptor: number;
  readonly stat: Stats;
}

/** A file that is there and is not read; the message follows its path. */
export class InputRefused extends Error {}
export class InputTooLarge extends InputRefused {}

/** Descriptors that the caller of the program handed over: `/dev/stdin`, and `/dev/fd/63` of a shell's `<(…)`. */
const handedOver = /^\/(?:dev\/stdin|(?:dev|proc\/self)\/fd\/(\d+))$/;

/** Of a secret, a header file, a certificate: what a Kubernetes Secret may hold (https://kubernetes.io/docs/concepts/configuration/secret/). */
const usualLimit = 1 << 20;

/**
 * How long a pipe that was handed over may give nothing, and how long to wait before each look, in milliseconds. Signals
 * are not seen meanwhile.
 */
const pipeLimit = 5000;
const pipePause = 10;

/**
 * Opens what a user named to be read, without waiting for anybody: a file, or a folder. Links that others may have made
 * are not followed. Of pipes and devices, only what the program's caller handed over is opened.
 * @throws LinkInPath, InputRefused, or the system's error
 */
export function openInput(path: string): InputFile {
  const pinned = pin(path);
  try {
    const stat = fstatSync(pinned);
    // Before it is opened to be read: opening a device may do something, opening a pipe wakes who waits to write to it.
    if (!handedOver.test(path) && !stat.isDirectory()) requireFile(stat);
    const descriptor = openSync(itself(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
    return { descriptor, stat, [Symbol.dispose]: () => closeSync(descriptor) };
  } finally {
    closeSync(pinned);
  }
}

function pin(path: string): number {
  const [own, number = '0'] = handedOver.exec(path) ?? [];
  return own === undefined ? pinInput(path) : openSync(`/proc/self/fd/${number}`, O_PATH);
}

/** What is at a path that a user named, which is not opened. @throws LinkInPath, or the system's error */
export function statInput(path: string): Stats {
  const pinned = pin(path);
  try {
    return fstatSync(pinned);
  } finally {
    closeSync(pinned);
  }
}

/** As openInput, of a regular file; the caller closes it. */
export function openInputFile(path: string): number {
  const { descriptor, stat } = openInput(path);
  try {
    requireFile(stat);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** @throws InputRefused where it is not a regular file */
export function requireFile(stat: Stats): void {
  if (!stat.isFile()) throw new InputRefused(`is not a regular file: it is ${kindOf(stat)}`);
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a directory';
  if (stat.isFIFO()) return 'a named pipe (FIFO)';
  return stat.isSocket() ? 'a socket' : 'a device';
}

/**
 * Reads a file that a user named.
 * @param largest bytes that it may have
 * @param judge is given the open file, of which the bytes are
 * @throws LinkInPath, InputRefused, or the system's error
 */
export function readInput(path: string, largest: number, judge?: (descriptor: number) => void): Buffer {
  using input = openInput(path);
  const { descriptor, stat } = input;
  const stream = stat.isFIFO() || stat.isCharacterDevice();
  if (!stream) requireFile(stat);
  if (stat.size > largest) throw tooLarge(stat.size, largest);
  judge?.(descriptor);
  return readOpenFile(descriptor, stat.size, largest);
}

/**
 * Reads what is open from where it stands to its end.
 * @param expected bytes that it seems to have
 * @throws InputTooLarge, InputRefused, or the system's error
 */
export function readOpenFile(descriptor: number, expected: number, largest: number): Buffer {
  const parts: Buffer[] = [];
  for (let size = 0, waited = 0; ;) {
    // One byte more than it says: then its end is seen by the first call.
    const part = Buffer.allocUnsafe(Math.max(expected + 1 - size, 1 << 16));
    const length = readSome(descriptor, part);
    if (length === 0) return Buffer.concat(parts);
    if (length === undefined) {
      if ((waited += pipePause) > pipeLimit) throw new InputRefused('is a pipe that gave nothing for 5 s');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pipePause);
      continue;
    }
    waited = 0;
    if ((size += length) > largest) throw tooLarge(size, largest);
    parts.push(part.subarray(0, length));
  }
}

function tooLarge(size: number, largest: number): InputTooLarge {
  return new InputTooLarge(`has ${overLimit(size, largest)}`);
}

/** Undefined where nothing is there yet. */
function readSome(descriptor: number, part: Buffer): number | undefined {
  try {
    return readSync(descriptor, part);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN' || code === 'EINTR') return undefined;
    throw error;
  }
}

/** Whether something is there to be read; undefined where nothing is. @throws LinkInPath, or the system's error */
export function inputKind(path: string): 'file' | 'folder' | 'other' | undefined {
  try {
    const stat = statInput(path);
    return stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * The names in a folder, in order.
 * @param wanted is given a name, with U+FFFD for what is not UTF-8, and what tells whether it may lead to a folder
 * @throws LinkInPath, InputRefused, or the system's error (ENOTDIR of a file)
 */
export function namesInInput(
  path: string,
  wanted: (name: string, mayBeFolder: () => boolean) => boolean = () => true,
): string[] {
  using input = openInput(path);
  const folder = itself(input.descriptor);
  const names = readdirSync(folder, { encoding: 'buffer' }).filter((name) =>
    wanted(name.toString(), () => mayBeFolder(Buffer.concat([Buffer.from(`${folder}/`), name]))),
  );
  const unreadable = names.find((name) => !isUtf8(name));
  if (unreadable !== undefined)
    throw new InputRefused(
      `holds the name ${JSON.stringify(unreadable.toString('latin1'))} (as Latin-1), which is not UTF-8; rename the file`,
    );
  return names.map(String).toSorted();
}

function mayBeFolder(path: Buffer): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && (stat.isDirectory() || stat.isSymbolicLink());
}

/** Why a file is not read, and what to do where that is not clear; the text follows its path. */
export function whyUnread(error: unknown): string {
  const { why, hint } = unread(error);
  return hint === undefined ? why : `${why}; ${hint}`;
}

/** The same in parts, with the exit status of a wait that it ends: 2 where the path is to be written otherwise. */
export function unread(error: unknown): {
  readonly why: string;
  readonly hint?: string;
  readonly status: number;
} {
  const status = exitStatus.refused;
  if (error instanceof InputRefused) return { why: error.message, status };
  if (error instanceof LinkInPath) {
    return {
      why: `cannot be read: ${error.link} is a symbolic link to ${JSON.stringify(error.target)}, which others may have made`,
      hint: 'write the real path, without links',
      status: exitStatus.usage,
    };
  }
  const { code, message } = error as NodeJS.ErrnoException;
  return {
    why: code === 'EACCES' ? 'may not be read by this user' : `cannot be read (${code ?? message})`,
    status,
  };
}

/**
 * Reads a file that a flag or a variable names.
 * @param judge as readInput takes it
 * @throws UsageError that names it and its origin
 */
export function readNamedFile(
  { text, origin }: Given,
  largest = usualLimit,
  judge?: (descriptor: number) => void,
): Buffer {
  try {
    return readInput(text, largest, judge);
  } catch (error) {
    const instead = secretAsPath(text);
    if (instead !== undefined) throw new UsageError(`${origin}: ${instead}`, { cause: error });
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new UsageError(`${origin}: there is no file ${shownPath(text)}`, { cause: error });
    throw new UsageError(`${origin}: the file ${shownPath(text)} ${whyUnread(error)}`, { cause: error });
  }
}

/**
 * Reads a secret's file less one line end and a byte order mark, which editors and `echo` add.
 * @throws UsageError where it is missing, not a regular file, unreadable or empty
 */
export function readSecretFile(given: Given): string {
  const trimmed = withoutByteOrderMark(readNamedFile(given).toString()).replace(/\r?\n$/, '');
  if (trimmed === '') throw new UsageError(`${given.origin}: the file ${shownPath(given.text)} is empty`);
  return trimmed;
}
