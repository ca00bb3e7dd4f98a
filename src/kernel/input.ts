import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { sleep, type Clock } from './clock.ts';

/** Milliseconds between looks at a pipe that has nothing yet. */
const pause = 10;

/**
 * Reads a descriptor to its end. A pipe is opened once more for that: reading it must neither block, which would hold
 * up signals, nor leave it non-blocking for the command that takes over.
 * @throws the signal's reason; the system's error; an Error where it is longer than `limit` bytes
 */
export async function readToEnd(
  descriptor: number,
  limit: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Buffer> {
  if (!fstatSync(descriptor).isFIFO()) return withinLimit(readFileSync(descriptor), limit);
  const own = openSync(`/proc/self/fd/${descriptor}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const parts: Buffer[] = [];
    for (let size = 0; ;) {
      const part = readSome(own);
      if (part === undefined) await sleep(clock, pause, signal);
      else if (part.length === 0) return Buffer.concat(parts);
      else {
        parts.push(part);
        size += part.length;
        if (size > limit) return withinLimit(Buffer.concat(parts), limit);
      }
    }
  } finally {
    closeSync(own);
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

function withinLimit(bytes: Buffer, limit: number): Buffer {
  if (bytes.length > limit) throw new Error(`it is longer than ${limit} bytes`);
  return bytes;
}
