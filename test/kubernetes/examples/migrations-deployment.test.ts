import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { initStatus } from '../support/namespace.ts';
import { Database } from '../support/services.ts';

/** The runs of the tool: how many, how many of them met another one, how many ended well. */
const runs = 'select count(*), coalesce(sum(others), 0), count(ended) from runs';

describe.skipIf(noCluster)('migrations-deployment', () => {
  test('three replicas migrate once, and scaled up to ten the new ones find it done', async () => {
    await using example = await Example.create(import.meta.filename);
    const { namespace } = example;
    const database = await Database.create(namespace);
    await namespace.apply([database.secret(), ...(await database.service())]);
    await example.apply();
    expect(await example.becomesReady()).toHaveLength(3);
    expect(await database.sql(runs)).toBe('1|0|1');
    // The one that runs the tool does not say the key; the other two found it done.
    const found = await namespace.kubectl('logs', '-l', example.selector, '-c', 'migrate');
    expect(found.match(/nothing to do: "shop-1\.2\.3" was done by/g)).toHaveLength(2);
    const logs = await namespace.kubectl('logs', '-l', example.selector, '-c', 'shop', '--prefix');
    expect(logs.match(/orders: orders/g)).toHaveLength(3);

    await namespace.kubectl('scale', example.workloadName, '--replicas=10');
    expect(await example.becomesReady()).toHaveLength(10);
    expect(await database.sql(runs)).toBe('1|0|1');
  });

  test('ten replicas rolled out at once: one run of the tool, ten ready pods, no restart', async () => {
    await using example = await Example.create(import.meta.filename);
    const { namespace } = example;
    const database = await Database.create(namespace);
    await namespace.apply([database.secret(), ...(await database.service())]);
    (example.workload['spec'] as { replicas: number }).replicas = 10;
    const started = performance.now();
    await example.apply();
    const pods = await example.becomesReady();
    console.log(`ten replicas are ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
    expect(pods).toHaveLength(10);
    expect(pods.map((pod) => initStatus(pod, 'migrate').restartCount)).toEqual(Array(10).fill(0));
    expect(await database.sql(runs)).toBe('1|0|1');
  });
});
