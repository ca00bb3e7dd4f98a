import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { parseSpec } from '../../../src/commands/fetch-config/spec.ts';
import { read, usual } from '../commands/run/read.ts';
import { blocksIn, root } from './pages.ts';
import { documentsIn, isMap, mapsIn, yamlBlocks } from './yaml.ts';

interface Found {
  readonly place: string;
  readonly kind: 'plan' | 'spec';
  readonly text: string;
}

/** Blocks that are a file of ours, and files in the data of ConfigMaps. */
const inPages = yamlBlocks.flatMap(([place, block]): Found[] => {
  const documents = documentsIn(block);
  const [only] = documents;
  const kind = kindOf(only);
  if (kind !== undefined) return [{ place, kind, text: block.text }];
  return documents
    .flatMap(mapsIn)
    .flatMap((map) => Object.entries(isMap(map['data']) ? map['data'] : {}))
    .flatMap(([name, text]) =>
      typeof text === 'string' && name.endsWith('.yaml')
        ? [{ place: `${place} ${name}`, kind: /^steps:/m.test(text) ? 'plan' : 'spec', text }]
        : [],
    );
});
const inFiles = globSync('examples/**/plan*.yaml', { cwd: root }).map((file): Found => ({
  place: file,
  kind: 'plan',
  text: readFileSync(join(root, file), 'utf8'),
}));
const found = [...inPages, ...inFiles];

function kindOf(document: unknown): Found['kind'] | undefined {
  if (!isMap(document)) return undefined;
  if ('steps' in document) return 'plan';
  return 'files' in document ? 'spec' : undefined;
}

test('there are some of each', () => {
  expect(inPages.filter(({ kind }) => kind === 'plan').length).toBeGreaterThan(2);
  expect(inPages.filter(({ kind }) => kind === 'spec').length).toBeGreaterThan(0);
  expect(inFiles.length).toBeGreaterThan(0);
});

test.each(found.map(({ place, kind, text }) => [`${place} is a ${kind}`, kind, text] as const))(
  '%s',
  async (_name, kind, text) => {
    const environment = { ...usual, IMAGE_DIGEST: 'sha256:1' };
    if (kind === 'plan') expect((await read(text, { environment })).steps.length).toBeGreaterThan(0);
    else expect((await parseSpec(text, 'fetch.yaml', () => {})).files.length).toBeGreaterThan(0);
  },
);

test.each(blocksIn('json'))('%s is JSON', (_place, { text }) => {
  expect(() => JSON.parse(text) as unknown).not.toThrow();
});

test.each(blocksIn('sh', 'console'))('%s is a script', (_place, { text }) => {
  const script = text.replace(/^\$ /gm, '');
  expect(spawnSync('bash', ['-n', '-c', script], { encoding: 'utf8' }).stderr).toBe('');
});
