import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';

/** The head of an answer. Names of headers are in small letters. */
export interface Overheard {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
}

/** Where Node tells of each answer that a client of this process got. */
const channel = 'http.client.response.finish';

/**
 * Listens to the answers that come while something is done. The SDK asks the portal of a person's login (SSO) by a client
 * of its own, and of what that answered its error keeps the words alone: neither the status nor Retry-After.
 */
export function overhear(): { readonly last: Overheard | undefined } & Disposable {
  let last: Overheard | undefined;
  const hear = (message: unknown): void => {
    const { statusCode: status = 0, headers } = (message as { response: IncomingMessage }).response;
    last = { status, headers };
  };
  subscribe(channel, hear);
  return {
    get last() {
      return last;
    },
    [Symbol.dispose]: () => void unsubscribe(channel, hear),
  };
}
