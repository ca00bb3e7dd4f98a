import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mistakesOf, read } from './read.ts';

const root = join(import.meta.dirname, '../../..');
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })];
const inPages = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```yaml\n((?:#.*\n)*steps:\n[^]*?)^```$/gm)].map(
    ([, plan = ''], index) => [`${page}, plan ${index + 1}`, plan] as const,
  ),
);
const inFiles = globSync('examples/**/plan*.yaml', { cwd: root }).map(
  (file) => [file, readFileSync(join(root, file), 'utf8')] as const,
);

test('there are some', () => {
  expect(inPages.length).toBeGreaterThan(1);
  expect(inFiles.length).toBeGreaterThan(0);
});

test.each([...inPages, ...inFiles])('%s is right', async (_name, plan) => {
  const environment = { IMAGE_DIGEST: 'sha256:1' };
  expect((await read(plan, { environment })).steps.length).toBeGreaterThan(2);
});

test('the three mistakes that docs/run.md shows are told as it says', async () => {
  const plan = `steps:
  - name: database
    uses: wait-tcp
    targets: postgres-service:5432
    stable_for: 3s
  - name: config
    uses: fetch-config
    sources: vault:secret/api-server
    timeout: [5m]
  - name: volume
    # of another owner
    uses: chwn
`;
  const shown = readFileSync(join(root, 'docs/run.md'), 'utf8');
  for (const mistake of await mistakesOf(plan))
    expect(shown).toContain(mistake.replace(/(wait-dns), .*(; did)/, '$1, …$2'));
});
