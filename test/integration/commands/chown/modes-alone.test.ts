// Modes without an owner, and what a user may change without any capability.
import { chmodSync, chownSync, lchownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { chown, folder, memoryFolder, modeOf, notRoot, ownerOf, smallTree } from './support.ts';

const user = { uid: 1000, gid: 1000, groups: [2000] };

/** A tree of this user's. */
function ownTree(): string {
  const top = smallTree(memoryFolder());
  chmodSync(top, 0o755);
  for (const path of ['.', 'f', 'a', 'a/f', 'a/b', 'a/b/f', 'a/b/c', 'a/b/c/f'])
    chownSync(join(top, path), 1000, 1000);
  for (const path of ['a/link-to-file', 'a/link-to-folder', 'dangling'])
    lchownSync(join(top, path), 1000, 1000);
  return top;
}

describe.skipIf(notRoot)('modes alone', () => {
  test.each([
    ['--mode', ['--mode', 'u=rwX,g=rwX,o='], '0770', '0660'],
    ['--file-mode', ['--file-mode', '0600'], '0755', '0600'],
    ['--dir-mode', ['--dir-mode', '0711'], '0711', '0644'],
    ['--setgid', ['--setgid'], '2755', '0644'],
  ])('%s, as an ordinary user without capabilities', async (_what, flags, directory, file) => {
    const top = ownTree();
    const first = await chown([...flags, top], { user });
    expect(first.status, first.stderr).toBe(0);
    expect(first.stderr).toContain('changed to the modes given');
    expect([modeOf(join(top, 'a/b')), modeOf(join(top, 'a/b/f')), modeOf(top)]).toEqual([
      directory,
      file,
      directory,
    ]);
    expect(ownerOf(join(top, 'a/b/f'))).toBe('1000:1000');
    const second = await chown([...flags, top], { user });
    expect(second.stderr).toContain('0 changed to the modes given, 11 right already');
  });

  test('as root: the owners stay, and the top is not marked', async () => {
    const top = ownTree();
    expect(await chown(['--mode', 'go=', top])).toMatchObject({ status: 0 });
    expect([ownerOf(top), modeOf(top), modeOf(join(top, 'f'))]).toEqual(['1000:1000', '0700', '0600']);
  });

  test('in a plan', async () => {
    const top = ownTree();
    const plan = join(temporaryDirectory('plan').path, 'plan.yaml');
    writeFileSync(plan, `steps: [{ name: modes, uses: chown, paths: [${top}], mode: 'go=' }]\n`);
    const { status, stderr } = await runInitbox(['run', plan]);
    expect(status, stderr).toBe(0);
    expect(modeOf(join(top, 'a/f'))).toBe('0600');
  });

  test.each([
    [['/data'], 'no owner was given before "/data", and no mode'],
    [['--mode', '0755', 'data'], 'no path was given'],
    [['--mode', 'go=', '/data', '--policy', 'root-mismatch'], 'goes by the owner of the top directory'],
    [['1000', '/data', '--create', '--if-exists'], '--create and --if-exists cannot be combined'],
  ])('%j is refused', async (words, says) => {
    const { status, stderr } = await chown(words);
    expect(stderr).toContain(says);
    expect(status).toBe(2);
  });
});

describe.skipIf(notRoot)('without CAP_CHOWN', () => {
  test('a user gives what is his to a group of his', async () => {
    const top = ownTree();
    const first = await chown([':2000', top, '--mode', 'g+w'], { user });
    expect(first.status, first.stderr).toBe(0);
    expect([ownerOf(top), ownerOf(join(top, 'a/b/f'))]).toEqual(['1000:2000', '1000:2000']);
    const second = await chown(['1000:2000', top], { user });
    expect(second.stderr).toContain('0 changed');
  });

  test('another group, another owner: refused, and nothing is changed', async () => {
    const top = ownTree();
    for (const owner of [':3000', '2000', '1000:3000']) {
      const { status, stderr } = await chown([owner, top], { user });
      expect(stderr).toContain('CAP_CHOWN is missing');
      expect(status).toBe(1);
      expect([ownerOf(top), ownerOf(join(top, 'f'))]).toEqual(['1000:1000', '1000:1000']);
    }
  });
});

describe.skipIf(notRoot)('--if-exists', () => {
  test('leaves out what is missing, and changes the rest', async () => {
    const top = folder();
    mkdirSync(join(top, 'there'));
    const { status, stderr } = await chown([
      '1000:1000',
      join(top, 'none/deep'),
      join(top, 'there'),
      '--if-exists',
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`${top}/none/deep does not exist, so it is left out`);
    expect(ownerOf(join(top, 'there'))).toBe('1000:1000');
    const none = await chown(['1000:1000', join(top, 'none'), '--if-exists']);
    expect(none.stderr).toContain('nothing to change (--if-exists)');
    expect(none.status).toBe(0);
  });
});
