import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { projectDirectory } from '../../support/tools.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
  // The roles that the pages speak of.
  await postgres.sql('CREATE ROLE migrator; CREATE ROLE other', [], 'postgres');
});
afterAll(async () => postgres?.remove());

const blocks = globSync('{docs/**/,}*.md', { cwd: projectDirectory }).flatMap((page) =>
  [...readFileSync(join(projectDirectory, page), 'utf8').matchAll(/^```sql\n([^]*?)^```$/gm)].map(
    ([, text = ''], index) => [`${page}, SQL ${index + 1}`, text] as const,
  ),
);

test('there are some', () => expect(blocks.length).toBeGreaterThan(0));

test.each(blocks)('%s runs', async (_name, text) => {
  expect(
    await postgres.sql(text).then(
      () => 'done',
      (error: Error) => error.message,
    ),
  ).toBe('done');
});
