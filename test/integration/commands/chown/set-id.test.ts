// Set-ID bits that the earlier owner sets between the look at a file and the change of its owner.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startInitbox } from '../../../support/program.ts';
import { needTool } from '../../../support/tools.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { memoryFolder, modeOf, noStrace, ownerOf } from './support.ts';

/** Microseconds that each lchown(2) waits before it is carried out: in that time the file's owner acts. */
const delay = 5_000_000;

const earlier = 1234;

describe.skipIf(noStrace)('set-ID bits that come while chown runs', () => {
  test.each([
    ['set-group-ID without group execute', '2640', '0640'],
    ['both of them, with group execute', '6750', '0750'],
  ])('%s: not left on the file of the new owner', async (_, set, left) => {
    // In memory, where nothing is mounted below: there, owners are changed by name.
    const top = memoryFolder();
    chmodSync(top, 0o755);
    const file = join(top, 'f');
    writeFileSync(file, 'x', { mode: 0o640 });
    chownSync(file, earlier, earlier);
    const run = await startInitbox(['chown', '1000:1000', top], {
      prefix: [
        needTool('strace', 'strace'),
        ...`-f -qq -o /dev/null -e trace=lchown -e inject=lchown:delay_enter=${delay}`.split(' '),
      ],
    });
    // It is marked before the first change.
    await waitUntil(() => ownerOf(top) !== '0:0', { what: 'the walk under way' });
    // As its owner: after the change this would not be permitted.
    const asEarlier = ['--reuid', String(earlier), '--regid', String(earlier), '--clear-groups'];
    execFileSync('setpriv', [...asEarlier, 'chmod', set, file]);
    const { status, stderr } = await run.exit;
    expect(status, stderr).toBe(0);
    expect(ownerOf(file)).toBe('1000:1000');
    expect(modeOf(file)).toBe(left);
  });
});
