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
}

/** More than what a server says of itself has. */
const usualMost = 64 * 1024;

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
  stream.on('data', (bytes: Buffer) => {
    heard = heard.length === 0 ? bytes : Buffer.concat([heard, bytes]);
    // What nobody asked for is not kept without end.
    if (heard.length > 2 * usualMost) stream.pause();
    wake();
  });
  stream.on('error', fail);
  stream.on('close', () => fail(new ConnectionEnded(heard)));
  stream.on('end', () => fail(new ConnectionEnded(heard)));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    peer,
    write(bytes) {
      if (failure === undefined) stream.write(bytes);
    },
    async read(take, most = usualMost) {
      for (;;) {
        if (signal.aborted) throw reasonOf(signal);
        const found = take(heard);
        if (found !== undefined) {
          heard = heard.subarray(found.length);
          stream.resume();
          return found.value;
        }
        if (heard.length > most) throw new AnswerTooLong(heard);
        if (failure !== undefined) throw failure;
        stream.resume();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    [Symbol.dispose]() {
      signal.removeEventListener('abort', onAbort);
      stream.destroy();
    },
  };
}
