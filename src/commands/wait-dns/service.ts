import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ResolverConfig } from '../../clients/dns/resolv-conf.ts';
import { UsageError } from '../../core/outcome.ts';

/** RFC 1035 labels, as Kubernetes demands of Services and namespaces. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export interface ServiceName {
  readonly service: string;
  readonly namespace: string | undefined;
}

/** @throws Error that says what is accepted */
export function parseService(text: string): ServiceName {
  const [service = '', namespace, ...more] = text.split('.');
  if (more.length > 0 || !label.test(service) || (namespace !== undefined && !label.test(namespace))) {
    throw new Error(
      `"${text}" is not NAME or NAME.NAMESPACE of a Service; give a longer name as a plain one: initbox wait-dns ${text}`,
    );
  }
  return { service, namespace };
}

/**
 * The full name of a Service in the cluster that this pod runs in
 * (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/).
 * @throws UsageError where the pod does not know its namespace or the cluster's domain
 */
export function serviceHost(name: ServiceName, config: ResolverConfig, serviceAccount: string): string {
  const domain = clusterDomain(config);
  const namespace = name.namespace ?? ownNamespace(serviceAccount) ?? namespaceFromSearch(config);
  if (namespace === undefined) {
    throw new UsageError(
      `--service ${name.service}: this pod's namespace is unknown (no ${join(serviceAccount, 'namespace')}, no NAMESPACE.svc.… in the search list of resolv.conf); write ${name.service}.NAMESPACE`,
    );
  }
  if (domain === undefined) {
    throw new UsageError(
      `--service ${name.service}: the cluster's domain is unknown (no svc.… in the search list of resolv.conf, so the pod's dnsPolicy is not ClusterFirst); give the full name: initbox wait-dns ${name.service}.${namespace}.svc.cluster.local.`,
    );
  }
  return `${name.service}.${namespace}.svc.${domain}.`;
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

function namespaceFromSearch(config: ResolverConfig): string | undefined {
  for (const domain of config.search) {
    const match = /^([^.]+)\.svc\./.exec(domain);
    if (match) return match[1];
  }
  return undefined;
}
