import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

import { AnswerTooLarge } from './faults.ts';

/** The head of an answer. Names of headers are in small letters. */
export interface Overheard {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
}

/** Bytes of an answer's body: a secret has at most 64 KiB, which JSON may write with six characters for each byte. */
export const largestAnswer = 2 ** 20;

/** Where Node tells of each answer that a client of this process got, before anybody has any of its body. */
const channel = 'http.client.response.finish';

/** What came while somebody listened. */
export interface Hearing extends Disposable {
  readonly last: Overheard | undefined;
  /** An answer had more than anybody of AWS sends; its client may have made another error of it. */
  readonly tooLarge: AnswerTooLarge | undefined;
}

/**
 * Listens to the answers that come while something is done. The SDK asks the portal of a person's login (SSO), the node
 * and the agents of containers by clients of its own, and of what those answered its errors keep the words alone: neither
 * the status nor Retry-After. None of its clients for credentials bounds what it takes into memory: that is done here.
 * @param boundsItsAnswer true of a request of our own, whose answer is no concern of this
 */
export function overhear(boundsItsAnswer: (request: ClientRequest) => boolean): Hearing {
  let last: Overheard | undefined;
  let tooLarge: AnswerTooLarge | undefined;
  const hear = (message: unknown): void => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    const { statusCode: status = 0, headers } = response;
    last = { status, headers };
    if (!boundsItsAnswer(request))
      bound(response, () => (tooLarge = new AnswerTooLarge('it has more than 1 MiB')));
  };
  subscribe(channel, hear);
  return {
    get last() {
      return last;
    },
    get tooLarge() {
      return tooLarge;
    },
    [Symbol.dispose]: () => void unsubscribe(channel, hear),
  };
}

/** Node's parser hands a body over by this method of stream.Readable. */
function bound(response: IncomingMessage, exceeded: () => AnswerTooLarge): void {
  const push = response.push.bind(response);
  let left = largestAnswer;
  response.push = (chunk: Buffer | null) => {
    left -= chunk?.length ?? 0;
    if (left >= 0 || response.destroyed) return push(chunk);
    response.destroy(exceeded());
    return false;
  };
}
