import type { Context } from '../../core/context.ts';
import { createResolver } from '../dns/resolver.ts';
import { readProxies, type FindProxy } from '../http/proxy.ts';
import type { TlsSettings } from '../http/tls.ts';
import type { HttpClient } from '../http/transport.ts';

/** Requests to one kind of server that are under way at once. */
const parallel = 8;

/** A client with the usual limits. */
export async function openHttp(
  tls: TlsSettings,
  context: Context,
  proxy: FindProxy = readProxies(context),
): Promise<HttpClient> {
  const { createHttpClient, usualHttpLimits } = await import('../http/transport.ts');
  return createHttpClient({
    resolve: createResolver(context),
    clock: context.clock,
    proxy,
    tls,
    patience: usualHttpLimits,
    parallel,
  });
}
