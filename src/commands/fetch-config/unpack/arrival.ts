import { createHash, type Hash } from 'node:crypto';

import { type ArchiveLimits, BrokenArchive } from '../../../clients/archive/entry.ts';
import { typeOfHead } from '../../../clients/archive/type.ts';
import type { SourceSink } from '../../../clients/http/source.ts';
import type { ByteQueue } from '../../../core/byte-queue.ts';
import type { Patience } from '../../../core/deadline.ts';
import type { Directory } from '../../../fs/directory/directory.ts';
import { clearAllBut } from '../../../fs/publish/remove.ts';
import { Through } from '../through.ts';
import { readTarBytes, unknownType } from './archive.ts';
import type { Download } from './download.ts';
import { Refused } from './entry-names.ts';
import type { UnpackedTree } from './tree.ts';

/** Bytes by which an archive is known. */
const headSize = 512;

export interface ArrivalSettings {
  /** Nobody sees it yet. */
  readonly stage: Directory;
  readonly limits: ArchiveLimits;
  readonly patience: Patience;
  readonly newTree: () => UnpackedTree;
  readonly newDownload: () => Download;
}

/**
 * An archive on its way. A tar file is unpacked as it comes, into a folder that nobody sees yet, and its sum is made of the
 * very bytes that are unpacked; a zip file, whose directory comes last, lies in a file first. Where the body begins anew, so
 * does the unpacking. What is wrong with an archive is told when all of it has come, since its sum is judged first.
 */
export class Arrival implements SourceSink, AsyncDisposable {
  readonly limit = '--max-unpacked';
  readonly anyEncoding = true;
  readonly #settings: ArrivalSettings;
  readonly #through: Through;
  #hash: Hash = createHash('sha256');
  #size = 0;
  #begun = false;
  #tree: UnpackedTree | undefined;
  #file: Download | undefined;

  constructor(settings: ArrivalSettings) {
    this.#settings = settings;
    this.#through = new Through(
      (queue) => this.#take(queue),
      (error) => !(error instanceof Refused || error instanceof BrokenArchive),
    );
  }

  get size(): number {
    return this.#size;
  }

  /** What ended it that is not about the archive, such as a full volume. */
  get fatal(): { readonly error: unknown } | undefined {
    return this.#through.fatal;
  }

  start(): void {
    this.#settings.patience.renew();
    this.#size = 0;
    this.#hash = createHash('sha256');
    this.#through.restart();
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#settings.patience.renew();
    this.#hash.update(bytes);
    this.#size += bytes.length;
    return this.#through.write(bytes);
  }

  sum(): string {
    return this.#hash.copy().digest('hex');
  }

  kept(): undefined {
    return undefined;
  }

  /**
   * All of it has come, and its sum is right.
   * @returns what it was unpacked to, or the file that it lies in
   * @throws Refused, BrokenArchive, the signal's reason, or the system's error
   */
  async whole(): Promise<UnpackedTree | Download> {
    await this.#through.end();
    const made = this.#tree ?? this.#file;
    if (made === undefined) throw new Error('nothing was unpacked');
    return made;
  }

  async #take(queue: ByteQueue): Promise<void> {
    const { stage, limits, patience, newTree, newDownload } = this.#settings;
    if (this.#begun) {
      await this.#drop();
      await clearAllBut(stage, []);
    }
    this.#begun = true;
    let head: Uint8Array = Buffer.alloc(0);
    for await (const bytes of queue.taken()) {
      head = head.length === 0 ? bytes : Buffer.concat([head, bytes]);
      if (head.length >= headSize) break;
    }
    const type = typeOfHead(Buffer.from(head.subarray(0, headSize)));
    if (typeof type === 'object') throw unknownType(type.instead);
    const all = async function* (): AsyncGenerator<Uint8Array> {
      yield head;
      yield* queue.taken();
    };
    if (type === 'zip') {
      this.#file = newDownload();
      for await (const bytes of all()) this.#file.write(bytes);
      return;
    }
    this.#tree = newTree();
    await readTarBytes(all, type, this.#tree, limits, patience);
  }

  async #drop(): Promise<void> {
    await this.#tree?.[Symbol.asyncDispose]();
    this.#file?.[Symbol.dispose]();
    this.#tree = undefined;
    this.#file = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#through.stop();
    await this.#drop();
  }
}
