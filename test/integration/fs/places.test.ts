// Where it may be written: what every command that writes does with one and the same place.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mounting, mountTmpfs, type Mounted } from '../../support/faults.ts';
import { type ProgramResult, runInitbox } from '../../support/program.ts';
import { projectDirectory, requireOrSkip } from '../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../support/undo.ts';

const own = join(projectDirectory, 'dist');
const { path: input } = temporaryDirectory('places');
let server: Server;
let url: string;

beforeAll(async () => {
  mkdirSync(join(input, 'tree'));
  mkdirSync(join(input, 'templates'));
  writeFileSync(join(input, 'tree/f'), 'f');
  writeFileSync(join(input, 'templates/f'), 'f');
  execFileSync('tar', ['-cf', join(input, 'a.tar'), '-C', join(input, 'tree'), 'f']);
  server = createServer((_request, response) => response.setHeader('etag', '"1"').end('body'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/f`;
});
afterAll(() => server.close());

/** Command lines that write into a folder, and below it a file or folder `f` where they choose a name. */
const writers: readonly (readonly [string, (folder: string) => string[]])[] = [
  ['copy a tree', (to) => ['copy', join(input, 'tree'), to]],
  ['copy a file', (to) => ['copy', join(input, 'tree/f'), `${to}/f`]],
  ['copy a file into it', (to) => ['copy', join(input, 'tree/f'), `${to}/`]],
  ['copy --atomic', (to) => ['copy', join(input, 'tree'), to, '--atomic']],
  ['copy --delete', (to) => ['copy', join(input, 'tree'), to, '--delete']],
  ['render a file', (to) => ['render', join(input, 'templates/f'), '--to', `${to}/f`]],
  ['render a folder', (to) => ['render', join(input, 'templates'), '--to', `${to}/`]],
  ['fetch-config', (to) => ['fetch-config', `file:${input}/tree/f`, '--to', `${to}/f`, '--allow-disk']],
  [
    'fetch-config --format files',
    (to) => ['fetch-config', `file:${input}/tree`, '--to', to, '--format', 'files', '--allow-disk'],
  ],
  ['fetch-config --unpack', (to) => ['fetch-config', `file:${input}/a.tar`, '--unpack', '--to', to]],
];
const etag = (to: string): string[] => [
  'fetch-config',
  url,
  '--to',
  join(temporaryDirectory('etag').path, 'body'),
  '--etag-file',
  `${to}/f`,
];

function run(words: readonly string[], more?: Parameters<typeof runInitbox>[1]): Promise<ProgramResult> {
  return runInitbox(words, more);
}

function mountIdOf(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    return /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? '';
  } finally {
    closeSync(descriptor);
  }
}

/** A folder on the file system that `/` is on. */
const onRoot = ((): string | undefined => {
  const base = [tmpdir(), '/var/tmp', '/root', projectDirectory].find(
    (path) => existsSync(path) && mountIdOf(path) === mountIdOf('/'),
  );
  if (base === undefined) return undefined;
  const path = mkdtempSync(join(base, 'initbox-test-root-'));
  undoAtDeath(`rm -rf ${quote(path)}`);
  return path;
})();

describe.skipIf(requireOrSkip('missing folders on a volume', canMount()))(
  'missing folders on a volume',
  () => {
    let volume: Mounted;
    beforeAll(() => {
      volume = mountTmpfs({ size: '16m' });
    });
    afterAll(() => volume[Symbol.dispose]());

    test.each([...writers, ['--etag-file', etag] as const])(
      '%s: they are made, and the second run is as the first',
      async (what, words) => {
        const top = join(volume.path, what.replaceAll(' ', '-'), 'deep/er');
        for (let count = 0; count < 2; count++) {
          const { status, stderr } = await run(words(top));
          expect(status, stderr).toBe(0);
          expect(stderr).not.toContain('the next run downloads again');
          expect(existsSync(join(top, 'f'))).toBe(true);
        }
        for (const made of [top, dirname(top), dirname(dirname(top))])
          expect(lstatSync(made).mode & 0o7777).toBe(0o755);
      },
    );

    test.each(writers.filter(([what]) => !/into it|delete/.test(what)))(
      '%s --owner: they belong to that owner',
      async (what, words) => {
        const top = join(volume.path, `owned-${what.replaceAll(' ', '-')}`, 'deep');
        const { status, stderr } = await run([...words(top), '--owner', '1234:4321']);
        expect(status, stderr).toBe(0);
        for (const made of [top, dirname(top)])
          expect([lstatSync(made).uid, lstatSync(made).gid]).toEqual([1234, 4321]);
      },
    );

    test('a folder of a shared group hands it on, whatever the umask is', async () => {
      const shared = join(volume.path, 'shared');
      mkdirSync(shared);
      execFileSync('sh', ['-c', `chgrp 2000 ${shared} && chmod 2775 ${shared}`]);
      const prefix = ['/bin/sh', '-c', 'umask 077; exec "$@"', 'sh'];
      for (const [what, words] of writers) {
        const top = join(shared, what.replaceAll(' ', '-'));
        const { status, stderr } = await run(words(top), { prefix });
        expect(status, stderr).toBe(0);
        const { gid, mode } = statSync(top);
        expect([gid, mode & 0o7777], what).toEqual([2000, 0o2755]);
      }
    });

    test('a mount below a mount, and one of a folder of the root file system, are volumes too', async () => {
      const nested = join(volume.path, 'nested');
      mkdirSync(nested);
      // Seen by the program alone: a mount that outlived the test would be emptied with the test's folders.
      const prefix = mounting(`mount --bind ${quote(onRoot as string)} ${quote(nested)}`);
      for (const [what, words] of writers) {
        const top = join(nested, what.replaceAll(' ', '-'), 'deep');
        const { status, stderr } = await run(words(top), { prefix });
        expect(status, stderr).toBe(0);
        expect(existsSync(join(onRoot as string, what.replaceAll(' ', '-'), 'deep/f'))).toBe(true);
        rmSync(join(onRoot as string, what.replaceAll(' ', '-')), { recursive: true });
      }
      expect(readdirSync(nested)).toEqual([]);
    });

    test('nothing is made by a dry run, or where nothing can be fetched', async () => {
      const top = join(volume.path, 'none');
      for (const [, words] of writers) {
        if (words(top).includes('--unpack')) continue;
        expect(await run([...words(top), '--dry-run'])).toMatchObject({ status: 0 });
      }
      const missing = ['fetch-config', `file:${input}/none`, '--to', `${top}/x/f`, '--allow-disk'];
      expect((await run([...missing, '--timeout', '300ms'])).status).not.toBe(0);
      expect(existsSync(top)).toBe(false);
    });

    test('a secret’s folder is made in memory alone', async () => {
      const top = join(volume.path, 'secret/deep');
      const words = ['fetch-config', `file:${input}/tree/f`, '--to', `${top}/f`];
      expect(await run(words)).toMatchObject({ status: 0 });
      expect(readdirSync(top)).toEqual(['f']);
    });
  },
);

describe('missing folders on the root file system', () => {
  test.each([
    ...writers,
    ['--etag-file', etag] as const,
    ['chown --create', (to: string) => ['chown', '0:0', to, '--create']] as const,
  ])('%s: refused, and nothing is made', async (_what, words) => {
    expect(onRoot).toBeDefined();
    const top = join(onRoot as string, 'mistyped/deep');
    const { status, stderr } = await run(words(top));
    expect(stderr).toContain(`${onRoot}/mistyped does not exist, and ${onRoot} is not on a volume`);
    expect(stderr).toContain('is the volume mounted in this init container, and at this path?');
    expect(status).toBe(2);
    expect(readdirSync(onRoot as string)).toEqual([]);
  });

  test.each(writers)('%s: one that is there is written to', async (what, words) => {
    const top = join(onRoot as string, what.replaceAll(' ', '-'));
    mkdirSync(top);
    const { status, stderr } = await run(words(top));
    expect(status, stderr).toBe(0);
    expect(existsSync(join(top, 'f'))).toBe(true);
    rmSync(top, { recursive: true });
  });
});

/** A dry run of what would be refused is refused as well: nothing here must be written by a mistake of the program. */
describe('places nobody means', () => {
  const some = new Set(['copy a tree', 'render a file', 'chown']);
  const places: readonly (readonly [string, RegExp, ReadonlySet<string>?])[] = [
    ['/dev', /is the kernel's/],
    ['/proc/1/root', /is the kernel's/],
    ['/dev/pts', /is the kernel's/, some],
    ['/sys/kernel', /is the kernel's/, some],
    ['/proc/self/fd', /is the kernel's/, some],
    ['/proc/self/root/tmp', /is the kernel's/, some],
    [own, /this program's own folder/],
    [join(own, 'packages'), /this program's own folder/, some],
    ['/', /is the root directory/],
  ];
  const all = [
    ...writers.filter(([what]) => !what.includes('--delete')),
    ['--etag-file', etag] as const,
    ['chown', (to: string) => ['chown', '0:0', to, '--dry-run']] as const,
  ];
  const cases = places.flatMap(([place, words, which]) =>
    all
      .filter(([what]) => which?.has(what) ?? true)
      .map(([what, make]) => [what, place, words, make] as const),
  );
  test.each(cases)('%s: %s', async (what, place, message, make) => {
    // `//f` is `/f`; a whole tree goes to `/` itself.
    const { status, stderr } = await run(make(place));
    expect(stderr, what).toMatch(message);
    expect(status, stderr).toBe(2);
    expect(existsSync(join(place, 'f'))).toBe(false);
  });

  test.skipIf(requireOrSkip('places by other names', canMount())).each(all)(
    '%s: by a bind mount of another name',
    async (_what, make) => {
      for (const [place, message] of [
        ['/', /is the root directory under another name/],
        [own, /this program's own folder/],
        ['/dev', /is the kernel's/],
      ] as const) {
        const { path } = temporaryDirectory('bound');
        // Seen by the program alone, as above.
        const prefix = mounting(`mount --bind ${quote(place)} ${quote(path)}`);
        const { status, stderr } = await run(make(path), { prefix });
        expect(stderr).toMatch(message);
        expect(status, stderr).toBe(2);
        expect(existsSync(join(place, 'f'))).toBe(false);
      }
    },
  );
});
