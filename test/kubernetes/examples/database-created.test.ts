import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('database-created', () => {
  test('role and database are made, and a restart changes nothing', async () => {
    await using example = await Example.create(import.meta.filename);
    const database = await Database.create(example.namespace);
    // One server for all examples: what an earlier run has made goes first.
    await database.sql('drop database if exists shop with (force)');
    await database.sql('drop role if exists shop');
    await example.namespace.apply([
      ...(await database.service()),
      database.secret('postgres-admin'),
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'shop-database' },
        stringData: { password: 'example', url: 'postgres://shop:example@postgres-service:5432/shop' },
      },
    ]);
    try {
      await example.apply();
      await example.becomesReady();
      expect(await example.logs('create-database')).toMatch(/made the role shop, made the database shop/);
      expect(
        await database.sql("select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"),
      ).toBe('shop');
      await example.namespace.kubectl('rollout', 'restart', 'deployment/shop');
      await example.namespace.rolledOut(example.workloadName);
      await expect
        .poll(() => example.logs('create-database').catch(() => ''), { timeout: 30_000 })
        .toMatch(/shop: nothing was changed/);
    } finally {
      await database.sql('drop database if exists shop with (force)');
      await database.sql('drop role if exists shop');
    }
  });
});
