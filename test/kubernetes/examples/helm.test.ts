import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { run } from '../../support/build-cache.ts';
import { helmBinary } from '../../support/helm.ts';
import { projectDirectory } from '../../support/tools.ts';
import { Example, noCluster } from '../support/example.ts';
import { readExample, readManifest } from '../support/manifests.ts';
import { Database } from '../support/services.ts';

const chart = join(projectDirectory, 'examples/helm/shop');

async function render(...flags: readonly string[]): Promise<string> {
  return run([await helmBinary(), 'template', 'shop', chart, ...flags]);
}

describe.skipIf(noCluster)('helm', () => {
  test('the chart renders what after.yaml shows, and passes helm lint', async () => {
    expect(readManifest(await render())).toEqual(readExample('helm', 'after.yaml'));
    expect(await run([await helmBinary(), 'lint', '--strict', chart])).toContain('0 chart(s) failed');
  }, 600_000);

  test('its values: another tag is another key, another tool another command', async () => {
    const text = await render('--set', 'image.tag=1.3.0', '--set', 'migrate.command={rails,db:migrate}');
    expect(text).toContain('--once=registry.example/shop:1.3.0');
    expect(text).toMatch(/- rails\n +- db:migrate/);
  });

  test('two replicas migrate once', async () => {
    await using example = await Example.create(import.meta.filename);
    const database = await Database.create(example.namespace);
    await example.namespace.apply([database.secret(), ...(await database.service())]);
    await example.apply();
    expect(await example.becomesReady()).toHaveLength(2);
    expect(await database.sql('select count(*), sum(others), count(ended) from runs')).toBe('1|0|1');
  });
});
