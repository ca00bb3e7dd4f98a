import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { projectDirectory } from '../../support/tools.ts';
import { Example, noCluster } from '../support/example.ts';
import { kubectl } from '../support/kubectl.ts';
import { readExample, readManifest } from '../support/manifests.ts';
import { Database } from '../support/services.ts';

describe.skipIf(noCluster)('kustomize', () => {
  test('the overlay renders what after.yaml shows', async () => {
    const overlay = join(projectDirectory, 'examples/kustomize/overlays/production');
    expect(readManifest(await kubectl('kustomize', overlay))).toEqual(readExample('kustomize', 'after.yaml'));
  });

  test('two replicas migrate once', async () => {
    await using example = await Example.create(import.meta.filename);
    const database = await Database.create(example.namespace);
    await example.namespace.apply([database.secret(), ...(await database.service())]);
    await example.apply();
    expect(await example.becomesReady()).toHaveLength(2);
    expect(await database.sql('select count(*), sum(others), count(ended) from runs')).toBe('1|0|1');
    expect(await database.sql('select once_key from initbox.once')).toContain('registry.example/shop:1.2.3');
  });
});
