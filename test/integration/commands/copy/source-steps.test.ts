// A source that is replaced at one call of a copy after the other: what every copy promises of it.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  changingCalls,
  lookingCalls,
  type Point,
  pointsOf,
  stoppingAt,
} from '../../../support/strace-points.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { copy, leftovers, memoryFolder } from './support.ts';

const skip = requireOrSkip(
  'sources that change at each call',
  process.getuid?.() === 0 ? whyMissing('strace', 'strace') : 'strace needs root here',
);

/** How many of its calls each copy is stopped at: spread over all of them. */
const stops = 4;

const old = ['a/f', 'common', 'k1', 's/t/u'];
/** Two folders that take some time each, so that one is read while the other is still to come. */
const pair = ['a', 'b'].flatMap((folder) => [
  `${folder}/of-${folder}/x`,
  `${folder}/one-of-${folder}`,
  ...Array.from({ length: 12 }, (_, index) => `${folder}/${index}`),
]);
const next = ['b/g', 'common', 's/t/u'];

/** Two releases, and a link that leads to the first. */
function releases(top: string): void {
  for (const [release, names] of [
    ['old', old],
    ['next', next],
  ] as const)
    for (const name of names) {
      mkdirSync(join(top, release, name, '..'), { recursive: true });
      writeFileSync(join(top, release, name), `${name} of ${release}`);
    }
  symlinkSync('old', join(top, 'current'));
  for (const name of pair) {
    mkdirSync(join(top, 'pair', name, '..'), { recursive: true });
    writeFileSync(join(top, 'pair', name), `${name} of pair`);
  }
}

/** The next release, by one rename, and the old one goes. */
function deploy(top: string): void {
  symlinkSync('next', join(top, 'new'));
  renameSync(join(top, 'new'), join(top, 'current'));
  rmSync(join(top, 'old'), { recursive: true });
}

/** A folder gives way to an equal copy of itself. */
function replaceFolder(top: string): void {
  renameSync(join(top, 'old/s'), join(top, 's'));
  cpSync(join(top, 's'), join(top, 'old/s'), { recursive: true });
  rmSync(join(top, 's'), { recursive: true });
}

function renameFolder(top: string): void {
  renameSync(join(top, 'old/s'), join(top, 'old/z'));
}

function removeFile(top: string): void {
  rmSync(join(top, 'old/a/f'));
}

type Moving = (from: string, to: string) => readonly [(top: string) => void, (name: string) => string];

/** From one folder to the other, of which one or the other is read first. */
const entriesMove: Moving = (from, to) => [
  (top) => {
    for (const name of ['of-', 'one-of-'])
      renameSync(join(top, 'pair', from, `${name}${from}`), join(top, 'pair', to, `${name}${from}`));
  },
  (name) => (name.startsWith(`${from}/o`) ? `${to}${name.slice(1)}` : name),
];

/** The same, into a folder that is made just then. */
const folderMovesIntoNew: Moving = (from, to) => [
  (top) => {
    mkdirSync(join(top, 'pair', to, 'new'));
    renameSync(join(top, 'pair', from, `of-${from}`), join(top, 'pair', to, 'new', `of-${from}`));
  },
  (name) => (name.startsWith(`${from}/of-`) ? `${to}/new${name.slice(1)}` : name),
];

function inBothWays(what: string, moving: Moving) {
  const ways = [
    ['a', 'b'],
    ['b', 'a'],
  ] as const;
  return ways.map(([from, to]) => {
    const [change, renaming] = moving(from, to);
    return [
      `${what}, from ${from} to ${to}`,
      'pair',
      change,
      [asIn(pair, 'pair'), asIn(pair, 'pair', renaming)],
    ] as const;
  });
}

/** Each file that a reader sees, with what is in it. */
function filesIn(folder: string): string[] {
  const script = `cd "$1" && find -L . -name '..*' ! -name . -prune -o -type f -exec grep -H '' {} +`;
  return execFileSync('sh', ['-c', script, 'sh', folder], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
    .map((line) => line.slice(2))
    .toSorted();
}

/** Of a line of `filesIn`. */
const contentOf = (line: string): string => line.slice(line.indexOf(':') + 1);

const asIn = (names: readonly string[], release: string, shown = (name: string) => name): string[] =>
  names.map((name) => `${shown(name)}:${name} of ${release}`).toSorted();

const options = ['', '--if-empty', '--no-clobber', '--delete', '--atomic'];
const renamed = (name: string): string => name.replace(/^s\//, 'z/');
const inPattern = (name: string): string => name.replace(/^[a-z]\//, '');

describe.skipIf(skip).each([
  ['a link leads to the next release', 'current', deploy, [asIn(old, 'old'), asIn(next, 'next')]],
  [
    'a pattern through such a link',
    'current/[!k]*',
    deploy,
    [
      asIn(
        old.filter((name) => name !== 'k1'),
        'old',
        inPattern,
      ),
      asIn(next, 'next', inPattern),
    ],
  ],
  ['a folder gives way to its copy', 'old', replaceFolder, [asIn(old, 'old')]],
  ['a folder is renamed', 'old', renameFolder, [asIn(old, 'old'), asIn(old, 'old', renamed)]],
  ['a file goes', 'old', removeFile, [asIn(old, 'old'), asIn(old.slice(1), 'old')]],
  ...inBothWays('entries move to another folder', entriesMove),
  ...inBothWays('a folder moves into a new one', folderMovesIntoNew),
  [
    'the target of a link that is followed',
    'above --dereference',
    deploy,
    [asIn(old, 'old', (name) => `current/${name}`), asIn(next, 'next', (name) => `current/${name}`)],
  ],
] as const)('%s, at any call', (_, source, change, wanted) => {
  const [path = '', ...more] = source.split(' ');
  const isPattern = path.includes('*');

  test.each(options)('copy %s', async (flag) => {
    const given = flag === '' ? [] : [flag];
    const top = memoryFolder();
    const to = join(top, 'to');
    const begin = (): string[] => {
      for (const name of readdirSync(top)) rmSync(join(top, name), { recursive: true });
      mkdirSync(to);
      releases(top);
      mkdirSync(join(top, 'above'));
      symlinkSync('../current', join(top, 'above/current'));
      // --delete is for folders alone.
      const text = isPattern && given.includes('--delete') ? `${path}/` : path;
      return [join(top, text), to, ...more, ...given];
    };
    const expected = wanted.map((lines) =>
      isPattern && given.includes('--delete') ? lines.filter((line) => !line.startsWith('common')) : lines,
    );
    const points: Point[] = await pointsOf(top, [...lookingCalls, ...changingCalls], async (prefix) => {
      const { status, stderr } = await copy(begin(), { prefix });
      expect(status, stderr).toBe(0);
    });
    expect(points.length).toBeGreaterThan(stops);
    for (let stop = 0; stop < stops; stop++) {
      const point = points[Math.floor((stop * points.length) / stops)] as Point;
      const args = begin();
      const { status, stderr } = await stoppingAt(point, ['copy', ...args], () => change(top));
      const at = `${point.call} ${point.n}: ${stderr}`;
      expect(status, at).toBe(0);
      const found = filesIn(to);
      if (path === 'pair') {
        // What moves within the source may be in both its places, and is in one of them at least.
        const contents = new Set(found.map(contentOf));
        expect([...contents].toSorted(), at).toEqual(expected[0]?.map(contentOf).toSorted());
        expect(
          found.filter((line) => !expected.flat().includes(line)),
          at,
        ).toEqual([]);
      } else expect(expected, at).toContainEqual(found);
      expect(
        leftovers(to).filter((left) => left.includes('/..initbox-')),
        at,
      ).toEqual([]);
    }
  });
});
