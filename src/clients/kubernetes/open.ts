import type { Context } from '../../core/context.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import { readProxies } from '../http/proxy.ts';
import { findCluster, type AccessOptions } from './access.ts';
import { createApiClient, type ApiClient } from './client.ts';

export interface OpenSettings {
  readonly resolve: ResolveAddresses;
  /** Parses YAML. */
  readonly parse: (text: string) => unknown;
  /** Milliseconds that a watch lasts at most. */
  readonly watchFor: number;
}

/** Finds the cluster, and makes a client for it; nothing is asked yet. @throws UsageError */
export async function openApiClient(
  options: AccessOptions,
  { resolve, parse, watchFor }: OpenSettings,
  context: Context,
): Promise<ApiClient> {
  const access = await findCluster(options, context, () => Promise.resolve(parse));
  if (!access.tls.verify)
    context.log.warn(
      `${access.origin} says insecure-skip-tls-verify: whoever answers is taken for the API server, and gets what is sent`,
    );
  return createApiClient(access, {
    resolve,
    clock: context.clock,
    proxy: readProxies(context, access.proxy === undefined ? [access.server] : []),
    watchFor,
    secret: (value) => void context.redactor.secret(value),
  });
}
