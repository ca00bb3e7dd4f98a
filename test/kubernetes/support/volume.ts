import { kubectl, apply } from './kubectl.ts';
import type { Namespace } from './namespace.ts';

/**
 * A volume for a claim, where the cluster makes none by itself: a folder of the node's, which belongs to root, as a new
 * disk does.
 */
export async function volumeFor(namespace: Namespace, claim: string): Promise<AsyncDisposable> {
  const classes = await kubectl('get', 'storageclasses', '-o', 'name');
  if (classes !== '') return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const name = `${namespace.name}-${claim}`;
  await kubectl('delete', 'persistentvolume', name, '--ignore-not-found', '--timeout=60s');
  await apply([
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { namespace: namespace.name, name: claim },
        hostPath: { path: `/tmp/${name}-${Date.now()}`, type: 'DirectoryOrCreate' },
      },
    },
  ]);
  return {
    async [Symbol.asyncDispose]() {
      await kubectl('delete', 'persistentvolume', name, '--wait=false', '--ignore-not-found');
    },
  };
}
