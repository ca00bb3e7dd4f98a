import { describe, expect, test } from 'vitest';

import { parseActions, refuseUndone, shownAction } from '../../../../src/commands/files/action.ts';

const shown = (text: string): readonly string[] => parseActions(text).map(shownAction);
const undone = (...texts: string[]) => refuseUndone(texts.flatMap((text) => parseActions(text)));

describe('an action', () => {
  test.each([
    ['mkdir:/data/a', ['mkdir:/data/a']],
    ['mkdir:/data/{a,b}/c', ['mkdir:/data/a/c', 'mkdir:/data/b/c']],
    ['mkdir:/data//a/../b/', ['mkdir:/data/b']],
    [String.raw`mkdir:/data/\{a,b\}`, ['mkdir:/data/{a,b}']],
    ['touch:/data/a:b=c', ['touch:/data/a:b=c']],
    ['mode:0700:/data', ['mode:0700:/data']],
    ['mode:u=rwX,g=rX,o=:/data/{a,b}', ['mode:u=rwX,g=rX,o=:/data/a', 'mode:u=rwX,g=rX,o=:/data/b']],
    ['mode:2770:/data', ['mode:2770:/data']],
    ['move:/data/a=/data/b', ['move:/data/a=/data/b']],
    ['link:releases/v1=/data/current', ['link:releases/v1=/data/current']],
    ['link:.=/data/a', ['link:.=/data/a']],
    ['link:ab=/data/a', ['link:ab=/data/a']],
    ['move:/data/ab=/data/a', ['move:/data/ab=/data/a']],
    ['remove:/data/{lost+found,*.tmp}', ['remove:/data/lost+found', 'remove:/data/*.tmp']],
  ])('%s', (text, actions) => {
    expect(shown(text)).toEqual(actions);
  });

  test('what remove: and mode: are about', () => {
    const entries = (text: string) => {
      const [action] = parseActions(text);
      return action !== undefined && 'entries' in action ? action.entries : undefined;
    };
    expect(entries('remove:/data/a/')).toEqual({ folder: '/data', names: 'a' });
    expect(entries('remove:/data')).toEqual({ folder: '/', names: 'data' });
    expect(entries('remove:/*')).toMatchObject({ folder: '/' });
    expect(entries('mode:0600:/data/*.key')).toMatchObject({ folder: '/data' });
    expect(entries(String.raw`remove:/data/\*`)).toMatchObject({ folder: '/data' });
  });

  test.each([
    ['/data/a', 'is not something to do with files; write mkdir:PATH'],
    ['rm:/data', 'is not something to do with files'],
    ['mkdir:', 'the path is empty'],
    ['mkdir:/data/{a,}', undefined],
    ['mkdir:{,/data}', 'stands for an empty path'],
    ['mkdir:/data/*', 'is a pattern, which only remove: and mode: take'],
    ['touch:/data/a/', 'ends in a slash'],
    ['touch:$(DIR)/a', 'was not replaced'],
    ['mode:/data', 'names no mode'],
    ['mode:0700', 'names no mode'],
    ['mode:888:/data', 'is not a mode'],
    ['mode:4755:/data', 'sets the set-user-ID bit, which is never given'],
    ['mode:u+s:/data', 'sets the set-user-ID bit, which is never given'],
    ['mode:a+s:/data', 'sets the set-user-ID bit, which is never given'],
    ['move:/data/a', 'has no FROM=TO'],
    ['move:=/data/a', 'has no FROM=TO'],
    ['move:/data/a=/data/b/../a/', 'moves /data/a to itself'],
    ['move:/data/a=/data/a/b', 'moves /data/a into itself'],
    ['move:/data/a/b/c=/data/a', 'to where a folder is that holds it'],
    ['link:a=', 'has no TARGET=PATH'],
    ['link:/data/a=/data/a', 'makes a link that leads to itself'],
    ['link:a=/data/a', 'makes a link that leads to itself'],
    ['link:../data/./a/b=/data/a', 'makes a link that leads to itself'],
    ['remove:/data/*/x', 'only the last part of a path may be a pattern'],
    ['remove:/data/*/', 'ends in a slash'],
    ['remove:/data/**', '** is not supported'],
    ['remove:/data/[a', 'has no "]"'],
  ])('%s: %s', (text, message) => {
    if (message === undefined) expect(shown(text)).toEqual(['mkdir:/data/a', 'mkdir:/data']);
    else expect(() => parseActions(text)).toThrow(message);
  });
});

describe('a list that undoes itself', () => {
  test.each([
    [['touch:/data/a', 'remove:/data/a']],
    [['mkdir:/data/a/b', 'remove:/data/a']],
    [['link:x=/data/a', 'remove:/data/*']],
    [['move:/data/a=/data/b', 'remove:/data/b']],
    [['move:/data/a=/data/b', 'touch:/data/a']],
    [['mkdir:/data/a/c', 'move:/data/a=/data/b']],
    [['move:/data/a=/data/b', 'move:/data/b=/data/a']],
  ])('is refused: %s', (texts) => {
    expect(() => undone(...texts)).toThrow('takes away what');
  });

  test.each([
    [['remove:/data/*', 'mkdir:/data/a']],
    [['remove:/data/a', 'move:/data/b=/data/a']],
    [['touch:/data/.a', 'remove:/data/*']],
    [['mkdir:/data/ab', 'remove:/data/a']],
    [['move:/data/log.1=/data/log.2', 'move:/data/log=/data/log.1']],
  ])('is taken: %s', (texts) => {
    expect(() => undone(...texts)).not.toThrow();
  });
});
