import { createHash, type Hash } from 'node:crypto';

import type { SourceSink } from '../../clients/http/source.ts';
import type { Context } from '../../core/context.ts';
import { GrowingBytes } from '../../core/growing-bytes.ts';
import type { PublishContext } from '../../fs/publish/atomic-file.ts';
import { contentMode, type FileOwner, secretMode } from '../../fs/publish/attributes.ts';
import { GrowingFile } from '../../fs/publish/growing-file.ts';
import type { Intent } from '../../fs/publish/open-target.ts';
import { commitAll, type Published, type Staged } from '../../fs/publish/published.ts';
import { sharingWarning } from '../../fs/publish/target-checks.ts';
import type { Plain } from './plain.ts';

/** Bodies up to here stay in memory, in bytes: they are compared, redacted and rendered there. */
export const keptInMemory = 1 << 20;

/** Bytes between two collections of what was written. */
const betweenCollections = 8 << 20;

/** The body of one download that goes into one file as it is: to the volume as it comes, where it is large. */
export class Spool implements SourceSink, AsyncDisposable {
  readonly limit = '--max-size';
  readonly anyEncoding = false;
  readonly #path: string;
  readonly #intent: Intent;
  readonly #context: PublishContext & Pick<Context, 'host'>;
  readonly #summed: boolean;
  #hash: Hash = createHash('sha256');
  #inMemory = new GrowingBytes(0);
  #file: GrowingFile | undefined;
  #opening: Promise<void> | undefined;
  #size = 0;
  #uncollected = 0;
  #latest: ArrayBufferLike | undefined;

  /** @param summed whether the body's sum will be asked for: it takes time */
  constructor(
    path: string,
    intent: Intent,
    summed: boolean,
    context: PublishContext & Pick<Context, 'host'>,
  ) {
    this.#path = path;
    this.#intent = intent;
    this.#summed = summed;
    this.#context = context;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether it went to the volume. */
  get isLarge(): boolean {
    return this.#size > keptInMemory;
  }

  start(): void {
    this.#size = 0;
    this.#inMemory = new GrowingBytes(0);
    this.#hash = createHash('sha256');
    this.#file?.restart();
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#size += bytes.length;
    if (this.#summed) this.#hash.update(bytes);
    if (this.isLarge) return this.#toVolume(bytes);
    this.#inMemory.add(bytes);
    return undefined;
  }

  sum(): string {
    if (!this.#summed) throw new Error('no sum was made');
    return this.#hash.copy().digest('hex');
  }

  kept(): Uint8Array | undefined {
    return this.isLarge ? undefined : this.#inMemory.taken();
  }

  /** @throws Failure, or the signal's reason */
  async stage(mode: number, owner: FileOwner | undefined): Promise<Staged> {
    if (this.#file === undefined) throw new Error('the body is in memory');
    return this.#file.stage(mode, owner);
  }

  #toVolume(bytes: Uint8Array): Promise<void> | undefined {
    this.#collect(bytes);
    if (this.#file !== undefined && this.#inMemory.length === 0) return this.#file.write(bytes);
    this.#inMemory.add(bytes);
    return this.#begin();
  }

  /** Node counts memory outside of its heap too low. What is used again and again needs no collection. */
  #collect({ buffer, length }: Uint8Array): void {
    if (buffer === this.#latest) return;
    this.#latest = buffer;
    this.#uncollected += length;
    if (this.#uncollected <= betweenCollections) return;
    this.#uncollected = 0;
    this.#context.host.collectGarbage();
  }

  /** What was kept goes first, and what comes meanwhile follows it. */
  async #begin(): Promise<void> {
    this.#opening ??= GrowingFile.begin(this.#path, this.#intent, this.#context).then((file) => {
      this.#file = file;
    });
    await this.#opening;
    const kept = this.#inMemory.taken();
    this.#inMemory = new GrowingBytes(0);
    await this.#file?.write(kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that is being opened is to be closed as well.
    await this.#opening?.catch(() => {});
    await this.#file?.[Symbol.asyncDispose]();
  }
}

/** Shows a download that went to the volume. @throws Failure with the reason in words, or the signal's reason */
export async function publishSpooled(
  { output: { folder, mode: asked, owner, secret } }: Plain,
  spool: Spool,
  context: Pick<Context, 'signal' | 'host'>,
): Promise<Published> {
  const mode = asked ?? (secret ? secretMode : contentMode);
  const warning = secret ? sharingWarning(folder, mode, owner, context.host) : undefined;
  const staged = await spool.stage(mode, owner);
  const published = await commitAll([staged], context.signal);
  return { ...published, warnings: [...(warning === undefined ? [] : [warning]), ...published.warnings] };
}
