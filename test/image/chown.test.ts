import { execFileSync } from 'node:child_process';
import { chown, lstat, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { docker, muslImage, runImage } from './docker.ts';

/** What a pod's securityContext would say of an init container that changes owners. */
const locked = ['--read-only', '--user', '0:0', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
const capable = [...locked, '--cap-add', 'CHOWN', '--cap-add', 'FOWNER', '--cap-add', 'DAC_OVERRIDE'];

let volume: string;
let mounted: string[];
beforeEach(async () => {
  volume = await mkdtemp(join(tmpdir(), 'initbox-image-chown-'));
  mounted = ['--volume', `${volume}:/data`];
});
afterEach(() => rm(volume, { recursive: true, force: true }));

async function fill(folders: number, files: number): Promise<void> {
  for (let i = 0; i < folders; i++) {
    await mkdir(join(volume, `d${i}`), { mode: 0o700 });
    for (let j = 0; j < files; j++) await writeFile(join(volume, `d${i}/f${j}`), '', { mode: 0o600 });
  }
}

/** Every owner in the volume, with how many entries have it. */
function owners(): Record<string, number> {
  const counts: Record<string, number> = {};
  const found = execFileSync('find', [volume, '-printf', '%U:%G\n'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  for (const owner of found.trimEnd().split('\n')) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

describe('as root with CHOWN, FOWNER and DAC_OVERRIDE alone, read-only', () => {
  test('a tree of another user that only its owner may enter, with modes', async () => {
    await fill(3, 3);
    for (let i = 0; i < 3; i++) await chown(join(volume, `d${i}`), 2000, 2000);
    const { status, stderr } = await runImage(
      [...capable, ...mounted],
      ['chown', '1000:3000', '/data', '--mode', 'u=rwX,g=rwX,o=', '--setgid'],
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(owners()).toEqual({ '1000:3000': 13 });
    expect((await lstat(join(volume, 'd1'))).mode & 0o7777).toBe(0o2770);
    expect((await lstat(join(volume, 'd1/f1'))).mode & 0o7777).toBe(0o660);
  });

  test('a tree large enough for a helper: the image has one', async () => {
    await fill(200, 150);
    const { status, stderr } = await runImage(
      [...capable, ...mounted],
      ['chown', '1000:1000', '/data', '--log-level', 'debug'],
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('30,201 entries, 30,201 changed to 1000:1000');
    expect(stderr).not.toContain('without a helper');
    expect(owners()).toEqual({ '1000:1000': 30_201 });
  });

  test('in 96 MiB of memory', async () => {
    await fill(1, 60_000);
    const { status, stderr } = await runImage(
      [...capable, ...mounted, '--memory', '96m', '--memory-swap', '96m'],
      ['chown', '1000:1000', '/data'],
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(owners()).toEqual({ '1000:1000': 60_002 });
  });

  test('with one process allowed beside the first, and with none', async () => {
    await fill(100, 100);
    for (const [uid, limit] of [
      [1000, '40'],
      [1001, '12'],
    ] as const) {
      const { status, stderr } = await runImage(
        [...capable, ...mounted, '--pids-limit', limit],
        ['chown', `${uid}:${uid}`, '/data'],
      );
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(owners()).toEqual({ [`${uid}:${uid}`]: 10_101 });
    }
  });
});

test('with CHOWN alone, what root owns', async () => {
  await fill(2, 2);
  const { status, stderr } = await runImage(
    [...locked, '--cap-add', 'CHOWN', ...mounted],
    ['chown', '1000:1000', '/data'],
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(owners()).toEqual({ '1000:1000': 7 });
});

test('without capabilities: which one is missing, and nothing is changed', async () => {
  await fill(2, 2);
  const { status, stderr } = await runImage([...locked, ...mounted], ['chown', '1000:1000', '/data']);
  expect(status).toBe(1);
  expect(stderr).toContain('CAP_CHOWN is missing');
  expect(owners()).toEqual({ '0:0': 7 });
});

test('mounted read-only: says so', async () => {
  const { status, stderr } = await runImage(
    [...capable, '--volume', `${volume}:/data:ro`],
    ['chown', '1000:1000', '/data'],
  );
  expect(status).toBe(1);
  expect(stderr).toContain('mounted read-only; take readOnly from the volumeMount');
});

test('the image has no users: a name is an error that says so', async () => {
  const { status, stderr } = await runImage([...capable, ...mounted], ['chown', 'postgres', '/data']);
  expect(status).toBe(2);
  expect(stderr).toMatch(/the user "postgres" is unknown: this image has no \/etc\/passwd/);
});

test('the root file system, the kernel’s folders and the program’s own are refused', async () => {
  for (const path of ['/', '/proc/self/cwd/data', '/sys', '/dev', '/initbox', '/initbox/lib']) {
    const { status, stderr } = await runImage([...capable, ...mounted], ['chown', '1000:1000', path]);
    expect({ status, stderr }, path).toMatchObject({ status: 2 });
  }
});

test('in an image of another, from a volume that install filled', async () => {
  await fill(150, 100);
  const name = `initbox-test-chown-${process.pid}`;
  try {
    const installed = await runImage(['--user', '0', '--volume', `${name}:/shared`], ['install', '/shared']);
    expect(installed.status, installed.stderr).toBe(0);
    const { status, stderr } = await runImage(
      [...capable, ...mounted, '--volume', `${name}:/initbox:ro`, '--entrypoint', '/initbox/initbox'],
      ['chown', '1000:1000', '/data', '--log-level', 'debug'],
      muslImage,
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).not.toContain('without a helper');
    expect(owners()).toEqual({ '1000:1000': 15_151 });
  } finally {
    await docker(['volume', 'rm', '--force', name]);
  }
});
