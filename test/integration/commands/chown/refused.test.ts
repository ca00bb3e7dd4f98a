import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { programCommand } from '../../../support/program.ts';
import { nodePath } from '../../../support/tools.ts';
import { chown, folder, notRoot, ownerOf, owners, smallTree } from './support.ts';

describe.skipIf(notRoot)('bad input: one clear error, exit 2, nothing changed', () => {
  const top = smallTree();
  symlinkSync(join(top, 'a'), join(top, 'to-a'));
  symlinkSync(top, join(folder(), 'unused'));

  test.each([
    [[], 'no owner and no path were given'],
    [['1000:1000'], 'no path was given; for example: initbox chown 1000:1000 /data'],
    [[top], 'no owner was given before'],
    [
      ['1000:1000', join(top, 'missing')],
      'does not exist; is its volume mounted in this container? --create',
    ],
    [['1000:1000', join(top, 'missing/deep')], 'does not exist'],
    [['1000:1000', join(top, 'f/x')], 'is not a directory'],
    [['1000:1000', join(top, 'f/x'), '--create'], 'is not a directory'],
    [['abc', top], 'the user "abc" is not in this image\'s /etc/passwd'],
    [['1000:abc', top], 'the group "abc" is not in this image\'s /etc/group'],
    [['--', '-1', top], 'no owner and no path'],
    [['-1', top], '-1 is not a flag, and no number below 0 is accepted; write OWNER[:GROUP] PATH…'],
    [['-1:-1', top], '-1:-1 is not a flag'],
    [['1000:-1', top], '-1 is not an id'],
    [['4294967295', top], 'larger than the largest id, 4294967294'],
    [['1000:', top], 'names no group after the colon'],
    [['', top], 'the owner is empty'],
    [['1000:1000', ''], 'the path is empty'],
    [['1000:1000', `${join(top, 'to-a')}/`], 'is a symbolic link (to '],
    [['1000:1000', join(top, 'to-a')], 'links are not followed'],
    [['1000:1000', join(top, 'to-a/b')], 'is a symbolic link (to '],
    [['1000:1000', join(top, 'dangling')], 'is a symbolic link (to nowhere)'],
    [['1000:1000', `${join(top, 'f')}/`], 'ends in a slash and is not a directory'],
    [['1000:1000', '/'], 'is the root directory'],
    [['1000:1000', '//'], 'is the root directory'],
    [['1000:1000', '/data/../..'], 'is the root directory'],
    [['1000:1000', '/proc'], "is the kernel's"],
    [['1000:1000', '/proc/self/cwd/a'], "is the kernel's"],
    [['1000:1000', '/sys/kernel'], "is the kernel's"],
    [['1000:1000', '/dev'], "is the kernel's"],
    [['1000:1000', '/initbox'], "this program's own folder"],
    [['1000:1000', join(import.meta.dirname, '../../../../dist')], "this program's own folder"],
    [['1000:1000', join(import.meta.dirname, '../../../..')], "this program's own folder"],
    [['1000:1000', top, '--mode', '0640'], 'would make directories unsearchable'],
    [['1000:1000', top, '--mode', 'rw'], 'is not a mode'],
    [['1000:1000', top, '--file-mode', '4755'], 'set-user-ID'],
    [['1000:1000', top, '--from', '1000:'], 'names no group'],
    [['1000:1000', top, '--from', 'abc'], 'the user "abc"'],
    [['1000:1000', top, '--policy', 'sometimes'], 'is not one of always, root-mismatch'],
    [['1000:1000', top, '--exclude', '/'], 'matches nothing below the top'],
    [['1000:1000', top, '--no-recursive', '--exclude', 'x'], '--exclude is about what lies below'],
    [[top, '--reference', join(top, 'none')], 'does not exist'],
    [[top, '--reference', join(top, 'to-a')], '--reference: '],
    [['1000:1000', top, '--reference', '/etc'], 'both the owner 1000:1000 and --reference were given'],
    [['1000', top, '--reference', '/etc', '--create'], 'both the owner 1000 and --reference were given'],
    [['1000:1000', join(top, 'x'.repeat(300))], 'a name in it is too long'],
    [['1000:1000', join(top, 'x'.repeat(300), 'y'), '--create'], 'a name in it is too long'],
    // The first path is right: it stays as it is all the same.
    [['1000:1000', top, '/'], 'is the root directory'],
    [['1000:1000', top, join(top, 'missing')], 'does not exist'],
  ])('chown %j', async (args, message) => {
    const { status, stderr, stdout } = await chown(args);
    expect(stderr).toContain(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(owners(top)).toEqual({ '0:0': 12 });
  });

  test('a procfs under another name', async () => {
    const place = folder();
    const { status, stderr } = await chown(['1000:1000', place], {
      prefix: [
        'unshare',
        '--mount',
        '--propagation',
        'private',
        '--',
        'sh',
        '-c',
        `mount -t proc none ${place}; exec "$@"`,
        'sh',
      ],
    });
    expect(stderr).toContain('is on a proc file system, which holds no data');
    expect(status).toBe(2);
  });

  test.each([
    ['the root directory', '/', 'is the root directory under another name'],
    [
      "the program's own folder",
      dirname(programCommand().at(-1) as string),
      "is this program's own folder under another name",
    ],
  ])('%s under another name', async (_, what, message) => {
    const place = folder();
    const { status, stderr } = await chown(['1000:1000', place], {
      prefix: [
        'unshare',
        '--mount',
        '--propagation',
        'private',
        '--',
        'sh',
        '-c',
        `mount --bind ${what} ${place}; exec "$@"`,
        'sh',
      ],
    });
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  test('its own folder, also where it is started through a link in another', async () => {
    const elsewhere = folder();
    const link = join(elsewhere, 'initbox');
    const file = programCommand().at(-1) as string;
    symlinkSync(file, link);
    const through = (path: string) => chown(['1000:1000', path], { program: [nodePath(), link] });
    const own = await through(dirname(file));
    expect(own.stderr).toContain("this program's own folder");
    expect(own.status).toBe(2);
    mkdirSync(join(elsewhere, 'data'));
    expect((await through(join(elsewhere, 'data'))).status).toBe(0);
  });

  test('a link above the path, put there by whoever owns the volume', async () => {
    const volume = folder();
    const outside = folder();
    mkdirSync(join(outside, 'data'));
    writeFileSync(join(outside, 'data/secret'), '');
    chownSync(volume, 1000, 1000);
    symlinkSync(outside, join(volume, 'sub'));
    const { status } = await chown(['1000:1000', join(volume, 'sub/data')]);
    expect(status).toBe(2);
    expect(ownerOf(join(outside, 'data/secret'))).toBe('0:0');
  });
});
