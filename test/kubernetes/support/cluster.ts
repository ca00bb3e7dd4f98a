// The cluster that the tests and the bench run on: the one that KUBECONFIG names, or one that the script KUBE_CLUSTER
// starts. README.md beside this folder has the variables.
import { delimiter } from 'node:path';
import { env } from 'node:process';

import { run } from '../../support/build-cache.ts';
import { buildApplications, load } from './images.ts';
import { kubectl } from './kubectl.ts';

/** Why there is no cluster, or undefined when there is one: for requireOrSkip. */
export function noCluster(): string | undefined {
  return env['KUBECONFIG'] === undefined && env['KUBE_CLUSTER'] === undefined
    ? 'neither KUBECONFIG nor KUBE_CLUSTER is set'
    : undefined;
}

/** Brings the cluster up and the images in. Sets KUBECONFIG and PATH of this process, and so of its children. */
export async function startCluster(): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const script = env['KUBE_CLUSTER'];
  if (env['KUBECONFIG'] === undefined) {
    if (script === undefined) throw new Error(noCluster());
    stack.defer(async () => {
      await run([script, 'down']);
    });
    const config = (await run([script, 'up'])).trim();
    const path = /^export PATH=(.*)$/m.exec(await run([script, 'env']))?.[1];
    env['KUBECONFIG'] = config;
    // The script's kubectl is that of its cluster.
    const folder = path?.replaceAll(/["']/g, '').split(':')[0];
    if (folder !== undefined) env['PATH'] = folder + delimiter + (env['PATH'] ?? '');
  }
  await kubectl('get', 'namespaces');
  const loader = env['KUBE_LOAD'] ?? (script === undefined ? '' : `'${script}' load -`);
  if (loader !== '') {
    await buildApplications();
    await load(loader);
  }
  const all = stack.move();
  return { [Symbol.asyncDispose]: () => all.disposeAsync() };
}
