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
  await expect(bundle("require('pg'); require('node-vault'); require('ssh2');")).resolves.toBeDefined();
});

test('the build fails, naming each part that a package no longer has', async () => {
  // Of the message esbuild cuts what is beyond the first few.
  const naming = (text: string): object => ({
    errors: expect.arrayContaining([
      expect.objectContaining({ text: expect.stringContaining(`${text} is replaced`) }),
    ]),
  });
  await expect(bundle("require('node-vault');")).rejects.toMatchObject(naming('pg: lib/crypto/utils'));
  await expect(bundle("require('pg');")).rejects.toMatchObject(naming('node-vault: axios'));
  await expect(bundle("require('pg');")).rejects.toMatchObject(naming('ssh2: lib/agent.js'));
});
