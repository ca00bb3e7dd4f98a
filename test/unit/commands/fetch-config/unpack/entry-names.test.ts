import { describe, expect, test } from 'vitest';

import {
  checkLink,
  FoldedNames,
  entryPathOf,
} from '../../../../../src/commands/fetch-config/unpack/entry-names.ts';

describe('placeOf', () => {
  test.each([
    ['a/b', 0, ['a', 'b']],
    ['./a//b/', 0, ['a', 'b']],
    ['a/./b', 0, ['a', 'b']],
    ['a/b', 1, ['b']],
    ['a/b', 2, []],
    ['a/b', 9, []],
    ['./', 0, []],
    ['a\\b', 0, ['a\\b']],
    ['a..b/..c', 0, ['a..b', '..c']],
    ['...', 1, []],
  ])('%j without %i', (name, strip, place) => expect(entryPathOf(name, strip)).toEqual(place));

  test.each([
    ['', /has no name/],
    ['/a', /absolute/],
    ['..', /leaves the target/],
    ['a/..', /leaves the target/],
    ['a/../b', /leaves the target/],
    ['a\0b', /NUL/],
    ['n'.repeat(256), /255 bytes/],
    ['d/'.repeat(513), /more than 512 folders/],
    ['..data', /volume's own/],
    ['...', /volume's own/],
  ])('refuses %j', (name, why) => expect(() => entryPathOf(name, 0)).toThrow(why));

  test('what is stripped does not hide steps up', () =>
    expect(() => entryPathOf('../../a/b', 3)).toThrow(/leaves the target/));
});

describe('checkLink', () => {
  test.each([
    ['b', 0],
    ['./b/c', 0],
    ['../b', 1],
    ['../../b/c', 2],
    ['..', 1],
    ['.', 0],
    ['...', 0],
    ['x'.repeat(4095), 0],
  ])('takes %j from %i levels down', (target, depth) =>
    expect(() => checkLink('l', target, depth)).not.toThrow(),
  );

  test.each([
    ['', 0, /leads nowhere/],
    ['/etc', 5, /absolute/],
    ['..', 0, /leads out/],
    ['../../b', 1, /leads out/],
    ['a/..', 3, /goes down and then up/],
    ['../a/../b', 3, /goes down and then up/],
    ['a\0', 0, /NUL/],
    ['x'.repeat(4096), 0, /^has the link "l", whose target is longer than 4095 bytes$/],
  ])('refuses %j from %i levels down', (target, depth, why) =>
    expect(() => checkLink('l', target, depth)).toThrow(why),
  );

  /** Every tree of links that are taken, resolved as the kernel does, stays inside: by chance, against a model. */
  test('no chain of links that are taken leads out', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const names = ['a', 'b', 'c'];
    let [taken, out] = [0, 0];
    for (let round = 0; round < 20_000; round++) {
      const links = new Map<string, string>();
      for (let i = 0; i < 4; i++) {
        const depth = random(3);
        const folder = Array.from({ length: depth }, () => names[random(3)] ?? '');
        const path = [...folder, `l${i}`].join('/');
        const parts = Array.from(
          { length: 1 + random(5) },
          () => ['..', 'l0', 'l1', 'l2', ...names][random(7)],
        );
        const target = parts.join('/');
        try {
          checkLink(path, target, depth);
        } catch {
          continue;
        }
        links.set(path, target);
        taken++;
      }
      for (const start of links.keys()) if (!staysInside(start, links)) out++;
    }
    expect(taken).toBeGreaterThan(10_000);
    expect(out).toBe(0);
  });
});

/** Walks a path as the kernel does. */
function staysInside(path: string, links: ReadonlyMap<string, string>): boolean {
  const left = path.split('/');
  const at: string[] = [];
  for (let steps = 0; left.length > 0 && steps < 100; steps++) {
    const part = left.shift() as string;
    if (part === '..') {
      if (at.pop() === undefined) return false;
      continue;
    }
    const target = links.get([...at, part].join('/'));
    if (target === undefined) at.push(part);
    else left.unshift(...target.split('/'));
  }
  return true;
}

describe('FoldedNames', () => {
  const bytes = (text: string): string => Buffer.from(text).toString('latin1');

  test.each([
    ['Readme', 'README', true],
    ['straße', 'STRASSE', false],
    ['café', 'cafe\u0301', true],
    ['a', 'b', false],
    ['a', 'a', false],
    ['Ä', 'ä', true],
    ['d/A', 'd/a', true],
  ])('%s and %s', (one, other, collide) => {
    const names = new FoldedNames();
    expect(names.collides(bytes(one))).toBe(false);
    expect(names.collides(bytes(other))).toBe(collide);
  });

  test('300,000 names that differ', () => {
    const names = new FoldedNames();
    let found = 0;
    for (let i = 0; i < 300_000; i++) if (names.collides(`dir${i % 97}/file-${i}.txt`)) found++;
    expect(found).toBe(0);
  });
});
