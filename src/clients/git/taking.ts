import { createHash, type Hash } from 'node:crypto';

import { hashLengths } from './pack.ts';
import type { HashName, PackPlace } from './upload-pack.ts';

/** A file that a pack goes into. */
export interface PackFile {
  /** What came before is of no use. */
  start(): void;
  write(bytes: Uint8Array): void;
}

export interface TakingSettings {
  readonly file: PackFile;
  /** The most bytes of a pack, and the option that says so. */
  readonly most: number;
  readonly mostOrigin: string;
  /** Whether what a commit holds is there already, so that it need not come. */
  readonly has: (commit: string) => Promise<boolean>;
}

/** Takes a pack as it comes, and makes the hash that stands at its end. */
export class Taking implements PackPlace {
  readonly #settings: TakingSettings;
  #name: HashName = 'sha1';
  #hash: Hash = createHash('sha1');
  /** What may be the end. */
  #tail = Buffer.alloc(0);

  constructor(settings: TakingSettings) {
    this.#settings = settings;
  }

  get most(): number {
    return this.#settings.most;
  }

  get mostOrigin(): string {
    return this.#settings.mostOrigin;
  }

  /** By what the server names its objects. */
  get hash(): HashName {
    return this.#name;
  }

  has(commit: string): Promise<boolean> {
    return this.#settings.has(commit);
  }

  begin(hash: HashName): void {
    this.#name = hash;
  }

  start(): void {
    this.#hash = createHash(this.#name);
    this.#tail = Buffer.alloc(0);
    this.#settings.file.start();
  }

  write(bytes: Uint8Array): void {
    this.#settings.file.write(bytes);
    const all = Buffer.concat([this.#tail, bytes]);
    const end = Math.max(0, all.length - hashLengths[this.#name]);
    this.#hash.update(all.subarray(0, end));
    this.#tail = Buffer.from(all.subarray(end));
  }

  /** Whether the hash at the end is that of what came before it. */
  isRight(): boolean {
    return this.#hash.digest().equals(this.#tail);
  }
}
