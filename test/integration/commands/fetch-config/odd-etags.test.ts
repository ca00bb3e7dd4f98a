// An ETag that no reader needs is none: it neither fills the log nor goes back to a server.
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { respond, startFaultServer } from './fault-server.ts';

const folder = memoryFolders();

test.each([
  ['195 KiB', `"${'e'.repeat(195 * 1024)}"`, undefined],
  ['513 characters', `"${'e'.repeat(511)}"`, undefined],
  ['a line that is folded', '"a"\r\n X-Inj: b', undefined],
  ['a blank in it', '"a b"', undefined],
  ['two quotes within', '"a" "b"', undefined],
  ['a control character', '"a\tb"', undefined],
  ['a usual one', '"5f-abc"', '"5f-abc"'],
  ['a weak one', 'W/"5f-abc"', 'W/"5f-abc"'],
  ['one without quotes', '5f-abc', '5f-abc'],
  ['a star, which stands for any', '*', undefined],
  ['512 characters', `"${'e'.repeat(510)}"`, `"${'e'.repeat(510)}"`],
])('%s', async (_name, etag, shown) => {
  await using server = await startFaultServer({ '/a': respond(200, 'text', { ETag: etag }) });
  const place = folder();
  const run = async () =>
    runInitbox(
      [
        'fetch-config',
        `${server.url}/a`,
        '--to',
        join(place, 'a'),
        '--etag-file',
        join(place, 'etag'),
        '--log-level',
        'debug',
      ],
      {},
    );
  const { status, stderr } = await run();
  expect(status).toBe(0);
  if (shown === undefined) {
    expect(stderr).not.toContain('ETag');
    expect(stderr).not.toContain('X-Inj');
    expect(stderr).toMatch(/\/a read\b/);
  } else expect(stderr).toContain(`read with ETag ${shown}`);
  expect((await run()).status).toBe(0);
  expect(server.requests[1]?.headers.includes(`if-none-match: ${shown}`.toLowerCase())).toBe(
    shown !== undefined,
  );
});
