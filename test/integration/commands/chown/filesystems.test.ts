import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, mounting, mountReadOnly, underStrace } from '../../../support/faults.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, undoAtDeath } from '../../../support/undo.ts';
import {
  chown,
  folder,
  memoryFolder,
  modeOf,
  noStrace,
  notRoot,
  ownerOf,
  owners,
  smallTree,
} from './support.ts';

const noMounts = notRoot || requireOrSkip('mounts for chown', canMount());
const noFuse =
  noMounts || requireOrSkip('FUSE', existsSync('/dev/fuse') ? undefined : 'there is no /dev/fuse');
const noChattr = notRoot || requireOrSkip('immutable files', whyMissing('chattr', 'e2fsprogs'));

describe.skipIf(noMounts)('mounts below the top', () => {
  test('are not entered: another file system, the same one bound elsewhere, a file', async () => {
    const top = smallTree();
    const [other, bound] = [memoryFolder(), smallTree()];
    for (const name of ['other', 'bound']) mkdirSync(join(top, name));
    writeFileSync(join(top, 'mounted-file'), '');
    writeFileSync(join(other, 'file'), '');
    const mounts = mounting(
      [
        `mount --bind ${quote(other)} ${quote(join(top, 'other'))}`,
        `mount --bind ${quote(join(bound, 'a'))} ${quote(join(top, 'bound'))}`,
        `mount --bind ${quote(join(bound, 'f'))} ${quote(join(top, 'mounted-file'))}`,
      ].join('; '),
    );
    const { status, stderr } = await chown(['1000:1000', top], { prefix: mounts });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('3 mounts not entered');
    expect(owners(bound)).toEqual({ '0:0': 11 });
    expect(owners(other)).toEqual({ '0:0': 2 });
    // What lies under the mount points was not reached either; everything else was.
    expect(owners(top)).toEqual({ '1000:1000': 11, '0:0': 3 });

    const crossing = await chown(['1000:1000', top, '--no-one-file-system'], { prefix: mounts });
    expect(crossing.status, crossing.stderr).toBe(0);
    expect(owners(other)).toEqual({ '1000:1000': 2 });
    expect(owners(join(bound, 'a'))).toEqual({ '1000:1000': 8 });
    expect(ownerOf(join(bound, 'f'))).toBe('1000:1000');
    expect(ownerOf(bound)).toBe('0:0');
  });

  test('a mount far down, in a tree that is shared among processes', async () => {
    const top = memoryFolder();
    const bound = memoryFolder();
    writeFileSync(join(bound, 'file'), '');
    for (let i = 0; i < 150; i++) {
      mkdirSync(join(top, `d${i}/x/y`), { recursive: true });
      for (let j = 0; j < 100; j++) writeFileSync(join(top, `d${i}/x/f${j}`), '');
    }
    const mounts = mounting(
      [3, 77, 149].map((i) => `mount --bind ${quote(bound)} ${quote(join(top, `d${i}/x/y`))}`).join('; '),
    );
    const { stderr } = await chown(['1000:1000', top], { prefix: mounts });
    expect(stderr).toContain('3 mounts not entered');
    expect(owners(bound)).toEqual({ '0:0': 2 });
    expect(owners(top)).toEqual({ '1000:1000': 15_448, '0:0': 3 });
  });
});

describe.skipIf(noMounts)('a volume that cannot be changed', () => {
  test('mounted read-only: says so, and how to mend it', async () => {
    const source = smallTree();
    using mounted = mountReadOnly(source);
    const { status, stderr } = await chown(['1000:1000', mounted.path]);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `cannot change the owner of ${mounted.path} to 1000:1000 (EROFS): nothing below was changed`,
    );
    expect(stderr).toContain('is mounted read-only; take readOnly from the volumeMount');
    expect(owners(source)).toEqual({ '0:0': 11 });
  });

  test('mounted read-only and right already: nothing to do, so no error', async () => {
    const source = smallTree();
    await chown(['1000:1000', source]);
    using mounted = mountReadOnly(source);
    expect((await chown(['1000:1000', mounted.path])).status).toBe(0);
  });

  test.skipIf(noFuse).each([
    ['refuse', /cannot change the owner of \S+ to 1000:1000 \(EPERM\): nothing below was changed/],
    ['ignore', /the owner of \S+ was set, and the file system did not keep it: nothing below was changed/],
  ])('a file system without owners that would %s them', async (manner, message) => {
    const point = folder();
    const server = spawn('python3', [join(import.meta.dirname, 'ownerless.py'), point, manner], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const undo = undoAtDeath(`umount -l ${quote(point)}`);
    await new Promise((resolve) => server.stdout.once('data', resolve));
    try {
      expect(owners(point)).toEqual({ '0:0': 4 });
      const { status, stderr } = await chown(['1000:1000', point]);
      expect(stderr).toMatch(message);
      expect(stderr).toContain('fuse mount at');
      expect(status).toBe(1);
      const single = await chown(['1000:1000', join(point, 'file')]);
      expect(single.status, single.stderr).toBe(1);
      const right = await chown(['0:0', point]);
      expect(right.stderr).toContain('0 changed to 0:0, 4 right already');
      expect(right.status).toBe(0);
    } finally {
      const ended = new Promise((resolve) => server.once('close', resolve));
      server.stdin.end('stop\n');
      await ended;
      undo.forget();
    }
  });

  test.skipIf(noChattr)(
    'immutable files: the rest is changed, ten are listed, the top is not set',
    async () => {
      const top = smallTree();
      const held = Array.from({ length: 12 }, (_, i) => join(top, `a/immutable-${i}`));
      for (const path of held) writeFileSync(path, '');
      const chattr = (flag: string) => execFileSync('chattr', [flag, ...held]);
      const undo = undoAtDeath(`chattr -i ${held.map(quote).join(' ')}`);
      chattr('+i');
      try {
        const { status, stderr } = await chown(['1000:1000', top]);
        expect(status).toBe(1);
        expect(stderr).toContain('12 of the entries could not be changed');
        expect(stderr.match(/cannot change "[^"]*immutable-\d+": EPERM/g)).toHaveLength(10);
        expect(stderr).toContain('and 2 more');
        expect(stderr).toContain('immutable or append-only file (lsattr');
        expect(owners(top)).toEqual({ '1000:1000': 10, '0:0': 12, '65535:65535': 1 });
        const trusted = await chown(['1000:1000', top, '--policy', 'root-mismatch']);
        expect(trusted.status).toBe(1);
      } finally {
        chattr('-i');
        undo.forget();
      }
      const after = await chown(['1000:1000', top, '--policy', 'root-mismatch']);
      expect(after.status, after.stderr).toBe(0);
      expect(owners(top)).toEqual({ '1000:1000': 23 });
    },
  );

  test.skipIf(noChattr)('an immutable top: nothing below is changed', async () => {
    const top = smallTree();
    const undo = undoAtDeath(`chattr -i ${quote(top)}`);
    execFileSync('chattr', ['+i', top]);
    try {
      const { status, stderr } = await chown(['1000:1000', top]);
      expect(status).toBe(1);
      expect(stderr).toContain('nothing below was changed');
      expect(owners(top)).toEqual({ '0:0': 11 });
    } finally {
      execFileSync('chattr', ['-i', top]);
      undo.forget();
    }
  });
});

describe.skipIf(noMounts)('a mount that maps ids', () => {
  test('an id that it has not is named as the reason; one that it has is set', async () => {
    const [source, point] = [smallTree(), folder()];
    const idmapped = [join(import.meta.dirname, 'idmapped.py'), source, point, '100000', '1000'];
    const prefix = mounting(`python3 ${idmapped.map(quote).join(' ')}`);
    const without = await chown(['1000:1000', point], { prefix });
    expect(without.stderr).toContain(
      `cannot change the owner of ${point} to 1000:1000 (EOVERFLOW): nothing below was changed`,
    );
    expect(without.stderr).toMatch(/mount at \S+ is idmapped, and its mapping has no such id/);
    expect(without.status).toBe(1);
    expect(owners(source)).toEqual({ '0:0': 11 });
    for (const id of [100_005, 100_000, 100_999]) {
      const { status, stderr } = await chown([`${id}:${id}`, point], { prefix });
      expect(status, stderr).toBe(0);
      expect(owners(source)).toEqual({ [`${id - 100_000}:${id - 100_000}`]: 11 });
    }
  });
});

describe.skipIf(noMounts)('capabilities', () => {
  const only = (...capabilities: string[]) => [
    'setpriv',
    '--inh-caps=-all',
    `--bounding-set=-all${capabilities.map((name) => `,+${name}`).join('')}`,
    '--',
  ];
  const three = only('chown', 'fowner', 'dac_override');

  test('CHOWN, FOWNER and DAC_OVERRIDE alone do everything, set-group-ID included', async () => {
    const top = smallTree();
    await chown(['2000:2000', top, '--dir-mode', '0700', '--file-mode', '0600']);
    const flags = ['--mode', 'u=rwX,g=rwX,o=', '--setgid'];
    const { status, stderr } = await chown(['1000:3000', top, ...flags], { prefix: three });
    expect(status, stderr).toBe(0);
    expect(owners(top)).toEqual({ '1000:3000': 11 });
    for (const path of ['', 'a', 'a/b', 'a/b/c']) expect(modeOf(join(top, path)), path).toBe('2770');
    expect(modeOf(join(top, 'a/f'))).toBe('0660');
    const again = await chown(['1000:3000', top, ...flags], { prefix: three });
    expect(again.stderr).toContain('0 changed to 1000:3000, 11 right already');
  });

  test('set-group-ID where owner and group are right already, and where both change', async () => {
    const top = folder();
    for (const name of ['right', 'wrong']) mkdirSync(join(top, name));
    await chown(['1000:3000', join(top, 'right')]);
    await chown(['5:6', join(top, 'wrong')]);
    const { status } = await chown(['1000:3000', top, '--setgid'], { prefix: three });
    expect(status).toBe(0);
    expect(owners(top)).toEqual({ '1000:3000': 3 });
    for (const name of ['right', 'wrong', '']) expect(modeOf(join(top, name)), name).toBe('2755');
  });

  test('the kernel drops set-group-ID without CAP_FSETID in the order chown, chmod, and keeps it in the other', () => {
    const top = folder();
    mkdirSync(join(top, 'd'));
    const modeAfter = (script: string) => {
      const [first, ...rest] = [...three, 'sh', '-euc', `cd ${quote(top)}; ${script}`];
      execFileSync(first, rest);
      return modeOf(join(top, 'd'));
    };
    expect(modeAfter('chown 1000:3000 d; chmod 2755 d')).toBe('0755');
    expect(modeAfter('chown 0:0 d; chmod 2755 d; chown 1000:3000 d')).toBe('2755');
  });

  test('CHOWN alone is enough where directories can be entered', async () => {
    const top = smallTree();
    await chown(['0:0', top, '--dir-mode', '0700']);
    const { status, stderr } = await chown(['1000:1000', top], { prefix: only('chown') });
    expect(status, stderr).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 11 });
  });

  test('without DAC_OVERRIDE, a directory of somebody else is an error that names it', async () => {
    const top = smallTree();
    await chown(['2000:2000', join(top, 'a/b'), '--dir-mode', '0700']);
    const { status, stderr } = await chown(['1000:1000', top], { prefix: only('chown') });
    expect(status).toBe(1);
    expect(stderr).toContain(`cannot open "${top}/a/b": EACCES`);
    expect(stderr).toContain('CAP_DAC_OVERRIDE is missing');
  });

  test('without DAC_OVERRIDE, an error below a top that is right already: no later run trusts the top', async () => {
    const top = smallTree();
    await chown(['1000:1000', top]);
    await chown(['2000:2000', join(top, 'a/b'), '--dir-mode', '0700']);
    const { status } = await chown(['1000:1000', top], { prefix: only('chown') });
    expect(status).toBe(1);
    const trusting = ['1000:1000', top, '--policy', 'root-mismatch'];
    expect((await chown(trusting, { prefix: only('chown') })).status).toBe(1);
    expect((await chown(trusting)).status).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 11 });
  });

  test('without DAC_OVERRIDE, a path that cannot be reached, or not be opened: which folder, and why', async () => {
    const top = smallTree();
    await chown(['2000:2000', join(top, 'a'), '--dir-mode', '0700']);
    const before = owners(top);
    for (const args of [
      ['1000:1000', join(top, 'a')],
      ['1000:1000', join(top, 'a/b/c')],
      ['1000:1000', join(top, 'a/new'), '--create'],
      ['--reference', join(top, 'a/f'), top],
      ['1000:1000', top, join(top, 'a/b')],
    ]) {
      const { status, stderr } = await chown(args, { prefix: only('chown') });
      expect(stderr).toMatch(/cannot open \S+\/a(\/\w+)? \(EACCES\): nothing was changed/);
      expect(stderr).not.toContain('/proc/self');
      expect(stderr).toContain('CAP_DAC_OVERRIDE is missing');
      expect(status).toBe(1);
      expect(owners(top)).toEqual(before);
    }
  });

  test('--create where it cannot be: why, and nothing is left behind', async () => {
    const top = memoryFolder();
    const path = join(top, 'x');
    const { status, stderr } = await chown(['1000:1000', path, '--create'], { prefix: only() });
    expect(stderr).toContain(`cannot make ${path} for its owner (EPERM)`);
    expect(stderr).toContain('CAP_CHOWN is missing');
    expect(status).toBe(1);
    expect(existsSync(path)).toBe(false);
    using mounted = mountReadOnly(top);
    const readOnly = await chown(['1000:1000', join(mounted.path, 'x/y'), '--create']);
    expect(readOnly.stderr).toContain(`cannot make ${join(mounted.path, 'x')} for its owner (EROFS)`);
    expect(readOnly.stderr).toContain('is mounted read-only; take readOnly from the volumeMount');
    expect(readOnly.status).toBe(1);
  });

  test('without FOWNER, modes are an error that names it', async () => {
    const top = smallTree();
    const { status, stderr } = await chown(['1000:1000', top, '--mode', 'u=rwX,g=rwX,o='], {
      prefix: only('chown', 'dac_override'),
    });
    expect(status).toBe(1);
    expect(stderr).toContain('CAP_FOWNER is missing');
  });

  test('without any, nothing is changed and the message says what to write', async () => {
    const top = smallTree();
    const { status, stderr } = await chown(['1000:1000', top], { prefix: only() });
    expect(status).toBe(1);
    expect(stderr).toContain('(EPERM): nothing below was changed');
    expect(stderr).toContain(
      'CAP_CHOWN is missing: run it as runAsUser: 0 with capabilities: {drop: [ALL], add: [CHOWN',
    );
    expect(owners(top)).toEqual({ '0:0': 11 });
  });

  test('as another user: the same', async () => {
    const top = smallTree();
    const { status, stderr } = await chown(['1000:1000', top], { user: { uid: 1000, gid: 1000 } });
    expect(status).toBe(1);
    expect(stderr).toContain('CAP_CHOWN is missing');
  });

  test('in a user namespace that does not map the id', async () => {
    const top = smallTree();
    const { status, stderr } = await chown(['1000:1000', top], {
      prefix: ['unshare', '--user', '--map-root-user', '--'],
    });
    expect(status).toBe(1);
    expect(stderr).toContain('the id is not mapped in this user namespace');
    expect(owners(top)).toEqual({ '0:0': 11 });
  });
});

describe.skipIf(noStrace)('a quota that is used up', () => {
  // Node has no name for this error.
  test.each([
    [
      'the top',
      'chown,fchown,lchown:error=EDQUOT:when=1',
      /cannot change the owner of \S+ to 1000:1000 \(EDQUOT\)/,
    ],
    ['what is below', 'lchown:error=EDQUOT:when=1+', /cannot change "\S+": EDQUOT/],
    ['a folder that is made', 'mkdir:error=EDQUOT', /cannot make \S+ for its owner \(EDQUOT\)/],
  ])('is named, and said in words: %s', async (what, fault, message) => {
    const top = smallTree(memoryFolder());
    const path = what.startsWith('a folder') ? join(top, 'new') : top;
    const { status, stderr } = await chown(['1000:1000', path, '--create'], {
      prefix: underStrace(`inject=${fault}`),
    });
    expect(stderr).toMatch(message);
    expect(stderr).toContain("hint: the new owner's disk quota is used up");
    expect(stderr).not.toContain('Unknown system error');
    expect(status).toBe(1);
  });
});
