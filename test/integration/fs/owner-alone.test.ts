// --owner with CAP_CHOWN and no other capability, as root.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { canMount } from '../../support/faults.ts';
import { runInitbox } from '../../support/program.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const skip = requireOrSkip('capabilities', canMount());

describe.skipIf(skip)('the capability CHOWN alone is enough for --owner', () => {
  let folder: string;
  let to: string;

  beforeAll(() => {
    folder = temporaryDirectory('owner').path;
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'src'));
    mkdirSync(join(folder, 'tree', 'd'), { recursive: true });
    for (const name of ['src/f', 'tree/f', 'tree/d/g']) {
      writeFileSync(join(folder, name), 'content\n');
      chmodSync(join(folder, name), 0o640);
      utimesSync(join(folder, name), 1_600_000_000, 1_600_000_000);
    }
    execFileSync('tar', ['-cf', 'a.tar', '-C', 'tree', 'f', 'd'], { cwd: folder });
  });
  beforeEach(() => {
    to = mkdtempSync(join(folder, 'to-'));
  });

  const prefix = (capabilities: string) => [
    'setpriv',
    `--bounding-set=-all${capabilities}`,
    '--inh-caps=-all',
    '--',
  ];
  const owner = ['--owner', '1000:1000'];

  test.each([
    ['copy', () => ['copy', join(folder, 'src'), to], 'f'],
    ['copy --atomic', () => ['copy', join(folder, 'tree'), to, '--atomic'], '..data/d/g'],
    ['--unpack', () => ['fetch-config', `file:${join(folder, 'a.tar')}`, '--unpack', '--to', to], 'd/g'],
    [
      'fetch-config',
      () => ['fetch-config', `file:${join(folder, 'src/f')}`, '--to', join(to, 'f'), '--allow-disk'],
      'f',
    ],
    ['render', () => ['render', join(folder, 'src/f'), '--to', join(to, 'f')], 'f'],
    [
      'a folder of files',
      () => ['fetch-config', `file:${join(folder, 'src')}`, '--to', to, '--format', 'files', '--allow-disk'],
      'f',
    ],
  ])('%s', async (what, args, name) => {
    const result = await runInitbox([...args(), ...owner], { prefix: prefix(',+chown') });
    expect(result).toMatchObject({ status: 0 });
    const { uid, gid, mode, mtimeMs } = statSync(join(to, name));
    expect([uid, gid]).toEqual([1000, 1000]);
    if (/copy|unpack/.test(what)) expect([mode & 0o777, mtimeMs]).toEqual([0o640, 1_600_000_000_000]);
  });

  test('of a folder that is copied, DAC_OVERRIDE is said to be missing', async () => {
    const args = ['copy', join(folder, 'tree'), to, ...owner];
    const { status, stderr } = await runInitbox(args, { prefix: prefix(',+chown') });
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining('the capability DAC_OVERRIDE beside CHOWN'),
    ]);
    expect(await runInitbox(args, { prefix: prefix(',+chown,+dac_override') })).toMatchObject({ status: 0 });
    expect(statSync(join(to, 'd')).uid).toBe(1000);
  });

  test('without it, it is named', async () => {
    const { status, stderr } = await runInitbox(['copy', join(folder, 'src'), to, ...owner], {
      prefix: prefix(''),
    });
    expect([status, stderr]).toEqual([1, expect.stringContaining('--owner needs the capability CHOWN')]);
  });
});
