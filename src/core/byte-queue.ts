/** Bytes that may wait before whoever gives them is told to wait. */
const most = 1 << 20;

/** What a piece takes beside its bytes: a body may come byte by byte. */
const perPiece = 256;

/** Bytes that one side gives as they come, and another takes in their order. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  /** Of memory. */
  #bytes = 0;
  #ended = false;
  #closed = false;
  #more: (() => void) | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * @param bytes which are copied
   * @returns undefined where more may follow at once, otherwise done when it may
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined;
    // Not in Node's pool, a piece of which keeps all of it.
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    copy.set(bytes);
    this.#chunks.push(copy);
    this.#bytes += bytes.length + perPiece;
    this.#more?.();
    if (this.#bytes < most) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Nothing follows. */
  end(): void {
    this.#ended = true;
    this.#more?.();
  }

  /** Nobody takes any more: what is there, and what comes, is thrown away. */
  close(): void {
    this.#closed = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#more?.();
    this.#makeRoom();
  }

  /** The bytes from where the last taking ended, until the end or until it is closed. One takes at a time. */
  async *taken(): AsyncGenerator<Uint8Array> {
    while (!this.#closed) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.length + perPiece;
        if (this.#bytes < most / 2) this.#makeRoom();
        yield chunk;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#more = resolve;
        });
        this.#more = undefined;
      }
    }
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
