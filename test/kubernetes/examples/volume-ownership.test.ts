import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { initStatus } from '../support/namespace.ts';
import { volumeFor } from '../support/volume.ts';

describe.skipIf(noCluster)('volume-ownership', () => {
  test("the volume becomes the application's, and is not walked again at the next start", async () => {
    await using example = await Example.create(import.meta.filename, 'baseline');
    await using _volume = await volumeFor(example.namespace, 'data-shop-0');
    await example.apply();
    await example.becomesReady();
    expect(await example.exec('sh', '-c', 'id -u; stat -c %u:%g /data; echo kept > /data/file')).toBe(
      '1000\n1000:1000',
    );
    await example.namespace.kubectl('delete', 'pod', 'shop-0');
    await example.namespace.rolledOut(example.workloadName);
    expect(await example.exec('cat', '/data/file')).toBe('kept');
    expect(await example.logs('volume-ownership')).toMatch(/root-mismatch|already|right/);
    const [pod] = await example.namespace.pods(example.selector);
    expect(initStatus(pod!, 'volume-ownership').restartCount).toBe(0);
  });

  test('the restricted profile refuses it, and says why', async () => {
    await using example = await Example.create(import.meta.filename, 'restricted');
    const warnings = await example.namespace.apply(example.things, '--dry-run=server').then(
      () => '',
      (error: unknown) => String(error),
    );
    expect(warnings).toBe('');
    await example.namespace.apply(example.things);
    await expect
      .poll(() => example.namespace.kubectl('get', 'events', '-o', 'jsonpath={.items[*].message}'), {
        timeout: 30_000,
      })
      .toMatch(/violates PodSecurity "restricted[\s\S]*unrestricted capabilities/);
  });
});
