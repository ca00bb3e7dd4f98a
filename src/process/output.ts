import { constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';

import { sleep, type Clock } from '../core/clock.ts';
import { exitStatus, signalStatus } from '../core/exit-status.ts';
import { DeadlinePassed, Failure, failed, SignalReceived } from '../core/outcome.ts';

/**
 * Writes to a descriptor without ever going through a Node stream, which would leave it non-blocking for the
 * command that takes over, and without ever blocking on a pipe that nobody reads, which would delay signals.
 */
export interface OutputDescriptor {
  write(text: string): void;
  /**
   * Tries once more to get rid of what a full pipe refused.
   * @returns whether nothing is left
   */
  flush(): boolean;
  /** A character device that is not one of memory, such as /dev/null: a terminal, as a rule. */
  readonly maybeTerminal: boolean;
}

/** Lines kept for a full pipe; older ones go first. */
const backlogLimit = 256 * 1024;

/** Standard error: lossy when nobody reads, never blocking where that can be had. */
export function lossyOutput(descriptor: number): OutputDescriptor {
  const own = ownDescriptor(descriptor);
  let backlog: Buffer[] = [];
  let size = 0;
  let closed = false;

  const flush = (): boolean => {
    while (!closed && backlog.length > 0) {
      const head = backlog[0] as Buffer;
      try {
        const written = writeSync(own, head);
        size -= written;
        if (written < head.length) backlog[0] = head.subarray(written);
        else backlog.shift();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EINTR') continue;
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
        // EPIPE, EIO, EBADF, ENOSPC: nobody will ever read it, and a log is no reason to fail.
        closed = true;
        backlog = [];
      }
    }
    return true;
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
    maybeTerminal: isDevice(descriptor),
  };
}

/** The major number of null, zero and full (https://www.kernel.org/doc/html/latest/admin-guide/devices.html). */
const memoryDevices = 1;

function isDevice(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    return stat.isCharacterDevice() && stat.rdev >> 8 !== memoryDevices;
  } catch {
    return false;
  }
}

/**
 * A pipe or terminal opened again is a description of its own, whose O_NONBLOCK the successor does not inherit.
 * Only these: a file opened again has an offset of its own, and one would overwrite the other.
 */
function ownDescriptor(descriptor: number): number {
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return descriptor;
    // What was opened for reading alone must stay so: writing to it fails, and that is told.
    if (!isWritable(descriptor)) return descriptor;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return descriptor; // another UID's pipe, or no /proc: blocking is what is left
  }
}

/** By the access mode among the octal flags of proc(5)'s fdinfo. */
function isWritable(descriptor: number): boolean {
  const [, flags = '1'] =
    /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1')) ?? [];
  return (Number.parseInt(flags, 8) & 3) !== constants.O_RDONLY;
}

/** Milliseconds between looks at a pipe that is full. */
const pause = 5;

let standardOutput: number | undefined;
let unwritten: Buffer = Buffer.alloc(0);

/** Reaches standard output while this process is still who it was started as: afterwards a pipe may not be opened again. */
export function reachStandardOutput(): number {
  return (standardOutput ??= ownDescriptor(1));
}

/**
 * Standard output: what was asked for. What a full pipe does not take is kept, and `standardOutputTaken` waits for it.
 * @throws Failure where it cannot be written, as on a full disk or to a pipe whose reader has ended
 */
export function writeToStandardOutput(text: string): void {
  unwritten = Buffer.concat([unwritten, Buffer.from(text)]);
  writeWhatFits();
}

/**
 * Waits until standard output has taken all that was written to it.
 * @throws Failure where it cannot be written, or was full until the deadline or a signal
 */
export async function standardOutputTaken({
  clock,
  signal,
}: {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<void> {
  try {
    while (!writeWhatFits()) await sleep(clock, pause, signal);
  } catch (error) {
    const left = unwritten.length;
    unwritten = Buffer.alloc(0);
    const what = `standard output is full and nobody reads it; ${left} bytes were not written`;
    if (error instanceof SignalReceived)
      throw new Failure(failed(signalStatus(error.signal), `ended by ${error.signal}: ${what}`));
    if (error instanceof DeadlinePassed)
      throw new Failure(failed(exitStatus.deadline, `${error.message}: ${what}`));
    throw error;
  }
}

/** @returns whether nothing is left */
function writeWhatFits(): boolean {
  while (unwritten.length > 0) {
    try {
      unwritten = unwritten.subarray(writeSync(reachStandardOutput(), unwritten));
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      if (code === 'EINTR') continue;
      if (code === 'EAGAIN') return false;
      unwritten = Buffer.alloc(0);
      throw new Failure(failed(exitStatus.failed, `standard output cannot be written (${code})`));
    }
  }
  return true;
}
