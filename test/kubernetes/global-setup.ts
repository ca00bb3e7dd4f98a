import { readFileSync, writeFileSync } from 'node:fs';

import type { TestProject } from 'vitest/node';

import { requireOrSkip } from '../support/tools.ts';
import { noCluster, startCluster } from './support/cluster.ts';
import { deployServices } from './support/services.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** KUBECONFIG and PATH for kubectl; absent where there is no cluster. */
    cluster: { KUBECONFIG: string; PATH: string } | undefined;
  }
}

/** One cluster, with the images and the servers in it, for all test files. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (requireOrSkip('the tests on Kubernetes', noCluster())) {
    project.provide('cluster', undefined);
    return undefined;
  }
  await using stack = new AsyncDisposableStack();
  stack.defer(keepMapCount());
  stack.use(await startCluster());
  stack.use(await deployServices());
  const { KUBECONFIG = '', PATH = '' } = process.env;
  project.provide('cluster', { KUBECONFIG, PATH });
  const all = stack.move();
  return () => all.disposeAsync();
}

/** An example raises it for its node, which may be this machine: what was there is put back. */
function keepMapCount(): () => void {
  const path = '/proc/sys/vm/max_map_count';
  const before = readFileSync(path, 'utf8');
  return () => {
    if (readFileSync(path, 'utf8') !== before) writeFileSync(path, before);
  };
}
