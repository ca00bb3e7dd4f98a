import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { quotedHostPort } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { namespaceFromSearch, type ResolverConfig } from './resolv-conf.ts';

/** RFC 1035 labels, as Kubernetes demands of Services and namespaces. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export interface ServiceName {
  readonly service: string;
  readonly namespace: string | undefined;
}

/** @param instead how a longer name is given @throws Error that says what is accepted */
export function parseService(text: string, instead: string): ServiceName {
  const [service = '', namespace, ...more] = text.split('.');
  if (more.length > 0 || !label.test(service) || (namespace !== undefined && !label.test(namespace))) {
    throw new Error(
      `${quotedHostPort(text) || 'that '}is not NAME or NAME.NAMESPACE of a Service; give a longer name as a plain one: ${instead} ${quotedHostPort(text) === '' ? 'NAME' : text}`,
    );
  }
  return { service, namespace };
}

/** A Service of the cluster that this pod runs in. */
export interface ServicePlace {
  readonly service: string;
  readonly namespace: string;
  /** `cluster.local`, mostly. */
  readonly domain: string;
}

/**
 * Completes a Service's name
 * (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/).
 * @param given the option that named it, and how the full name is given instead
 * @throws UsageError where the pod does not know its namespace or the cluster's domain
 */
export function placeOfService(
  name: ServiceName,
  config: ResolverConfig,
  serviceAccount: string,
  given: { readonly origin: string; readonly instead: (full: string) => string },
): ServicePlace {
  const domain = clusterDomain(config);
  const namespace = name.namespace ?? ownNamespace(serviceAccount) ?? namespaceFromSearch(config);
  if (namespace === undefined) {
    throw new UsageError(
      `${given.origin} ${name.service}: this pod's namespace is unknown (no ${join(serviceAccount, 'namespace')}, no NAMESPACE.svc.… in the search list of resolv.conf); write ${name.service}.NAMESPACE`,
    );
  }
  if (domain === undefined) {
    throw new UsageError(
      `${given.origin} ${name.service}: the cluster's domain is unknown (no svc.… in the search list of resolv.conf, so the pod's dnsPolicy is not ClusterFirst); give the full name: ${given.instead(`${name.service}.${namespace}.svc.cluster.local`)}`,
    );
  }
  return { service: name.service, namespace, domain };
}

/** @throws as placeOfService */
export function serviceHost(name: ServiceName, config: ResolverConfig, serviceAccount: string): string {
  const { service, namespace, domain } = placeOfService(name, config, serviceAccount, {
    origin: '--service',
    instead: (full) => `initbox wait-dns ${full}.`,
  });
  return `${service}.${namespace}.svc.${domain}.`;
}

function ownNamespace(serviceAccount: string): string | undefined {
  try {
    return readFileSync(join(serviceAccount, 'namespace'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function clusterDomain(config: ResolverConfig): string | undefined {
  for (const domain of config.search) {
    const match = /^(?:[^.]+\.)?svc\.(.+)$/.exec(domain);
    if (match) return match[1];
  }
  return undefined;
}
