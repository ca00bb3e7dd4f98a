import type { Duplex } from 'node:stream';

import { reasonOf } from '../../core/clock.ts';

/** The other end closed the connection before its answer was whole. */
export class ConnectionEnded extends Error {
  readonly code = 'EPIPE';
  /** What had come of the answer. */
  readonly heard: Buffer;

  constructor(heard: Buffer) {
    super('connection closed');
    this.heard = heard;
  }
}

/** What answers sends more than any answer of its protocol has. */
export class AnswerTooLong extends Error {
  readonly heard: Buffer;

  constructor(heard: Buffer) {
    super('the answer is too long');
    this.heard = heard;
  }
}

/** Takes one answer off the front of what has come: its value, and the bytes that it took; undefined where more is to come. */
export type TakeAnswer<T> = (heard: Buffer) => { readonly value: T; readonly length: number } | undefined;

/** An exchange of a few bytes with a server: one question, one answer. */
export interface ServerConversation extends Disposable {
  /** For people: `cache:6379, 10.0.0.4`. */
  readonly peer: string;
  write(bytes: string | Uint8Array): void;
  /**
   * The next answer.
   * @param most bytes that it may have
   * @throws ConnectionEnded, AnswerTooLong, the system's error, the signal's reason, and what `take` throws
   */
  read<T>(take: TakeAnswer<T>, most?: number): Promise<T>;
  /**
   * Hands the stream over for TLS to begin on it, and is over.
   * @throws UnaskedBytes where something has come that would be taken for encrypted (CVE-2021-23222)
   */
  release(): Duplex;
}

/** Something came in the open where TLS was to begin. */
export class UnaskedBytes extends Error {}

/** More than what a server says of itself has. */
const usualMost = 64 * 1024;

/** Bytes that may wait for the other end to take them, while more is read of what it sends. */
const mostUnsent = 16 * 1024;

/** Speaks over an open stream, which it destroys when it is disposed of or the signal is aborted. */
export function converse(stream: Duplex, peer: string, signal: AbortSignal): ServerConversation {
  let heard: Buffer = Buffer.alloc(0);
  let failure: Error | undefined;
  let wake = (): void => {};
  const fail = (error: Error): void => {
    failure ??= error;
    wake();
  };
  const onAbort = (): void => {
    fail(reasonOf(signal));
    stream.destroy();
  };
  const onData = (bytes: Buffer): void => {
    heard = heard.length === 0 ? bytes : Buffer.concat([heard, bytes]);
    // What nobody asked for is not kept without end: of a feed, more comes at each turn than is read at one.
    if (heard.length > usualMost) stream.pause();
    wake();
  };
  const onEnd = (): void => fail(new ConnectionEnded(heard));
  const onDrain = (): void => wake();
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  stream.on('data', onData);
  stream.on('drain', onDrain);
  stream.on('error', fail);
  stream.on('close', onEnd);
  stream.on('end', onEnd);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    peer,
    write(bytes) {
      if (failure === undefined) stream.write(bytes);
    },
    async read(take, most = usualMost) {
      for (let waited = false; ; waited = true) {
        if (signal.aborted) throw reasonOf(signal);
        // Whoever asks without end, and takes no answers, gets no more of them.
        while (failure === undefined && stream.writableLength > mostUnsent) await woken();
        const found = take(heard);
        if (found !== undefined) {
          heard = heard.subarray(found.length);
          // Of many answers that came at once, none may keep the deadline and signals from their turn.
          if (!waited) await new Promise((resolve) => setImmediate(resolve));
          return found.value;
        }
        if (heard.length > most) throw new AnswerTooLong(heard);
        if (failure !== undefined) throw failure;
        stream.resume();
        await woken();
      }
    },
    release() {
      if (heard.length > 0) throw new UnaskedBytes('bytes in the open before TLS');
      if (failure !== undefined) throw failure;
      signal.removeEventListener('abort', onAbort);
      stream.pause();
      stream.off('data', onData).off('drain', onDrain).off('close', onEnd).off('end', onEnd);
      return stream;
    },
    [Symbol.dispose]() {
      signal.removeEventListener('abort', onAbort);
      stream.destroy();
    },
  };
}
