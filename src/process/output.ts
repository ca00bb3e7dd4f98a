import { constants, fstatSync, openSync, writeSync } from 'node:fs';

import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed } from '../core/outcome.ts';

/**
 * Writes to a descriptor without ever going through a Node stream, which would leave it non-blocking for the
 * command that takes over, and without ever blocking on a pipe that nobody reads, which would delay signals.
 */
export interface OutputDescriptor {
  write(text: string): void;
  /** Tries once more to get rid of what a full pipe refused. */
  flush(): void;
}

/** Lines kept for a full pipe; older ones go first. */
const backlogLimit = 256 * 1024;

/** Standard error: lossy when nobody reads, never blocking where that can be had. */
export function lossyOutput(descriptor: number): OutputDescriptor {
  const own = ownDescriptor(descriptor);
  let backlog: Buffer[] = [];
  let size = 0;
  let closed = false;

  const flush = (): void => {
    while (!closed && backlog.length > 0) {
      const head = backlog[0] as Buffer;
      try {
        const written = writeSync(own, head);
        size -= written;
        if (written < head.length) backlog[0] = head.subarray(written);
        else backlog.shift();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EINTR') continue;
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        // EPIPE, EIO, EBADF, ENOSPC: nobody will ever read it, and a log is no reason to fail.
        closed = true;
        backlog = [];
      }
    }
  };

  return {
    write(text) {
      if (closed) return;
      const bytes = Buffer.from(text);
      backlog.push(bytes);
      size += bytes.length;
      flush();
      while (size > backlogLimit && backlog.length > 1) size -= backlog.splice(1, 1)[0]?.length ?? 0;
    },
    flush,
  };
}

/**
 * A pipe opened again is a description of its own, whose O_NONBLOCK the successor does not inherit.
 * Only a pipe: a file opened again has an offset of its own, and one would overwrite the other.
 */
function ownDescriptor(descriptor: number): number {
  try {
    if (!fstatSync(descriptor).isFIFO()) return descriptor;
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return descriptor; // another UID's pipe, or no /proc: blocking is what is left
  }
}

/**
 * Standard output: what was asked for, whole.
 * @throws Failure where it cannot be written, as on a full disk or to a pipe whose reader has ended
 */
export function writeToStandardOutput(text: string): void {
  try {
    writeAll(1, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Failure(failed(exitStatus.failed, `standard output cannot be written (${code})`));
  }
}

/** @throws the system's error (EPIPE, ENOSPC, …) */
function writeAll(descriptor: number, text: string): void {
  let rest: Buffer = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      // Inherited non-blocking and full: wait a little rather than spin.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
