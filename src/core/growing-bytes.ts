/** Bytes that come in pieces, kept in one buffer: a list of pieces of one byte takes 500 times their size. */
export class GrowingBytes {
  #bytes: Buffer;
  #length = 0;

  /** @param expected how many bytes are likely to come */
  constructor(expected = 0) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(expected, smallest), largestFirst));
  }

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** What has come; later pieces may change it. */
  taken(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

const smallest = 4096;
/** What a server announces is not made room for without a bound. */
const largestFirst = 64 * 2 ** 20;
