import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { canUseIptables, canUseNetns } from '../../support/netns.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { projectDirectory, requireOrSkip } from '../../support/tools.ts';
import { scenarios } from './said.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => postgres?.remove());

/** What the pages show as the program's own words, by name. */
const shown = globSync('{docs/**/,}*.md', { cwd: projectDirectory }).flatMap((page) =>
  [
    ...readFileSync(join(projectDirectory, page), 'utf8').matchAll(
      /<!-- said by: ([^\n]+) -->\n```text\n([^]*?)```/g,
    ),
  ].map(([, name = '', text = '']) => ({ page, name, text })),
);

/** Without what differs from run to run, and from this machine to a cluster. */
function plain(text: string): string {
  return text
    .trim()
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'DATE')
    .replace(/\b\d{1,3}(\.\d{1,3}){3}\b/g, 'ADDRESS')
    .replace(/:\d{2,5}\b/g, ':PORT')
    .replace(/\b\d+ attempts?/g, 'N attempts')
    .replace(/\b(backend|token|process) \d+/g, '$1 N')
    .replace(/\b(\d+(\.\d+)?(ms|s|m|h))+\b/g, 'TIME');
}

test('each is shown, and each that is shown can be had', () => {
  expect(shown.map(({ name }) => name).toSorted()).toEqual(Object.keys(scenarios).toSorted());
});

test
  .skipIf(requireOrSkip('what the pages show of the program', canUseNetns() ?? canUseIptables()))
  .each(shown.map(({ page, name, text }) => [`${page}: ${name}`, name, text] as const))(
  '%s',
  async (_title, name, text) => {
    expect(plain(text)).toBe(plain((await scenarios[name]?.(postgres)) ?? ''));
  },
);
