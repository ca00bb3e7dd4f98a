import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('files-from-image', () => {
  test("nginx serves the files of the application's image", async () => {
    await using example = await Example.create(import.meta.filename);
    const sheet = readFileSync(join(import.meta.dirname, '../shop/static/css/shop.css'), 'utf8');
    await example.apply();
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy`;
    expect(await example.namespace.kubectl('get', '--raw', `${path}/`)).toBe('<h1>Shop 1.2.3</h1>');
    expect(await example.namespace.kubectl('get', '--raw', `${path}/css/shop.css`)).toBe(sheet.trim());
  });
});
