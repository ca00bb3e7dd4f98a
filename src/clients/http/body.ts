import { exitStatus } from '../../core/exit-status.ts';
import type { GrowingBytes } from '../../core/growing-bytes.ts';
import { Failure } from '../../core/outcome.ts';
import { overLimit } from '../../core/size.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import type { BodyFlow } from './answers.ts';
import type { BodySink, HttpRequest } from './transport.ts';

/** A body that begins, and whom to tell what of it. */
export interface BodyTaking {
  /** Takes the bytes; where it is undefined, `kept` does. */
  readonly sink: BodySink | undefined;
  readonly kept: GrowingBytes;
  /** Tells the sink that a body begins, where one does. */
  readonly begin: () => void;
  /** Bytes that are there already, and the most that there may be. */
  readonly received: number;
  readonly most: number;
  readonly tooLong: () => void;
  readonly unstored: (answer: Never) => void;
  /** Called at each piece; `waited` where the sink had it wait, and the server was not listened to meanwhile. */
  readonly progress: (received: number, waited: boolean) => void;
  /** Called when the sink has the server wait. */
  readonly waits: (received: number) => void;
}

/** A body that is being taken. */
export interface TakenBody {
  /** To be called with each piece, whose bytes may be others once it returns. */
  data(bytes: Buffer): void;
  /** Runs an action once all that came is stored, unless the taking has failed. */
  whenStored(action: () => void): void;
}

/** Takes a body as it comes, and has the server wait where the sink does. */
export function takeBody(body: BodyFlow, taking: BodyTaking): TakenBody {
  const { sink, kept } = taking;
  let { received } = taking;
  let over = false;
  let storing: Promise<void> | undefined;
  const fail = (error: unknown): void => {
    over = true;
    taking.unstored(notStored(error));
  };
  /** @returns whether the sink has the server wait */
  const store = (chunk: Uint8Array): boolean => {
    const begun = sink?.write(chunk);
    if (begun === undefined) return false;
    body.pause();
    taking.waits(received);
    // More pieces may come that had been read before.
    const all = Promise.all([storing, begun]).then(() => {
      if (over || storing !== all) return;
      taking.progress(received, true);
      body.resume();
    }, fail);
    storing = all;
    return true;
  };
  try {
    taking.begin();
  } catch (error) {
    fail(error);
    return { data() {}, whenStored() {} };
  }
  const data = (chunk: Buffer): void => {
    if (over) return;
    received += chunk.length;
    if (received > taking.most) {
      over = true;
      kept.clear();
      return taking.tooLong();
    }
    if (sink === undefined) kept.add(chunk);
    else {
      try {
        if (store(chunk)) return;
      } catch (error) {
        return fail(error);
      }
    }
    taking.progress(received, false);
  };
  const whenStored = (action: () => void): void => {
    const unlessOver = (): void => {
      if (!over) action();
    };
    if (storing === undefined) unlessOver();
    else void storing.then(unlessOver);
  };
  return { data, whenStored };
}

/**
 * @param size of the body in bytes; undefined where it is only known to be more than the limit
 * @param forgiving whether it may be shorter at the next attempt
 */
export function bodyTooLong(
  size: number | undefined,
  { maxBody, maxBodyOrigin, tooLong }: Pick<HttpRequest, 'maxBody' | 'maxBodyOrigin' | 'tooLong'>,
  forgiving: boolean | undefined,
): NotYet | Never {
  if (tooLong !== undefined) return tooLong;
  const reason = `the body has ${overLimit(size, maxBody)} (${maxBodyOrigin})`;
  const raised = maxBodyOrigin.startsWith('--') ? ` ${maxBodyOrigin} raises the limit` : '';
  const hint = `is it the right address?${raised}`;
  return forgiving ? notYet(reason, { hint }) : never(exitStatus.refused, reason, hint);
}

/** For a body that its sink could not take. */
export function notStored(error: unknown): Never {
  const hints = error instanceof Failure ? [error.outcome.hint ?? []].flat() : [];
  return never(exitStatus.failed, `the body cannot be stored: ${(error as Error).message}`, hints[0]);
}
