import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('migrations-job', () => {
  test('the pods wait for what the Job writes down, and a second Job finds it done', async () => {
    await using example = await Example.create(import.meta.filename);
    const { namespace } = example;
    const database = await Database.create(namespace);
    await namespace.apply([database.secret(), ...(await database.service())]);
    const job = example.things.find(({ kind }) => kind === 'Job')!;
    // The Deployment first: its pods have to wait.
    await example.apply([example.workload]);
    await example.watch.until(/^Init:0\/1$/);
    await expect
      .poll(() => example.logs('wait-for-migrations').catch(() => ''), { timeout: 30_000 })
      .toMatch(/shop-1\.2\.3/);
    expect(await database.sql("select coalesce(to_regclass('orders')::text, 'none')")).toBe('none');

    await example.apply();
    await namespace.kubectl('wait', '--for=condition=complete', `job/${job.metadata.name}`, '--timeout=60s');
    const pods = await example.becomesReady();
    expect(pods).toHaveLength(3);
    for (const pod of pods) expect(ended(pod, 'wait-for-migrations').exitCode).toBe(0);
    const logs = await namespace.kubectl('logs', '-l', example.selector, '-c', 'shop');
    expect(logs.match(/orders: orders/g)).toHaveLength(3);

    const again = { ...job, metadata: { ...job.metadata, name: 'again' } };
    await namespace.apply([again]);
    await namespace.kubectl('wait', '--for=condition=complete', 'job/again', '--timeout=60s');
    expect(await database.sql('select count(*), sum(others), count(ended) from runs')).toBe('1|0|1');
  });
});
