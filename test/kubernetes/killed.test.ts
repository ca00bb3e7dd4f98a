// A pod that goes in the middle of its migration: by force, as with its node; by kill -9; by eviction, as in a drain.
import { describe, expect, test } from 'vitest';

import { waitUntil } from '../support/wait-until.ts';
import { noCluster } from './support/example.ts';
import { imageFor } from './support/images.ts';
import { kubectlWith } from './support/kubectl.ts';
import { localised, podSpecOf, readExample } from './support/manifests.ts';
import { initStatus, Namespace, type Pod } from './support/namespace.ts';
import { Database } from './support/services.ts';

/** How long the tool's migration takes: the first run longer than any test waits, the next one a moment. */
const seconds = '(SELECT CASE max(run) WHEN 1 THEN 600 ELSE 1 END FROM runs)';

/** The example's Deployment with two replicas and a migration that only a kill ends. */
async function rollOut(namespace: Namespace): Promise<Database> {
  const database = await Database.create(namespace);
  await namespace.apply([database.secret(), ...(await database.service())]);
  const things = localised(readExample('migrations-deployment', 'after.yaml'));
  for (const thing of things) {
    (thing['spec'] as { replicas: number }).replicas = 2;
    const migrate = podSpecOf(thing)?.initContainers?.find(({ name }) => name === 'migrate');
    migrate?.env?.push({ name: 'MIGRATION_SECONDS', value: seconds });
    migrate?.command?.push('--grace=1s');
  }
  await namespace.apply(things);
  return database;
}

/** The pod whose migration runs now. */
async function holder(namespace: Namespace, database: Database): Promise<Pod> {
  const name = await waitUntil(
    () => database.sql('select pod from runs where ended is null').catch(() => ''),
    { timeout: 60_000, interval: 200, what: 'a migration to begin' },
  );
  const pods = await namespace.pods();
  const found = pods.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`${name} is no pod`);
  return found;
}

/** After all: two runs of the tool, the second of which did not meet what the first had left, and one that ended. */
const once = '2|0|1';

/** With what the pods say, where it is not as it should be. */
async function runs(namespace: Namespace, database: Database): Promise<string> {
  await namespace.rolledOut('deployment/shop');
  const found = await database.sql('select count(*), sum(others), count(ended) from runs');
  return found === once ? found : `${found}\n${await namespace.story()}`;
}

describe.skipIf(noCluster)('in the middle of a migration', () => {
  test('the pod is deleted by force, as with a node that is gone: the other replica ends what it left, and migrates', async () => {
    await using namespace = await Namespace.create('killed-force');
    const database = await rollOut(namespace);
    const { metadata } = await holder(namespace, database);
    await namespace.kubectl('delete', 'pod', metadata.name, '--grace-period=0', '--force');
    expect(await runs(namespace, database)).toBe(once);
  });

  test('the pod is evicted, as by a drain: the tool is stopped and the next one starts', async () => {
    await using namespace = await Namespace.create('killed-evicted');
    const database = await rollOut(namespace);
    const { metadata } = await holder(namespace, database);
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: metadata.name, namespace: namespace.name },
    };
    const path = `/api/v1/namespaces/${namespace.name}/pods/${metadata.name}/eviction`;
    await kubectlWith(JSON.stringify(eviction), 'create', '--raw', path, '-f', '-');
    expect(await runs(namespace, database)).toBe(once);
  });

  test('every process of the container is killed with -9: the kubelet starts it again, in the same pod', async () => {
    await using namespace = await Namespace.create('killed-9');
    await using tools = await Namespace.create('killed-9-tools', 'privileged');
    const database = await rollOut(namespace);
    const { metadata } = await holder(namespace, database);
    // The processes of that pod alone, by its cgroup; pause keeps the pod's namespaces.
    const script = `for process in /proc/[0-9]*; do
        id=\${process#/proc/}
        if grep -q ${metadata.uid} $process/cgroup && ! grep -q pause $process/cmdline; then kill -9 $id; fi
      done 2> /dev/null; true`;
    await tools.apply([
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'kill' },
        spec: {
          hostPID: true,
          restartPolicy: 'Never',
          containers: [
            {
              name: 'kill',
              image: imageFor('registry.example/shop:1.2.3'),
              command: ['sh', '-c', script.replaceAll(metadata.uid, cgroupPattern(metadata.uid))],
              securityContext: { privileged: true, runAsUser: 0 },
            },
          ],
        },
      },
    ]);
    expect(await runs(namespace, database)).toBe(once);
    const killed = (await namespace.pods()).find((pod) => pod.metadata.name === metadata.name);
    expect(initStatus(killed!, 'migrate').restartCount).toBe(1);
    // What was done before it is not done again.
    expect(initStatus(killed!, 'initbox').restartCount).toBe(0);
  });
});

/** The systemd driver writes dashes of the pod's UID as underscores. */
function cgroupPattern(uid: string): string {
  return uid.replaceAll('-', '[-_]');
}
