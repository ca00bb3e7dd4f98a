import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, ftruncateSync, openSync, read, writeSync } from 'node:fs';

import type { SourceSink } from '../../../clients/http/source.ts';
import { reasonOf, unlessAborted } from '../../../core/clock.ts';
import type { Patience } from '../../../core/deadline.ts';
import type { Directory } from '../../../fs/directory/directory.ts';

const chunk = 1 << 20;

/** Bytes between two collections of what was written. */
const betweenCollections = 8 << 20;

/** An archive on its way: in a file on the volume, since it may be larger than memory; its sum is made as it comes. */
export class Download implements SourceSink, Disposable {
  readonly limit = '--max-unpacked';
  readonly anyEncoding = true;
  readonly descriptor: number;
  readonly #came: () => void;
  #hash: Hash = createHash('sha256');
  #at = 0;
  #uncollected = 0;
  readonly #collect: () => void;

  /**
   * @param came called whenever something of it has come
   * @param collect called now and then, so that what was written does not stay in memory
   */
  constructor(directory: Directory, name: string, came: () => void, collect: () => void) {
    this.#came = came;
    this.#collect = collect;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    this.descriptor = openSync(directory.at(name), flags, 0o600);
  }

  start(): void {
    this.#came();
    ftruncateSync(this.descriptor, 0);
    this.#at = 0;
    this.#hash = createHash('sha256');
  }

  get size(): number {
    return this.#at;
  }

  kept(): undefined {
    return undefined;
  }

  write(bytes: Uint8Array): undefined {
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length;)
      at += writeSync(this.descriptor, bytes, at, bytes.length - at, this.#at + at);
    this.#at += bytes.length;
    this.#came();
    this.#uncollected += bytes.length;
    if (this.#uncollected > betweenCollections) {
      this.#uncollected = 0;
      this.#collect();
    }
  }

  sum(): string {
    return this.#hash.copy().digest('hex');
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }
}

/** Hands on an open file from its beginning, in steps between which signals are heard. */
export async function readAll(
  descriptor: number,
  take: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(chunk);
  for (let at = 0; ;) {
    if (signal.aborted) throw reasonOf(signal);
    const position = at;
    const reading = new Promise<number>((resolve, reject) => {
      read(descriptor, buffer, 0, chunk, position, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    });
    const length = await unlessAborted(reading, signal);
    if (length === 0) return;
    take(buffer.subarray(0, length));
    at += length;
  }
}

/** The SHA-256 of an open file. */
export async function sumOf(
  descriptor: number,
  { signal, renew }: Pick<Patience, 'signal' | 'renew'>,
): Promise<string> {
  const hash = createHash('sha256');
  const take = (bytes: Uint8Array): void => {
    hash.update(bytes);
    renew();
  };
  await readAll(descriptor, take, signal);
  return hash.digest('hex');
}
