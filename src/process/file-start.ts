import { closeSync, openSync, readSync } from 'node:fs';

/** Bytes of a file by which the kernel tells what to do with it (BINPRM_BUF_SIZE). */
export const startLength = 256;

export interface Start {
  /** As many as the kernel reads; behind the file's end they are zeros. */
  readonly bytes: Buffer;
  /** How many of them are the file's. */
  readonly size: number;
}

/** @returns undefined where the file cannot be read: it may be run all the same */
export function startOf(file: string): Start | undefined {
  const read = readAt(file, 0, startLength);
  if (read === undefined) return undefined;
  const bytes = Buffer.alloc(startLength);
  bytes.set(read);
  return { bytes, size: read.length };
}

/** @returns the bytes that are there; undefined where the file cannot be read */
export function readAt(file: string, position: number, length: number): Buffer | undefined {
  if (!Number.isSafeInteger(position)) return Buffer.alloc(0);
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
