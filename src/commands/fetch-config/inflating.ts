import { createHash, type Hash } from 'node:crypto';

import type { SourceSink } from '../../clients/http/source.ts';
import { decompressTo, NotDecompressed } from '../../config/decompress.ts';
import type { ByteQueue } from '../../core/byte-queue.ts';
import type { Spool } from './spool.ts';
import { Through } from './through.ts';

/** What is unpacked belongs to a body that began anew since. */
class Restarted extends Error {}

/** Unpacks a compressed body as it comes, into the spool that another body would go to. */
export class Inflating implements SourceSink, AsyncDisposable {
  readonly limit = '--max-size';
  readonly anyEncoding = true;
  readonly #spool: Spool;
  readonly #through: Through;
  #hash: Hash = createHash('sha256');
  #size = 0;
  #begun = false;

  /** @param most bytes that it may unpack to */
  constructor(spool: Spool, most: number, signal: AbortSignal) {
    this.#spool = spool;
    const consume = async (queue: ByteQueue): Promise<void> => {
      spool.start();
      const take = (bytes: Uint8Array): Promise<void> | undefined => {
        if (queue.isClosed) throw new Restarted();
        return spool.write(bytes);
      };
      await decompressTo(() => queue.taken(), take, { bytes: most, origin: '--max-size' }, signal);
    };
    this.#through = new Through(consume, (error) => !(error instanceof NotDecompressed));
  }

  /** Of the body as it comes. */
  get size(): number {
    return this.#size;
  }

  start(): void {
    this.#begun = true;
    this.#size = 0;
    this.#hash = createHash('sha256');
    this.#through.restart();
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#size += bytes.length;
    this.#hash.update(bytes);
    return this.#through.write(bytes);
  }

  sum(): string {
    return this.#hash.copy().digest('hex');
  }

  /** The SHA-256 of the body; undefined where none came. */
  get taken(): string | undefined {
    return this.#begun ? this.sum() : undefined;
  }

  /** @throws NotDecompressed, or what the volume failed with */
  async finish(): Promise<void> {
    await this.#through.end();
  }

  kept(): Uint8Array | undefined {
    return this.#spool.kept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#through.stop();
  }
}
