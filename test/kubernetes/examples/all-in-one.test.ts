import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { allowInVault, Database, vaultAuthority } from '../support/services.ts';
import { volumeFor } from '../support/volume.ts';

describe.skipIf(noCluster)('all-in-one', () => {
  test('the whole init phase in one container, while the database is not there yet', async () => {
    await using example = await Example.create(import.meta.filename, 'baseline');
    const { namespace } = example;
    await using _volume = await volumeFor(namespace, 'data');
    await allowInVault(namespace.name, { config: 'listen = 8080' });
    const database = await Database.create(namespace);
    await namespace.apply([database.secret(), await vaultAuthority()]);
    await example.apply();
    await example.watch.until(/^Init:1\/2$/);
    await expect
      .poll(() => example.logs('init').catch(() => ''), { timeout: 30_000 })
      .toMatch(/postgres-service.*NXDOMAIN/);
    await namespace.apply(await database.service());
    const [pod] = await example.becomesReady();
    const log = await example.logs('init');
    expect(log).toMatch(/run: migrate +\S+ +\S+ +done/);
    expect(log).toMatch(/run: seed .*(skipped|left out|not set|SEED)/);
    expect(ended(pod!, 'init').exitCode).toBe(0);
    // What the application finds: its configuration, in memory and its own; its volume; its tables.
    expect(await example.exec('cat', '/config/app.conf')).toBe('listen = 8080');
    expect(await example.exec('stat', '-L', '-c', '%a %u:%g', '/config/app.conf')).toBe('440 1000:1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.exec('stat', '-c', '%u:%g', '/data')).toBe('1000:1000');
    expect(await namespace.kubectl('logs', pod!.metadata.name, '-c', 'shop')).toContain('orders: orders');
    expect(await database.sql('select count(*), sum(others), count(ended) from runs')).toBe('1|0|1');
  });
});
