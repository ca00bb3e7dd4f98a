import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { modesOf, parseModeChange } from '../../../../src/fs/tree/mode.ts';

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

describe('against chmod(1)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'initbox-unit-mode-'));
  const file = join(folder, 'file');
  const directory = join(folder, 'directory');
  writeFileSync(file, '');
  mkdirSync(directory);
  afterAll(() => rmSync(folder, { recursive: true }));
  const symbols = [
    'u=rwX,g=rX,o=',
    'u=rwX,g=rX',
    'a+X',
    'a=rX',
    'go-w',
    'g=u'.replace('u', 'rwx'),
    'u+x,g-x',
    'ug+rw,o-rwx',
    'a-x',
    'u=,g=,o=r',
    'u+rw-x',
    'g+w',
    'o=x',
    'u-s',
    'g-s',
    'a=',
    'u=rwx,go=X',
  ];
  const modes = [0o000, 0o644, 0o640, 0o755, 0o700, 0o001, 0o4755, 0o2755, 0o6711, 0o2664, 0o1777, 0o777];

  test.each(symbols)('%s', (text) => {
    const change = parseModeChange(text, 'both');
    for (const [path, isDirectory] of [
      [file, false],
      [directory, true],
    ] as const) {
      for (const before of modes) {
        chmodSync(path, before);
        execFileSync('chmod', [text, path]);
        const after = statSync(path).mode & 0o7777;
        expect(
          octal(change(before, isDirectory)),
          `${text} on ${octal(before)} directory=${isDirectory}`,
        ).toBe(octal(after));
      }
    }
  });

  test.each(['755', '0750', '711', '2770', '1777', '700'])('%s on directories', (text) => {
    for (const before of modes) {
      chmodSync(directory, before);
      execFileSync('chmod', [text, directory]);
      const after = statSync(directory).mode & 0o7777;
      expect(octal(parseModeChange(text, 'directory')(before, true))).toBe(octal(after));
    }
  });

  test.each(['644', '0600', '755'])('%s on files', (text) => {
    for (const before of modes) {
      chmodSync(file, before);
      execFileSync('chmod', [text, file]);
      expect(octal(parseModeChange(text, 'file')(before, false))).toBe(octal(statSync(file).mode & 0o7777));
    }
  });
});

test.each([
  ['', 'both', 'is not a mode'],
  ['8', 'both', 'is not a mode'],
  ['64', 'file', 'is not a mode'],
  ['00644', 'file', 'is not a mode'],
  ['0644', 'both', 'would make directories unsearchable; write --file-mode 0644 and --dir-mode apart'],
  ['4755', 'both', 'set-user-ID'],
  ['4755', 'directory', 'set-user-ID'],
  ['2755', 'both', '--setgid sets it on directories'],
  ['1644', 'file', 'special bit on files'],
  ['u+s', 'both', 'set-user-ID'],
  ['a+s', 'directory', 'set-user-ID'],
  ['g+s', 'both', '--setgid'],
  ['o=t', 'file', 'special bit'],
  ['+x', 'both', 'say for whom: a+x'],
  ['=', 'both', 'is not a mode'],
  ['u=rwX,', 'both', 'is not a mode'],
  ['g=u', 'both', 'is not a mode'],
  ['rwxr-xr-x', 'both', 'is not a mode'],
  ['z=r', 'both', 'is not a mode'],
] as const)('%j for %s is refused', (text, kind, message) =>
  expect(() => parseModeChange(text, kind)).toThrow(message),
);

test.each([
  ['g+s', 'both'],
  ['o+t', 'both'],
  ['2755', 'file'],
] as const)('%j is refused without naming options that the command does not have', (text, kind) => {
  const read = () => parseModeChange(text, kind, false);
  expect(read).toThrow('sets a special bit on files; write a mode of r, w, x and X alone');
  expect(read).not.toThrow(/--/);
});

test('one kind alone wins over both; --setgid adds to either', () => {
  const modes = modesOf({ mode: 'u=rwX,g=rX,o=', file: '0600', setgid: true });
  expect(octal(modes.file?.(0o777, false) ?? -1)).toBe('0600');
  expect(octal(modes.directory?.(0o777, true) ?? -1)).toBe('2750');
  const only = modesOf({ setgid: true });
  expect(only.file).toBeUndefined();
  expect(octal(only.directory?.(0o755, true) ?? -1)).toBe('2755');
  expect(modesOf({ setgid: false })).toEqual({ file: undefined, directory: undefined });
});

test('on directories, g+s and octal special bits are for --dir-mode', () => {
  expect(octal(parseModeChange('g+s', 'directory')(0o755, true))).toBe('2755');
  expect(octal(parseModeChange('3770', 'directory')(0o755, true))).toBe('3770');
  expect(octal(parseModeChange('o+t', 'directory')(0o755, true))).toBe('1755');
});
