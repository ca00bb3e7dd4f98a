import { duplexPair } from 'node:stream';
import { connect, createSecureContext, TLSSocket } from 'node:tls';

import { reasonOf } from '../../core/clock.ts';

/** What a server would show, in PEM, and what its clients trust. */
export interface ServedChain {
  /** Its own certificate, then those between it and the root. */
  readonly chain: string;
  readonly key: string;
  readonly root: string;
}

/**
 * Why clients that trust the root would refuse a server with this chain, in the words of OpenSSL: a handshake in memory, where it
 * looks at what no part of Node tells by itself, such as the names that an authority may sign for.
 * @returns undefined where they would take it
 * @throws the signal's reason
 */
export async function whyNotTrusted(
  { chain, key, root }: ServedChain,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [near, far] = duplexPair();
  const server = new TLSSocket(far, {
    isServer: true,
    secureContext: createSecureContext({ cert: chain, key }),
  });
  const client = connect({
    socket: near,
    secureContext: createSecureContext({ ca: root, allowPartialTrustChain: true }),
    rejectUnauthorized: true,
    // Its names are those that were asked for.
    checkServerIdentity: () => undefined,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const stop = (): void => reject(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) stop();
    // The client's is what counts: the server hears of it as an alert.
    server.on('error', () => {});
    client
      .once('error', ({ message }: Error) => resolve(message))
      .once('secureConnect', () => resolve(undefined));
    return await promise;
  } finally {
    signal.removeEventListener('abort', stop);
    client.destroy();
    server.destroy();
  }
}
