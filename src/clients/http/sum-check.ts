import { createHash, type Hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { BodyCheck } from './source.ts';

/** A sum that a store keeps of an object, and says with it. */
export interface KeptSum {
  /** As messages call it. */
  readonly name: string;
  /** In base64; a CRC's four bytes begin with the highest. */
  readonly sum: string;
  /** The name of a hash of OpenSSL, or what makes a CRC of bytes and of the CRC of those before them. */
  readonly kind: string | ((bytes: Uint8Array, before: number) => number);
}

/** Compares a body with the sum that its store keeps of it. */
export class SumCheck implements BodyCheck {
  readonly #sumIn: (headers: IncomingHttpHeaders) => KeptSum | undefined;
  readonly #wrong: (name: string) => string;
  #wanted: KeptSum | undefined;
  #crc = 0;
  #hash: Hash | undefined;

  /**
   * @param sumIn the sum of the whole body that an answer's head has; undefined where there is none that can be made here
   * @param wrong what to say of another sum of that name
   */
  constructor(sumIn: (headers: IncomingHttpHeaders) => KeptSum | undefined, wrong: (name: string) => string) {
    this.#sumIn = sumIn;
    this.#wrong = wrong;
  }

  start(headers: IncomingHttpHeaders): void {
    this.#wanted = this.#sumIn(headers);
    this.#crc = 0;
    const kind = this.#wanted?.kind;
    this.#hash = typeof kind === 'string' ? createHash(kind) : undefined;
  }

  update(bytes: Uint8Array): void {
    const kind = this.#wanted?.kind;
    if (typeof kind === 'function') this.#crc = kind(bytes, this.#crc);
    else this.#hash?.update(bytes);
  }

  get compares(): boolean {
    return this.#wanted !== undefined;
  }

  wrong(): string | undefined {
    if (this.#wanted === undefined) return undefined;
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(this.#crc);
    const sum = (this.#hash?.copy().digest() ?? crc).toString('base64');
    const { name, sum: wanted } = this.#wanted;
    return sum === wanted ? undefined : this.#wrong(name);
  }
}
