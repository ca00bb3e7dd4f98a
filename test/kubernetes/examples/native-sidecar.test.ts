import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('native-sidecar', () => {
  test('the wait goes through the sidecar that was started before it', async () => {
    await using example = await Example.create(import.meta.filename);
    const { namespace } = example;
    const database = await Database.create(namespace);
    await namespace.apply([
      database.secret('postgres-by-proxy', database.url('127.0.0.1')),
      ...(await database.service()),
    ]);
    await example.apply();
    const [pod] = await example.becomesReady();
    expect(ended(pod!, 'wait-for-postgres')).toMatchObject({ exitCode: 0 });
    expect(ended(pod!, 'wait-for-postgres').message).toContain('127.0.0.1:5432');
    expect(await namespace.kubectl('logs', pod!.metadata.name, '-c', 'shop')).toBe('orders: none\nserving');
    // The sidecar is still there, beside the application.
    const sidecar = pod!.status.initContainerStatuses?.find(({ name }) => name === 'database-proxy');
    expect(sidecar?.state.running).toBeDefined();
  });
});
