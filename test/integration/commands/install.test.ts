import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountReadOnly, mountTmpfs } from '../../support/faults.ts';
import { runInitbox, startInitbox } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { nodePath, projectDirectory, requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** A runtime's folder as the image has it, with a small file in Node's place: what is copied does not run here. */
const runtime = join(temporaryDirectory('runtime').path, 'initbox');
const program = [nodePath(), join(runtime, 'initbox')];
let build = '';

beforeAll(() => {
  cpSync(join(projectDirectory, 'dist'), runtime, { recursive: true });
  cpSync(join(projectDirectory, 'dist/initbox.js'), join(runtime, 'initbox'));
  mkdirSync(join(runtime, 'bin'));
  writeFileSync(join(runtime, 'bin/node'), Buffer.alloc(3_000_000, 'n'));
  chmodSync(join(runtime, 'bin/node'), 0o755);
  const files = [
    'initbox',
    'bin/node',
    'program.js',
    ...['commands', 'parts'].flatMap((folder) =>
      readdirSync(join(runtime, folder)).map((name) => `${folder}/${name}`),
    ),
  ].map((path) => {
    const content = readFileSync(join(runtime, path));
    const mode = (statSync(join(runtime, path)).mode & 0o777).toString(8).padStart(4, '0');
    return { path, size: content.length, mode, sha256: createHash('sha256').update(content).digest('hex') };
  });
  build = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  writeFileSync(join(runtime, 'manifest.json'), JSON.stringify({ version: '1.2.3', build, files }));
});

const install = (...args: string[]) => runInitbox(['install', ...args], { program });

describe('install', () => {
  test('copies the runtime, finds it in place on a rerun, and checks every byte', async () => {
    const target = join(temporaryDirectory('target').path, 'deep', 'shared');
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(statSync(join(target, 'initbox')).mode & 0o777).toBe(0o755);
    const before = statSync(join(target, 'bin/node'));
    expect((await install(target)).stderr).toContain('already');
    expect(statSync(join(target, 'bin/node'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(await install(target, '--check')).toMatchObject({ status: 0 });
    expect(readdirSync(target, { recursive: true }).filter((name) => String(name).endsWith('.tmp'))).toEqual(
      [],
    );
  });

  test('--check finds a changed byte, a missing file, a lost mode; install repairs', async () => {
    const target = temporaryDirectory('target').path;
    await install(target);
    const node = readFileSync(join(target, 'bin/node'));
    node[1_000_000] = 0;
    writeFileSync(join(target, 'bin/node'), node);
    chmodSync(join(target, 'initbox'), 0o644);
    const { status, stderr } = await install(target, '--check');
    expect(status).toBe(1);
    expect(stderr).toContain('bin/node has other content');
    expect(stderr).toContain('initbox has the wrong mode');
    expect(stderr).toContain(`initbox install ${target} repairs it`);
  });

  test('two at once, and one that was cut off: whole in the end', async () => {
    const target = temporaryDirectory('target').path;
    const first = await startInitbox(['install', target], { program });
    const second = await startInitbox(['install', target], { program });
    await new Promise((resolve) => setTimeout(resolve, 60));
    first.kill('SIGKILL');
    await first.exit;
    expect((await second.exit).status).toBe(0);
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(await install(target, '--check')).toMatchObject({ status: 0 });
  });

  test('what killed installs left half-written is removed, unless somebody may be at it', async () => {
    const target = temporaryDirectory('target').path;
    await install(target);
    mkdirSync(join(target, 'of-others'));
    const old = ['bin/node.1-1abc.tmp', 'initbox.7-zz9.tmp', 'manifest.json.1-0.tmp', 'mine.1-0.tmp'];
    for (const name of [...old, 'bin/node.1-fresh.tmp', 'of-others/node.1-0.tmp'])
      writeFileSync(join(target, name), 'half');
    for (const name of [...old, 'of-others/node.1-0.tmp'])
      utimesSync(join(target, name), new Date(), new Date(Date.now() - 11_000));
    expect(await install(target)).toMatchObject({ status: 0 });
    const left = readdirSync(target, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.tmp'));
    expect(left.toSorted()).toEqual(['bin/node.1-fresh.tmp', 'mine.1-0.tmp', 'of-others/node.1-0.tmp']);
  });

  test('SIGTERM while it copies: 143 within 200 ms, and nothing half-written stays', async () => {
    const large = join(temporaryDirectory('large').path, 'initbox');
    cpSync(runtime, large, { recursive: true });
    const size = 400_000_000;
    truncateSync(join(large, 'bin/node'), size);
    const files = [{ path: 'bin/node', size, mode: '0755', sha256: '' }];
    writeFileSync(join(large, 'manifest.json'), JSON.stringify({ version: '1.2.3', build: 'b', files }));
    const target = temporaryDirectory('target').path;
    const copying = await startInitbox(['install', target], {
      program: [nodePath(), join(large, 'initbox')],
    });
    await waitUntil(
      () => readdirSync(target, { recursive: true }).some((name) => String(name).endsWith('.tmp')),
      {
        what: 'a file under way',
      },
    );
    copying.kill('SIGTERM');
    expect((await within(promptly, copying.exit)).status).toBe(143);
    expect(readdirSync(join(target, 'bin'))).toEqual([]);
  });

  test('outside of the image it says where it works', async () => {
    const { status, stderr } = await runInitbox(['install', '/tmp/x']);
    expect(status).toBe(1);
    expect(stderr).toContain('holds no runtime');
  });
});

describe.skipIf(requireOrSkip('mounts', canMount()))('install onto a volume that refuses', () => {
  test('a full one: how much is needed and how much is free', async () => {
    using full = mountTmpfs({ size: '1m' });
    const { status, stderr } = await install(join(full.path, 'shared'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/the volume is full \(ENOSPC\)/);
    expect(stderr).toMatch(/takes [\d.]+ MiB, [\d.]+ (?:B|KiB|MiB) are free/);
  });

  test('a read-only one, in a folder of it too', async () => {
    using volume = mountReadOnly(temporaryDirectory('read-only').path);
    for (const target of [volume.path, join(volume.path, 'a', 'b')]) {
      const { status, stderr } = await install(target);
      expect(stderr).toContain('read-only file system (EROFS)');
      expect(status).toBe(1);
    }
  });

  test('one of another user', async () => {
    const folder = temporaryDirectory('private').path;
    chmodSync(folder, 0o755);
    chmodSync(runtime, 0o755);
    const { status, stderr } = await runInitbox(['install', join(folder, 'x')], {
      program,
      user: { uid: 54_321, gid: 54_321 },
    });
    expect(stderr).toMatch(/permission denied|holds no runtime/);
    expect(status).toBe(1);
  });
});
