import { ByteQueue } from '../../core/byte-queue.ts';

/** Takes a body as it comes. Called again with the next one where a body begins anew; the earlier call has ended by then. */
export type Consume = (queue: ByteQueue) => Promise<void>;

/** Hands a body on while it comes. What goes wrong with its content is told once all of it is there. */
export class Through {
  readonly #consume: Consume;
  /** Whether it is of no use to go on. */
  readonly #isFatal: (error: unknown) => boolean;
  #queue: ByteQueue | undefined;
  #running: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(consume: Consume, isFatal: (error: unknown) => boolean) {
    this.#consume = consume;
    this.#isFatal = isFatal;
  }

  /** What came before is forgotten. */
  restart(): void {
    this.#queue?.close();
    this.#queue = undefined;
  }

  /** What it failed with, where it is of no use to go on. */
  get fatal(): { readonly error: unknown } | undefined {
    return this.#queue !== undefined && this.#failure && this.#isFatal(this.#failure.error)
      ? this.#failure
      : undefined;
  }

  /** @throws what the consumer failed with, where that is not about the content */
  write(bytes: Uint8Array): Promise<void> | undefined {
    const { fatal } = this;
    if (fatal !== undefined) throw fatal.error;
    return (this.#queue ?? this.#begin()).write(bytes);
  }

  /** Done when all that came is taken. @throws what the consumer failed with */
  async end(): Promise<void> {
    (this.#queue ?? this.#begin()).end();
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing is taken any more; done when that is so. */
  async stop(): Promise<void> {
    this.restart();
    await this.#running;
  }

  #begin(): ByteQueue {
    const queue = new ByteQueue();
    this.#queue = queue;
    this.#running = this.#running.then(async () => {
      this.#failure = undefined;
      try {
        await this.#consume(queue);
      } catch (error) {
        this.#failure = { error };
      } finally {
        queue.close();
      }
    });
    return queue;
  }
}
