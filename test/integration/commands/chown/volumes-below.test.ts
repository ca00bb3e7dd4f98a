// A volume mounted below the path that is given: nothing of it is changed, which must not go unnoticed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { canMount, mounting } from '../../../support/faults.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote } from '../../../support/undo.ts';
import { chown, folder } from './support.ts';

const skipped = requireOrSkip('volumes below a path', canMount());

test.skipIf(skipped)('is warned of, by its name, in the log and in the outcome', async () => {
  const top = folder();
  mkdirSync(join(top, 'data'));
  const data = join(top, 'data');
  const prefix = mounting(`mount -t tmpfs none ${quote(data)}`);
  const warning = `${top}: what is mounted below it is left as it is: ${data}; name it as a path of its own, or enter it with --no-one-file-system`;
  const alone = await chown(['1000:1000', top], { prefix });
  expect(alone.stderr).toContain(`warn  chown: ${warning}`);
  expect(alone.stderr).toContain(`and left what is mounted below: ${data}`);
  expect(alone.status).toBe(0);
  // By the policy that looks at the top alone, too.
  const trusted = await chown(['1000:1000', top, '--policy', 'root-mismatch'], { prefix });
  expect(trusted.stderr).toContain(`${data}; name it`);
  for (const words of [
    ['1000:1000', top, data],
    ['1000:1000', top, '--no-one-file-system'],
    ['1000:1000', top, '--exclude', 'data'],
    ['1000:1000', top, '--no-recursive'],
  ])
    expect((await chown(words, { prefix })).stderr, words.join(' ')).not.toContain('is left as it is');
});
