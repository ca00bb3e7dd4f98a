import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { mistakesOf } from './read.ts';

const root = join(import.meta.dirname, '../../../..');
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
