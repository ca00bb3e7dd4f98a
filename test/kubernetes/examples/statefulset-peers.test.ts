import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('statefulset-peers', () => {
  test('each pod has its own number and address, and the same list of all three', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    const pods = await example.becomesReady();
    const addressOf = new Map(pods.map(({ metadata, status }) => [metadata.name, status.podIP ?? '']));
    expect([...addressOf.keys()].toSorted()).toEqual(['shop-0', 'shop-1', 'shop-2']);
    const bytes = (address: string): number =>
      address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const peers = [...addressOf.values()]
      .toSorted((a, b) => bytes(a) - bytes(b))
      .map((address) => `${address}:2380`)
      .join(',');
    for (const [index, name] of ['shop-0', 'shop-1', 'shop-2'].entries())
      expect(await example.namespace.exec(`pod/${name}`, 'shop', 'cat', '/config/server.properties')).toBe(
        `broker.id=${index + 1}\nadvertised.listeners=PLAINTEXT://${addressOf.get(name)}:8080\npeers=${peers}`,
      );
  });
});
