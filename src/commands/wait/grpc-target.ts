import { endpointName } from '../../clients/connection/endpoint.ts';
import type { ConnectionContext } from '../../clients/connection/open.ts';
import {
  checkTls,
  readServerUrl,
  readTls,
  tlsTargetOptions,
  type ServerUrl,
} from '../../clients/connection/server-url.ts';
import type { GrpcPlace } from '../../clients/grpc/call.ts';
import { readHeaders } from '../../clients/http/headers.ts';
import { requestOptions } from '../../clients/http/options.ts';
import type { Context } from '../../core/context.ts';
import type { Values } from '../../core/options/option.ts';
import type { Target } from '../../wait/attempt.ts';
import type { GivenTarget, OpenTarget, ReadContext } from './kind.ts';
import { serverStages, serverTools } from './server-target.ts';

/** What kinds that are asked by gRPC take. */
export const grpcTargetOptions = {
  'header-file': requestOptions['header-file'],
  'header-env': requestOptions['header-env'],
  ...tlsTargetOptions,
};

type GrpcOptions = Values<typeof grpcTargetOptions>;

/** What HTTP/2 and gRPC set themselves. */
const reserved: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);

/** A target that is asked by gRPC, as far as its URL and shared options say. */
export interface GrpcTarget {
  readonly url: ServerUrl;
  readonly name: string;
  /** Reads its files, and makes of it what is tried. */
  open(
    context: Context,
    name: string,
    attempts: (
      place: GrpcPlace,
      tools: ConnectionContext & { readonly redact: (text: string) => string },
    ) => Target['attempt'],
  ): OpenTarget;
}

/**
 * Reads the target's URL.
 * @param usual its scheme with TLS, and the port where none is written; undefined where that of gRPC's clients is
 *   none, and `example` is proposed
 * @throws Error, UsageError
 */
export function grpcTarget(
  {
    address,
    scheme,
    options,
  }: Pick<GivenTarget<typeof grpcTargetOptions>, 'address' | 'scheme'> & {
    readonly options: GrpcOptions;
  },
  usual: { readonly secure: string; readonly port: number | undefined; readonly example?: number },
  around: ReadContext,
): GrpcTarget {
  const url = readServerUrl(address, usual, around);
  if (url.user !== undefined || url.password !== undefined)
    throw new Error(
      `a ${scheme} URL has no user and password; give what the server wants by header-env=Authorization=VARIABLE`,
    );
  const [endpoint] = url.endpoints;
  checkTls(options, scheme, usual.secure);
  const name = endpointName(endpoint);
  return {
    url,
    name,
    open(context, shown, attempts) {
      const isSecure = scheme === usual.secure;
      const headers = readHeaders({ ...options, user: undefined }, reserved, context);
      const place = {
        endpoint,
        authority: name,
        tls: isSecure ? readTls(options, context.environment) : undefined,
        metadata: Object.fromEntries(Object.entries(headers).map(([key, text]) => [key.toLowerCase(), text])),
      };
      const stages = serverStages([endpoint], { tls: isSecure, login: false, assertion: true });
      return { name: shown, stages, attempt: attempts(place, serverTools(context)) };
    },
  };
}
