import { describe, expect, test } from 'vitest';

import { readGitmodules, submoduleAddress } from '../../../../src/clients/git/gitmodules.ts';

describe('.gitmodules', () => {
  test.each([
    ['[submodule "a"]\n\tpath = a\n\turl = u\n', 'a', { url: 'u', isLeftOut: false }],
    ['[submodule "a"] path=a\nurl=u', 'a', { url: 'u', isLeftOut: false }],
    ['[Submodule "a"]\r\n PATH = "a b" # c\r\n url = u ; c\r\n', 'a b', { url: 'u', isLeftOut: false }],
    ['[submodule "a"]\npath = a/\nurl = "x\\"y"\\\\z', 'a', { url: 'x"y\\z', isLeftOut: false }],
    ['[submodule "a"]\npath = a\nurl = u\\\nv', 'a', { url: 'uv', isLeftOut: false }],
    ['[submodule "a"]\npath = a\nurl = u\nurl = v', 'a', { url: 'v', isLeftOut: false }],
    [
      '[submodule "a"]\npath = a\n[core]\nurl = w\n[submodule "a"]\nurl = u',
      'a',
      { url: 'u', isLeftOut: false },
    ],
    ['[submodule "a"]\npath = a\nurl = u\nupdate = none\nshallow', 'a', { url: 'u', isLeftOut: true }],
    ['[submodule "a"]\npath = a', 'a', { url: undefined, isLeftOut: false }],
    ['[submodule]\npath = a\nurl = u', 'a', undefined],
    ['', 'a', undefined],
  ])('%j', (text, path, found) => expect(readGitmodules(text).get(path)).toEqual(found));

  test.each([
    '<html>',
    '[submodule "a"',
    '[submodule "a"]\n= x',
    '[submodule "a"]\n1 = x',
    '\n'.repeat(10_001),
  ])('%j cannot be read', (text) => expect(() => readGitmodules(text)).toThrow('has a .gitmodules'));
});

describe('addresses', () => {
  const parent = { scheme: 'git+https', path: '//git.example:8443/acme/top.git/' };

  test.each([
    ['../lib.git', 'git+https://git.example:8443/acme/lib.git'],
    ['./lib', 'git+https://git.example:8443/acme/top.git/lib'],
    ['../../lib/', 'git+https://git.example:8443/lib'],
    ['../a/../b', 'git+https://git.example:8443/acme/b'],
    ['https://h/x', 'git+https://h/x'],
    ['HTTP://h/x', 'git+http://h/x'],
    ['ssh://git@h:2222/x', 'git+ssh://git@h:2222/x'],
    ['git@h:acme/x.git', 'git+ssh://git@h/acme/x.git'],
    ['git.example:acme/x.git', 'git+ssh://git.example/acme/x.git'],
  ])('%s', (url, address) => expect(submoduleAddress(url, parent)).toBe(address));

  test('the user of its repository goes with a relative one', () =>
    expect(submoduleAddress('../x', { scheme: 'git+ssh', userinfo: 'git', path: '//h/a/b' })).toBe(
      'git+ssh://git@h/a/x',
    ));

  test.each(['', '-x', '-x@h:y', 'file:///x', 'ext::sh', 'git://h/x', 'c:\\x', '/x', 'x', '../../../x'])(
    '%j is refused',
    (url) => expect(() => submoduleAddress(url, parent)).toThrow('which'),
  );
});
