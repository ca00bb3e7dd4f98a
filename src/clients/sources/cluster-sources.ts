import type { ReadSource, SourceAddress } from '../../config/source.ts';
import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Context } from '../../core/context.ts';
import { remembered } from '../dns/remembered.ts';
import { createResolver } from '../dns/resolver.ts';
import { findCluster, podNamespace } from '../kubernetes/access.ts';
import { openApiClient } from '../kubernetes/open.ts';
import { rightOf, storedKeysReader } from '../kubernetes/stored-keys.ts';
import { parseYaml } from '../yaml/text.ts';
import { isSecretSource } from './http-settings.ts';
import type { SourceSettings } from './open.ts';
import type { SourceOptions } from './options.ts';

/** Milliseconds: nothing is watched, and an answer that takes so long is lost. */
const patience = 20_000;

const parse = (text: string): unknown => parseYaml(text).value;

/** What reads Secrets and ConfigMaps of one cluster. @throws UsageError where no cluster is known */
export async function openCluster(
  { options, http }: SourceSettings,
  context: Context,
  stack: DisposableStack,
): Promise<(address: SourceAddress) => ReadSource> {
  const { kubeconfig, context: name, namespace } = options;
  const resolve = remembered(createResolver(context), context.clock);
  const client = stack.use(
    await openApiClient({ kubeconfig, context: name }, { resolve, parse, watchFor: patience }, context),
  );
  return (address) =>
    storedKeysReader(address, {
      client,
      clock: context.clock,
      redactor: context.redactor,
      namespace,
      secret: isSecretSource(address, http),
    });
}

/**
 * What the sources need of a cluster; nothing is asked. Undefined where none is of a cluster.
 * @throws UsageError where a kubeconfig file is wrong
 */
export async function rightsOfSources(
  addresses: readonly SourceAddress[],
  options: SourceOptions,
  context: Context,
): Promise<ClusterRights | undefined> {
  const asked = addresses.filter(({ scheme }) => scheme === 'kubernetes');
  if (asked.length === 0) return undefined;
  const { kubeconfig, context: name } = options;
  // A Role may be wanted where there is no cluster yet: then the namespaces are those that were written.
  const named = options.namespace !== undefined || asked.every(({ path }) => path.split('/').length > 2);
  const access = named
    ? undefined
    : await findCluster({ kubeconfig, context: name }, context, () => Promise.resolve(parse));
  const own =
    podNamespace(context.paths.serviceAccount) ?? options.namespace ?? access?.namespace ?? 'default';
  const meant = options.namespace ?? access?.namespace ?? 'default';
  return { rights: asked.map((address) => rightOf(address, meant)), namespace: own };
}
