import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { formatBytes } from '../../../core/size.ts';

/**
 * Reads a file whole.
 * @param largest bytes that it may have
 * @param judge is given the open file, of which the bytes are
 * @throws Error in words, without its name
 */
export function readWhole(path: string, largest: number, judge?: (descriptor: number) => void): Uint8Array {
  let fd: number;
  try {
    // Not blocking: a FIFO without a writer would hang in open(2).
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new Error(wordsFor((error as NodeJS.ErrnoException).code), { cause: error });
  }
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw new Error('it is a folder');
    if (!stat.isFile()) throw new Error('it is no regular file');
    const tooLarge = (size: number): Error =>
      new Error(`it has ${formatBytes(size)}, over the limit of ${formatBytes(largest)} (--max-size)`);
    if (stat.size > largest) throw tooLarge(stat.size);
    judge?.(fd);
    const bytes = readFileSync(fd);
    if (bytes.length > largest) throw tooLarge(bytes.length);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

function wordsFor(code: string | undefined): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file; is the volume mounted here?';
  if (code === 'EACCES') return 'it may not be read by this user';
  return `it cannot be read (${code})`;
}
