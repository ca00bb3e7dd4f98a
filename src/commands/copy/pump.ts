import { fstatSync, ftruncateSync, readSync, type Stats, writeSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import { type Libc, seekData, seekHole } from '../../process/libc.ts';
import { writing } from './failures.ts';

/** Read and written at once where the kernel does not copy by itself: it stays in the processor's cache. */
const chunk = 1 << 18;

/** A piece takes about so long, in milliseconds, however slow the disk is; between pieces signals are heard. */
const piece = { shortest: 5, longest: 20 };
const largest = 1 << 24;

/** Blocks that st_blocks counts, in bytes (stat(2)). */
const block = 512;

/**
 * Copies the content of one open file to another that is empty, piece by piece and within the kernel where it can. Holes
 * stay holes.
 * @returns how far it came: less than the file had where that became shorter meanwhile
 * @throws the signal's reason, WriteFailed
 */
export async function pump(
  from: number,
  to: number,
  stat: Stats,
  libc: Libc | undefined,
  signal: AbortSignal,
): Promise<number> {
  const sparse = stat.blocks * block < stat.size;
  const pieces = new Pieces(from, to, libc, sparse && libc === undefined, signal);
  if (!sparse || libc === undefined) {
    const end = await pieces.copy(0, stat.size);
    if (sparse) writing(() => ftruncateSync(to, end));
    return end;
  }
  for (let at = 0; at < stat.size;) {
    // Past the last of the data there is none: ENXIO.
    const start = Number(libc.lseek(from, BigInt(at), seekData));
    if (start < 0) break;
    const hole = Number(libc.lseek(from, BigInt(start), seekHole));
    at = await pieces.copy(start, hole < 0 ? stat.size : Math.min(hole, stat.size));
    if (at === start) break;
  }
  // One that became shorter meanwhile ends where it ends now.
  const { size } = fstatSync(from);
  const end = Math.min(size, stat.size);
  writing(() => ftruncateSync(to, end));
  return end;
}

class Pieces {
  readonly #from: number;
  readonly #to: number;
  readonly #signal: AbortSignal;
  /** Whether what is zeros is left out, since nobody tells where holes are. */
  readonly #skipZeros: boolean;
  readonly #positions = [Buffer.alloc(8), Buffer.alloc(8)] as const;
  #libc: Libc | undefined;
  #size = chunk;
  #buffer: Buffer | undefined;
  #zeros: Buffer | undefined;

  constructor(from: number, to: number, libc: Libc | undefined, skipZeros: boolean, signal: AbortSignal) {
    this.#from = from;
    this.#to = to;
    this.#libc = libc;
    this.#skipZeros = skipZeros;
    this.#signal = signal;
  }

  /** Returns where it ended: before `end` where the file became shorter meanwhile. */
  async copy(start: number, end: number): Promise<number> {
    let at = start;
    while (at < end) {
      if (this.#signal.aborted) throw reasonOf(this.#signal);
      const began = performance.now();
      const length = this.#piece(at, Math.min(this.#size, end - at));
      if (length === 0) break;
      at += length;
      const took = performance.now() - began;
      if (took < piece.shortest) this.#size = Math.min(largest, this.#size * 2);
      else if (took > piece.longest) this.#size = Math.max(chunk, this.#size >> 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return at;
  }

  #piece(at: number, length: number): number {
    if (this.#libc !== undefined) {
      const [fromAt, toAt] = this.#positions;
      fromAt.writeBigInt64LE(BigInt(at));
      toAt.writeBigInt64LE(BigInt(at));
      const copied = this.#libc.copyFileRange(this.#from, fromAt, this.#to, toAt, length);
      if (copied > 0) return copied;
      // Between these two file systems it cannot, or something is wrong, which reading and writing tell.
      this.#libc = undefined;
    }
    this.#buffer ??= Buffer.allocUnsafeSlow(chunk);
    let done = 0;
    while (done < length) {
      const read = readSync(this.#from, this.#buffer, 0, Math.min(chunk, length - done), at + done);
      if (read === 0) break;
      this.#write(this.#buffer.subarray(0, read), at + done);
      done += read;
    }
    return done;
  }

  #write(bytes: Buffer, at: number): void {
    if (this.#skipZeros) {
      this.#zeros ??= Buffer.alloc(chunk);
      if (bytes.equals(this.#zeros.subarray(0, bytes.length))) return;
    }
    writing(() => {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#to, bytes, done, bytes.length - done, at + done);
    });
  }
}
