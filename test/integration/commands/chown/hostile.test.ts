import { execFileSync, spawn } from 'node:child_process';
import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { chown, folder, memoryFolder, modeOf, notRoot, ownerOf, owners, wideTree } from './support.ts';

/** Seconds that links are swapped under a walk: short while developing, what is promised where everything must hold. */

describe.skipIf(notRoot)('somebody who may write to the volume', () => {
  test.each([
    ['owners', []],
    ['owners and modes', ['--mode', 'u=rwX,g=rwX,o=', '--setgid']],
  ])(
    `swaps entries for links to what is outside, during walks for ${attackSeconds} s, %s`,
    async (what, flags) => {
      const [tree, outside] = [memoryFolder(), memoryFolder()];
      mkdirSync(join(outside, 'folder/sub/deep'), { recursive: true });
      for (let i = 0; i < 10; i++) {
        for (const path of [`file${i}`, `folder/x${i}`, `folder/sub/x${i}`, `folder/sub/deep/x${i}`, `f${i}`])
          writeFileSync(join(outside, path), '', { mode: 0o600 });
      }
      const state = () =>
        execFileSync('find', [outside, '-printf', '%P %U:%G %m %C@\n'], { encoding: 'utf8' })
          .split('\n')
          .toSorted();
      const before = state();

      const swapper = spawn('python3', [join(import.meta.dirname, 'swapper.py'), tree, outside], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let said = '';
      swapper.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      const ended = new Promise((resolve) => swapper.once('close', resolve));
      while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20));

      const until = performance.now() + attackSeconds * 1000;
      let [walks, entries, changed] = [0, 0, 0];
      try {
        for (let uid = 1000; performance.now() < until || walks < 3; uid++, walks++) {
          const { status, stderr } = await chown([`${uid}:${uid}`, tree, ...flags]);
          expect([0, 1], stderr).toContain(status);
          const [, all = '0', some = '0'] = /([\d,]+) entr\S+, ([\d,]+) changed/.exec(stderr) ?? [];
          entries += Number(all.replaceAll(',', ''));
          changed += Number(some.replaceAll(',', ''));
          expect(state()).toEqual(before);
        }
      } finally {
        swapper.stdin.end('stop\n');
        await ended;
      }
      const swaps = Number(said.trim().split('\n').at(-1));
      writeSync(
        2,
        `swap attack, ${what}: ${swaps} swaps, ${walks} walks, ${entries} entries, ${changed} changed, 0 outside\n`,
      );
      expect(state()).toEqual(before);
      expect(swaps).toBeGreaterThan(1000 * attackSeconds);
      expect(changed).toBeGreaterThan(walks * 100);
    },
    attackSeconds * 1000 + 60_000,
  );

  test('swaps directories under a walk that is shared among processes', async () => {
    const [tree, outside] = [wideTree(memoryFolder(), 200, 100), wideTree(memoryFolder(), 1, 100)];
    for (let i = 0; i < 200; i++)
      symlinkSync(join(outside, 'd00000'), join(tree, `l${String(i).padStart(5, '0')}`));
    const swapper = spawn(
      'python3',
      [
        '-c',
        `import ctypes,os,sys
libc=ctypes.CDLL(None)
os.chdir(sys.argv[1])
print("ready",flush=True)
pairs=[(b"d%05d"%i,b"l%05d"%i) for i in range(200)]
while True:
    for a,b in pairs: libc.renameat2(-100,a,-100,b,2)`,
        tree,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => swapper.stdout.once('data', resolve));
    try {
      for (let uid = 1000; uid < 1008; uid++) {
        const { status, stderr } = await chown([`${uid}:${uid}`, tree]);
        expect([0, 1], stderr).toContain(status);
        expect(owners(outside)).toEqual({ '0:0': 102 });
      }
    } finally {
      swapper.kill('SIGKILL');
    }
  });

  test('moves a directory out of the tree during the walk: what it is moved into is not changed', async () => {
    const top = memoryFolder();
    const outside = memoryFolder();
    writeFileSync(join(outside, 'sibling'), '');
    // A chain of directories, each with entries enough that the walk is in it when it moves.
    wideTree(top, 1, 20_000);
    mkdirSync(join(top, 'd00000/deep/deeper'), { recursive: true });
    const walking = chown(['1000:1000', top]);
    for (let i = 0; i < 200; i++) {
      const [from, to] = i % 2 === 0 ? [top, outside] : [outside, top];
      execFileSync('mv', [join(from, 'd00000'), join(to, 'd00000')]);
    }
    await walking;
    expect(ownerOf(join(outside, 'sibling'))).toBe('0:0');
    expect(ownerOf(outside)).toBe('0:0');
  });
});

describe.skipIf(notRoot)('entries of every kind', () => {
  test('sockets, FIFOs, devices, and none of them is opened', async () => {
    const top = folder();
    execFileSync('mkfifo', [join(top, 'fifo')]);
    execFileSync('mknod', [join(top, 'null'), 'c', '1', '3']);
    execFileSync('mknod', [join(top, 'block'), 'b', '7', '200']);
    // Opening this one without O_PATH blocks or fails; nobody listens on the other end.
    execFileSync('mknod', [join(top, 'gone'), 'c', '240', '77']);
    const server = createServer().listen(join(top, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const result = await chown(['1000:1000', top, '--mode', 'u=rw,g=rw,o=,u+X,g+X'], { timeout: 10_000 });
    expect(result.status, result.stderr).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 6 });
    for (const name of ['fifo', 'null', 'block', 'gone', 'socket'])
      expect(modeOf(join(top, name))).toBe('0660');
    server.close();
  });

  test('hard links: one file under many names is changed once, and right at the others', async () => {
    const top = memoryFolder();
    writeFileSync(join(top, 'file'), '');
    for (let i = 0; i < 999; i++) linkSync(join(top, 'file'), join(top, `link${i}`));
    const { stderr } = await chown(['1000:1000', top]);
    expect(stderr).toContain('1,001 entries, 2 changed to 1000:1000, 999 right already');
    expect(lstatSync(join(top, 'link998'))).toMatchObject({ uid: 1000, nlink: 1000 });
  });

  test('names that are not UTF-8, with newlines, quotes and every other byte', async () => {
    const top = folder();
    const bytes = Array.from({ length: 255 }, (_, index) => index + 1).filter((byte) => byte !== 47);
    const names = [
      ...bytes.map((byte) => Buffer.from([0x78, byte])),
      Buffer.from('new\nline'),
      Buffer.from('größe'),
      Buffer.from([0xff, 0xfe, 0xfd]),
      Buffer.from([0xc3]),
      Buffer.from('\uFFFD'),
    ];
    const inside = (parent: Buffer, name: Buffer) => Buffer.concat([parent, Buffer.from('/'), name]);
    const directory = inside(Buffer.from(top), Buffer.from([0xe4, 0x0a, 0xff]));
    mkdirSync(directory);
    for (const parent of [Buffer.from(top), directory]) {
      for (const name of names) {
        if (name.equals(Buffer.from('x.'))) continue;
        writeFileSync(inside(parent, name), '');
      }
    }
    const listing = readdirSync(directory, { encoding: 'buffer' })
      .map((name) => name.toString('hex'))
      .toSorted();
    const { status, stderr } = await chown(['1000:1000', top, '--file-mode', '0600']);
    expect(status, stderr).toBe(0);
    for (const parent of [Buffer.from(top), directory]) {
      for (const name of readdirSync(parent, { encoding: 'buffer' }))
        expect(ownerOf(inside(parent, name)), name.toString('hex')).toBe('1000:1000');
    }
    expect(
      readdirSync(directory, { encoding: 'buffer' })
        .map((name) => name.toString('hex'))
        .toSorted(),
    ).toEqual(listing);
  });

  test('entries that vanish are no errors; those that appear do no harm', async () => {
    const top = wideTree(memoryFolder(), 200, 100);
    const churn = spawn(
      'python3',
      [
        '-c',
        `import os,shutil,sys
os.chdir(sys.argv[1])
print("ready",flush=True)
n=0
while True:
    for i in range(200):
        d="d%05d"%i
        try:
            for j in range(0,100,3): os.unlink("%s/f%05d"%(d,j))
        except OSError: pass
        os.makedirs("%s/new%d/x"%(d,n),exist_ok=True)
        if n: shutil.rmtree("%s/new%d"%(d,n-1),ignore_errors=True)
        for j in range(0,100,3): os.close(os.open("%s/f%05d"%(d,j),os.O_CREAT|os.O_WRONLY))
    n+=1`,
        top,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => churn.stdout.once('data', resolve));
    let vanished = 0;
    try {
      for (let uid = 1000; uid < 1010; uid++) {
        const { status, stderr } = await chown([`${uid}:${uid}`, top]);
        expect(status, stderr).toBe(0);
        vanished += Number(/([\d,]+) vanished/.exec(stderr)?.[1]?.replaceAll(',', '') ?? 0);
      }
    } finally {
      churn.kill('SIGKILL');
    }
    expect(vanished).toBeGreaterThan(0);
    expect(ownerOf(top)).toBe('1009:1009');
  });

  test('a volume that was emptied meanwhile', async () => {
    const top = wideTree(memoryFolder(), 50, 20);
    const walking = chown(['1000:1000', top]);
    for (const name of readdirSync(top)) rmSync(join(top, name), { recursive: true, force: true });
    expect((await walking).status).toBe(0);
    expect(ownerOf(top)).toBe('1000:1000');
  });

  test('another owner at the same time: both runs end', async () => {
    const top = wideTree(memoryFolder(), 100, 50);
    const results = await Promise.all([chown(['1000:1000', top]), chown(['1000:1000', top])]);
    for (const { status, stderr } of results) expect(status, stderr).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 5101 });
    chownSync(top, 0, 0);
  });
});
