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
      free(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** What has come; later pieces may change it, or take its memory away. */
  taken(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what has come, and gives its memory back at once. */
  clear(): void {
    free(this.#bytes);
    this.#bytes = Buffer.allocUnsafeSlow(smallest);
    this.#length = 0;
  }
}

/** V8 lets 64 MiB of such memory gather before it collects any, which is most of what an init container may have. */
function free(bytes: Buffer): void {
  (bytes.buffer as ArrayBuffer).transfer(0);
}

const smallest = 4096;
/** What a server announces is not made room for without a bound. */
const largestFirst = 64 * 2 ** 20;
