// A program can be started as soon as its name is there: nobody has it open for writing then (ETXTBSY).
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startInitbox } from '../../../support/program.ts';
import { slowToShow, startsMeanwhile } from '../../../support/start-at-once.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const skip = requireOrSkip(
  'programs that are started at once',
  process.getuid?.() === 0 ? whyMissing('strace', 'strace') : 'strace needs root here',
);

const script = '#!/bin/sh\nexit 7\n';

interface Made {
  readonly args: readonly string[];
  readonly path: string;
}

/** A script of this size, and the folders in which it is and goes. */
function prepared(size: number) {
  const top = temporaryDirectory('executable').path;
  const [from, to] = [join(top, 'from'), join(top, 'to')] as const;
  for (const folder of [from, to]) mkdirSync(folder);
  const tool = join(from, 'tool');
  writeFileSync(tool, script);
  truncateSync(tool, size);
  chmodSync(tool, 0o755);
  return { from, to, tool, path: join(to, 'tool') };
}

/** As a server gives it piece by piece, of a size that is not told. */
async function served(size: number): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_request, response) => {
    response.write(script);
    response.end(Buffer.alloc(size));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/tool`,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const ways: readonly (readonly [string, (size: number) => Made])[] = [
  [
    'copy of a folder',
    (size) => {
      const { from, to, path } = prepared(size);
      return { args: ['copy', from, to], path };
    },
  ],
  [
    'copy of a file',
    (size) => {
      const { tool, path } = prepared(size);
      return { args: ['copy', tool, path], path };
    },
  ],
  [
    'copy --if-empty',
    (size) => {
      const { from, to, path } = prepared(size);
      return { args: ['copy', from, to, '--if-empty'], path };
    },
  ],
  [
    'copy --atomic',
    (size) => {
      const { from, to, path } = prepared(size);
      return { args: ['copy', from, to, '--atomic'], path };
    },
  ],
  [
    'fetch-config of a file',
    (size) => {
      const { tool, path } = prepared(size);
      return { args: ['fetch-config', `file:${tool}`, '--to', path, '--mode', '0755', '--public'], path };
    },
  ],
  [
    'fetch-config --unpack',
    (size) => {
      const { from, to, path } = prepared(size);
      const archive = join(from, '../tool.tar.gz');
      execFileSync('tar', ['-czf', archive, '-C', from, 'tool']);
      return { args: ['fetch-config', `file:${archive}`, '--unpack', '--to', to, '--public'], path };
    },
  ],
  [
    'render',
    (size) => {
      const { from, path } = prepared(0);
      const template = join(from, 'template');
      writeFileSync(template, script + '#'.repeat(Math.min(size, 1 << 19)));
      return { args: ['render', template, '--to', path, '--mode', '0755', '--public'], path };
    },
  ],
];

describe.skipIf(skip).each([64, 5 << 20])('a script of %i bytes can be started once it is there', (size) => {
  test.each(ways)('%s', async (_, make) => {
    const { args, path } = make(size);
    const publisher = await startInitbox(args, { prefix: slowToShow });
    const found = await startsMeanwhile(path, publisher);
    const { status, stderr } = await publisher.exit;
    expect(status, stderr).toBe(0);
    expect([...found]).toEqual(['7']);
  });

  test('fetch-config of a download', async () => {
    await using server = await served(size);
    const { path } = prepared(0);
    const args = ['fetch-config', server.url, '--to', path, '--mode', '0755'];
    const publisher = await startInitbox(args, { prefix: slowToShow });
    const found = await startsMeanwhile(path, publisher);
    const { status, stderr } = await publisher.exit;
    expect(status, stderr).toBe(0);
    expect([...found]).toEqual(['7']);
  });
});
