import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('volume-prepared', () => {
  test('folders, a mode, a link and a file are there, and are the application’s', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    await example.becomesReady();
    expect(await example.exec('readlink', '/data/current')).toBe('releases/v2');
    // The set-group-ID of folders comes from fsGroup, and stays, as with chmod.
    expect(await example.exec('stat', '-c', '%a %u', '/data/cache', '/data/ready')).toBe(
      '2700 1000\n644 1000',
    );
    expect(await example.exec('ls', '/data')).toBe('cache\ncurrent\nready\nreleases');
    expect(await example.logs('prepare')).toMatch(/made \/data\/releases\/v2, made \/data\/cache/);
  });
});
