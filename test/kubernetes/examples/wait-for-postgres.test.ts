import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('wait-for-postgres', () => {
  test('waits for a database that comes later, then the application starts', async () => {
    await using example = await Example.create(import.meta.filename);
    const database = await Database.create(example.namespace);
    await example.namespace.apply([database.secret()]);
    await example.apply();
    const pod = await example.watch.until(/^Init:0\/1$/);
    // It is really waiting, and says for what.
    await expect
      .poll(() => example.logs('wait-for-postgres').catch(() => ''), { timeout: 30_000 })
      .toMatch(/postgres-service.*NXDOMAIN/);
    await example.namespace.apply(await database.service());
    const [ready] = await example.becomesReady();
    expect(ready?.metadata.name).toBe(pod);
    expect(await example.namespace.kubectl('logs', pod, '-c', 'shop')).toBe('orders: none\nserving');
    const { exitCode, message } = ended(ready!, 'wait-for-postgres');
    expect(exitCode).toBe(0);
    expect(message).toMatch(/wait-postgres: .*postgres-service:5432/);
  });
});
