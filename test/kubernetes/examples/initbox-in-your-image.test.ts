import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('initbox-in-your-image', () => {
  test('the image that its Dockerfile makes migrates, and then serves', async () => {
    await using example = await Example.create(import.meta.filename);
    const { namespace } = example;
    const database = await Database.create(namespace);
    await namespace.apply([database.secret(), ...(await database.service())]);
    await example.apply();
    const [pod] = await example.becomesReady();
    expect(ended(pod!, 'migrate').exitCode).toBe(0);
    expect(await database.sql('select count(*), count(ended) from runs')).toBe('1|1');
    expect(await namespace.kubectl('logs', example.workloadName, '-c', 'shop')).toContain('orders: orders');
  });
});
