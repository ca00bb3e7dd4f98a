import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { sleep, type Clock } from '../core/clock.ts';
import { GrowingBytes } from '../core/growing-bytes.ts';

/** Milliseconds between looks at a pipe that has nothing yet. */
const pause = 10;

/**
 * Reads a descriptor to its end, and no further than the limit: a device may have none. A pipe or device is opened once
 * more for that: reading it must neither block, which would hold up signals, nor leave it non-blocking for the command
 * that takes over.
 * @throws the signal's reason; the system's error; an Error where it is longer than `limit` bytes
 */
export async function readToEnd(
  descriptor: number,
  limit: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Buffer> {
  const stat = fstatSync(descriptor);
  const waits = stat.isFIFO() || stat.isCharacterDevice();
  const own = waits
    ? openSync(`/proc/self/fd/${descriptor}`, constants.O_RDONLY | constants.O_NONBLOCK)
    : descriptor;
  try {
    const read = new GrowingBytes();
    for (;;) {
      const part = readSome(own);
      if (part === undefined) await sleep(clock, pause, signal);
      else if (part.length === 0) return read.taken();
      else {
        read.add(part);
        if (read.length > limit) throw new Error(`it is longer than ${limit} bytes`);
      }
    }
  } finally {
    if (waits) closeSync(own);
  }
}

/** What is there now, nothing at the end, undefined where more may come. */
function readSome(descriptor: number): Buffer | undefined {
  const buffer = Buffer.alloc(65_536);
  try {
    return buffer.subarray(0, readSync(descriptor, buffer));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN' || code === 'EINTR') return undefined;
    throw error;
  }
}
