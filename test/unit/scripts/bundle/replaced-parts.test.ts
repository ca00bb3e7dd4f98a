import { join } from 'node:path';

import { build } from 'esbuild';
import { expect, test } from 'vitest';

import { replacedParts } from '../../../../scripts/bundle/replaced-parts.ts';

const root = join(import.meta.dirname, '../../../..');

const bundle = (contents: string) =>
  build({
    stdin: { contents, resolveDir: root },
    platform: 'node',
    bundle: true,
    write: false,
    logLevel: 'silent',
    external: ['pg-native'],
    plugins: [replacedParts(root)],
  });

test('the packages of today have every part that is replaced', async () => {
  await expect(bundle("require('pg'); require('node-vault');")).resolves.toBeDefined();
});

test('the build fails, naming each part that a package no longer has', async () => {
  await expect(bundle("require('node-vault');")).rejects.toThrow(/pg: lib\/crypto\/utils is replaced/);
  await expect(bundle("require('pg');")).rejects.toThrow(/node-vault: axios is replaced/);
});
