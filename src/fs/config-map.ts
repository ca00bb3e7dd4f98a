import { mountId, readMounts } from './directory/mounts.ts';
import { isInMemory } from './publish/open-target.ts';

/**
 * Where the kubelet keeps the volumes of ConfigMaps, on a disk; those of Secrets, and projected ones, are in memory
 * (pkg/volume/configmap/configmap.go, pkg/volume/secret/secret.go in kubernetes/kubernetes).
 */
const configMap = /\/pods\/[^/]+\/volumes\/kubernetes\.io~configmap\/[^/]+(\/|$)/;

/**
 * True where an open file or folder lies on the volume of a ConfigMap, by what the kernel says of its mount: the name of the path
 * would prove nothing.
 */
export function liesInConfigMap(descriptor: number): boolean {
  const id = mountId(descriptor);
  if (id === undefined || isInMemory(descriptor)) return false;
  const mount = readMounts().find((one) => one.id === id);
  return mount !== undefined && configMap.test(mount.root);
}
