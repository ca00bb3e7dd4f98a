import { withoutByteOrderMark } from '../../core/byte-order-mark.ts';
import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import type { FindProxy } from '../http/proxy.ts';
import { createHttpClient, usualHttpLimits, type BodySink, type HttpAnswer } from '../http/transport.ts';
import type { ClusterAccess } from './access.ts';

/**
 * Bytes of an answer that is no stream: a page of 50 large objects. More, with what is made of them, would not fit into the
 * memory of an init container.
 */
const mostBody = 6 * 2 ** 20;

/** Milliseconds beyond a watch's own end after which it counts as lost. */
const watchMargin = 10_000;

/** One request to the API server. */
export interface ApiRequest {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accept?: string;
  /** Takes the body of an answer 200 as it comes. */
  readonly sink?: BodySink;
}

/** The API server as somebody: requests with credentials, one try each. */
export interface ApiClient extends Disposable {
  readonly access: ClusterAccess;
  send(request: ApiRequest, probe: Probe): Promise<HttpAnswer>;
}

export interface ApiClientSettings {
  readonly resolve: ResolveAddresses;
  readonly clock: Clock;
  readonly proxy: FindProxy;
  /** Milliseconds that a watch lasts at most. */
  readonly watchFor: number;
  readonly secret: (value: string) => void;
}

/**
 * Asks the API server by our own HTTP client. @kubernetes/client-node would do the same and more, but takes longer to
 * load than the wait for most Jobs lasts: 6,100 ms where node:https took 145 ms on the same busy machine (median of five
 * and of two), and 123 MiB of memory against 51 MiB, where a pod of ours has 96 MiB (with Node 26.10).
 */
export function createApiClient(access: ClusterAccess, settings: ApiClientSettings): ApiClient {
  const { proxy } = access;
  const client = createHttpClient({
    resolve: settings.resolve,
    clock: settings.clock,
    proxy: proxy === undefined ? settings.proxy : () => proxy,
    tls: access.tls,
    // A bookmark comes each minute, and a watch ends by itself before it is given up.
    patience: { ...usualHttpLimits, body: settings.watchFor + watchMargin },
    parallel: 1000,
    forgiving: true,
  });
  return {
    access,
    async send({ path, query = {}, accept = 'application/json', sink }, probe) {
      const url = new URL(access.server);
      url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
      url.search = new URLSearchParams(query).toString();
      let used: string | undefined;
      for (;;) {
        const authorization = authorizationOf(access, settings.secret);
        if (typeof authorization === 'object') return authorization;
        const answer = await client.send(
          {
            method: 'GET',
            url,
            headers: {
              Accept: accept,
              ...(authorization === undefined ? {} : { Authorization: authorization }),
            },
            maxBody: sink === undefined ? mostBody : Number.MAX_SAFE_INTEGER,
            maxBodyOrigin: 'what is taken of one answer',
            sink,
          },
          probe,
        );
        // The kubelet may have replaced the token between our reading it and the server's looking at it: once more.
        const again = answer.state === 'response' && answer.status === 401 && access.tokenFile !== undefined;
        if (!again || used !== undefined || authorizationOf(access, settings.secret) === authorization)
          return answer;
        used = authorization;
      }
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** The header; undefined where a certificate, or nothing, is shown. */
function authorizationOf(
  { tokenFile, authorization }: ClusterAccess,
  secret: (value: string) => void,
): string | undefined | NotYet | Never {
  if (tokenFile === undefined) return authorization;
  let token: string;
  try {
    token = withoutByteOrderMark(readInput(tokenFile, 2 ** 20).toString()).trim();
  } catch (error) {
    return notYet(`the token’s file ${tokenFile} ${whyUnread(error)}`, {
      hint: 'the kubelet writes it: is the volume mounted, and is it readable for this user (fsGroup)?',
    });
  }
  if (token === '') return notYet(`the token’s file ${tokenFile} is empty`);
  if (/[^\x21-\x7e]/.test(token))
    return never(exitStatus.refused, `the file ${tokenFile} does not hold a token: it has a blank in it`);
  secret(token);
  return `Bearer ${token}`;
}
