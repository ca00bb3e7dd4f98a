import { existsSync } from 'node:fs';

/** Of which of a pod's namespaces a setting is: pkg/kubelet/sysctl, and node/util/sysctl of component-helpers. */
export type SysctlNamespace = 'net' | 'ipc';

const prefixes: Readonly<Record<string, SysctlNamespace>> = {
  'kernel.shm': 'ipc',
  'kernel.msg': 'ipc',
  'fs.mqueue.': 'ipc',
  'net.': 'net',
};

/**
 * Those that every kubelet takes from a pod, and that the baseline Pod Security Standard allows: of Kubernetes 1.32, the
 * last of them since then (https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/).
 */
const safe: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** Undefined for a setting of the whole node. */
export function namespaceOf(name: string): SysctlNamespace | undefined {
  const dotted = dottedName(name);
  if (dotted === 'kernel.sem') return 'ipc';
  return Object.entries(prefixes).find(([prefix]) => dotted.startsWith(prefix))?.[1];
}

export function isSafe(name: string): boolean {
  return safe.has(dottedName(name));
}

function dottedName(name: string): string {
  return name.startsWith('/') ? name : name.replaceAll('/', '.');
}

/**
 * Whether this process is in the node's own network namespace, as in a pod with hostNetwork. The kernel shows this file
 * there alone (net_core_table in net/core/sysctl_net_core.c).
 */
export function usesNodeNetwork(): boolean {
  return existsSync('/proc/sys/net/core/netdev_max_backlog');
}
