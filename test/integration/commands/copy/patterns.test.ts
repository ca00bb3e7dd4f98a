// Sources that are patterns, and sources that need not be there.
import { existsSync, lchownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { copy, folder } from './support.ts';

let from: string;
let to: string;
beforeEach(() => {
  [from, to] = [folder(), folder()];
  for (const name of ['a.jar', 'b.jar', 'c.txt', '.hidden.jar', '*.jar', 'd[1].jar'])
    writeFileSync(join(from, name), name);
  for (const name of ['one', 'two']) {
    mkdirSync(join(from, name, 'conf'), { recursive: true });
    writeFileSync(join(from, name, `conf/${name}.conf`), name);
  }
});

describe('what a pattern stands for', () => {
  test.each([
    ['*.jar', ['*.jar', 'a.jar', 'b.jar', 'd[1].jar']],
    ['[*].jar', ['*.jar']],
    ['?.jar', ['*.jar', 'a.jar', 'b.jar']],
    ['[ab].jar', ['a.jar', 'b.jar']],
    ['.*.jar', ['.hidden.jar']],
    ['[!ab].jar', ['*.jar']],
    ['d?1?.jar', ['d[1].jar']],
    ['{a,b}.*x*', undefined],
    ['*/conf', ['one.conf', 'two.conf']],
    ['*/conf/*.conf', ['one.conf', 'two.conf']],
    ['*/', ['conf']],
    ['\\*.jar', ['*.jar']],
    ['d\\[1].j*', ['d[1].jar']],
    ['[.]hidden.jar', undefined],
    ['[!a]idden.jar', undefined],
    ['\\.\\./*.jar', undefined],
    ['one/\\.\\./*.jar', undefined],
  ])('%s', async (pattern, expected) => {
    const { status, stderr } = await copy([join(from, pattern) + (pattern.endsWith('/') ? '/' : ''), to]);
    if (expected === undefined) expect(stderr).toContain('matches nothing');
    expect(status, stderr).toBe(expected === undefined ? 2 : 0);
    expect(readdirSync(to).toSorted()).toEqual(expected ?? []);
  });

  test('a name that is not UTF-8 is in the way of a pattern that it matches, and of no other', async () => {
    writeFileSync(Buffer.from(join(from, '\xff.txt'), 'latin1'), '');
    expect(await copy([join(from, '[ab].jar'), to])).toMatchObject({ status: 0 });
    expect(readdirSync(to).toSorted()).toEqual(['a.jar', 'b.jar']);
    expect(await copy([join(from, '*.war'), to, '--if-exists'])).toMatchObject({ status: 0 });
    const { status, stderr } = await copy([join(from, '*.txt'), to]);
    expect(stderr).toContain('which is not UTF-8; rename the file');
    expect(status).toBe(2);
  });

  test('nor is one that is no folder, or is excluded, where folders are looked for', async () => {
    writeFileSync(Buffer.from(join(from, '\xff'), 'latin1'), '');
    expect(await copy([join(from, '*/conf'), to])).toMatchObject({ status: 0 });
    mkdirSync(Buffer.from(join(from, '\xfe'), 'latin1'));
    expect((await copy([join(from, '*/conf'), to])).stderr).toContain('which is not UTF-8');
    expect(await copy([join(from, '*/conf'), to, '--exclude', '?'])).toMatchObject({ status: 0 });
    expect(readdirSync(to).toSorted()).toEqual(['one.conf', 'two.conf']);
  });

  test('names that begin with a dot are not published by a bracket', async () => {
    mkdirSync(join(from, '.git'));
    writeFileSync(join(from, '.git/config'), '');
    for (const name of ['.env', '_x']) writeFileSync(join(from, name), '');
    expect(await copy([join(from, '[!_o-t]*'), to])).toMatchObject({ status: 0 });
    expect(readdirSync(to).toSorted()).toEqual(['*.jar', 'a.jar', 'b.jar', 'c.txt', 'd[1].jar']);
  });

  test('--delete keeps what --exclude names, and no more', async () => {
    const names = ['w1', 'wd', '\nlead.log', 'tail.log', 'a', '{a,b}', 'é😀'];
    for (const name of names) writeFileSync(join(to, name), '');
    mkdirSync(join(to, 'data'));
    writeFileSync(join(to, 'data/two\nlines'), '');
    const exclude = ['w\\d', '*.log', 'data/**', '{a,b}', 'é?'].flatMap((one) => ['--exclude', one]);
    expect(await copy([join(from, 'one'), to, '--delete', ...exclude])).toMatchObject({ status: 0 });
    const left = ['\nlead.log', 'a', 'conf', 'data', 'tail.log', 'wd', 'é😀'];
    expect(readdirSync(to).toSorted()).toEqual(left);
    expect(readdirSync(join(to, 'data'))).toEqual(['two\nlines']);
  });

  test('--delete keeps what --exclude names by its other characters', async () => {
    for (const name of ['app', 'users.db']) writeFileSync(join(to, name), '');
    writeFileSync(join(from, 'one/all'), '');
    expect(await copy([join(from, 'one'), to, '--delete', '--exclude', '[!a]*'])).toMatchObject({
      status: 0,
    });
    expect(readdirSync(to).toSorted()).toEqual(['all', 'users.db']);
  });

  test('what --exclude names is left out', async () => {
    expect(await copy([join(from, '*.jar'), to, '--exclude', 'b.jar', '--exclude', '[*]*'])).toMatchObject({
      status: 0,
    });
    expect(readdirSync(to).toSorted()).toEqual(['a.jar', 'd[1].jar']);
  });

  test('one match goes into DEST, as several do', async () => {
    const { status, stderr } = await copy([join(from, 'c*'), join(to, 'a-file')]);
    // Not a volume: a folder that is missing is not made, and nothing becomes a file of that name.
    expect(status === 2 || existsSync(join(to, 'a-file/c.txt')), stderr).toBe(true);
    writeFileSync(join(to, 'file'), '');
    expect((await copy([join(from, 'c*'), join(to, 'file')])).stderr).toContain('need a directory');
  });

  test('in a plan', async () => {
    const plan = join(temporaryDirectory('plan').path, 'plan.yaml');
    writeFileSync(
      plan,
      `steps: [{ name: jars, uses: copy, sources: ['${from}/[ab].jar', '${from}/none*'], destination: ${to}, if-exists: true }]\n`,
    );
    const { status, stderr } = await runInitbox(['run', plan]);
    expect(status, stderr).toBe(0);
    expect(readdirSync(to).toSorted()).toEqual(['a.jar', 'b.jar']);
  });

  test('nothing, a double star, a bracket that is not closed: says so', async () => {
    for (const [pattern, says] of [
      ['*.war', 'matches nothing'],
      ['none/*.jar', 'matches nothing'],
      ['**/x', '** is not supported'],
      ['*/a**', '** is not supported'],
      ['[ab', 'is not a pattern: "[" has no "]"'],
      ['*\\', 'stands before no character'],
      ['[[:foo:]]', 'there is no class [:foo:]'],
      ['[[.a.]]', 'is not supported'],
      ['[z-a]', 'ends before it begins'],
    ] as const) {
      const { status, stderr } = await copy([join(from, pattern), to]);
      expect(stderr).toContain(says);
      expect(status).toBe(2);
    }
    const { status, stderr } = await copy([join(from, 'one'), to, '--exclude', 'a[b']);
    expect(stderr).toContain('--exclude: "a[b" is not a pattern: "[" has no "]"');
    expect(status).toBe(2);
    expect(await copy([join(from, '*.war'), to, '--if-exists'])).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toEqual([]);
  });

  test('keys of a ConfigMap, and nothing that leads out', async () => {
    const volume = folder();
    mkdirSync(join(volume, '..v1'));
    writeFileSync(join(volume, '..v1/app.conf'), 'app');
    symlinkSync('..v1', join(volume, '..data'));
    symlinkSync('..data/app.conf', join(volume, 'app.conf'));
    expect(await copy([join(volume, '*.conf'), to])).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toEqual(['app.conf']);
    symlinkSync('/etc/hostname', join(volume, 'out.conf'));
    const out = await copy([join(volume, '*.conf'), to]);
    expect(out.stderr).toContain(`${volume}/out.conf leads out of ${volume}`);
    expect(out.status).toBe(2);
    if (process.getuid?.() !== 0) return;
    lchownSync(join(volume, 'out.conf'), 1000, 1000);
    const planted = await copy([join(volume, '*.conf'), to]);
    expect(planted.stderr).toContain('which others may have made');
    expect(planted.status).toBe(2);
  });
});

describe('--if-exists', () => {
  test('leaves out what is missing; where all is missing, DEST stays as it is', async () => {
    const first = await copy([join(from, 'one'), join(from, 'none'), to, '--if-exists']);
    expect(first.stderr).toContain(`${from}/none does not exist, so it is left out (--if-exists)`);
    expect(first.status).toBe(0);
    const second = await copy([join(from, 'none'), to, '--if-exists', '--delete']);
    expect(second.stderr).toContain('none of the sources exists, so nothing was copied');
    expect(second.status).toBe(0);
    expect(readdirSync(to)).toEqual(['conf']);
    expect((await copy([join(from, 'none'), to])).status).toBe(2);
  });
});
