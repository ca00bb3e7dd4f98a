import { describe, expect, test } from 'vitest';

import { parseAcceptance } from '../../../src/migrations/accept.ts';
import type { Row, State } from '../../../src/migrations/history.ts';
import { migrationPlanOf, type KnownFile } from '../../../src/migrations/plan.ts';
import { parseVersion } from '../../../src/migrations/version.ts';

function file(key: string, sha256 = 'x'): KnownFile {
  const version = key.startsWith('R__') ? undefined : parseVersion(key);
  const name = `${key}_f.sql`;
  return { found: { file: name, path: `/m/${name}`, key, version, settings: undefined }, sha256 };
}

function row(
  version: string,
  state: State = 'done',
  sha256 = 'x',
  finished = state === 'running' ? 2 : 3,
): Row {
  return { version, file: `${version}_f.sql`, sha256, state, statements: 3, finished, startedAt: 'then' };
}

function plan(files: KnownFile[], rows: Row[], baseline?: string, ...accept: string[]): string[] {
  const made = migrationPlanOf(files, rows, { baseline, accept: accept.map(parseAcceptance) });
  return [
    ...made.problems.map(({ kind, version }) => `${kind} ${version}`),
    ...made.changes.map(({ key, state }) => `${state} ${key}`),
    ...made.pending.map(({ found }) => `run ${found.key}`),
    ...made.warnings.map(() => 'warning'),
  ];
}

describe('the plan', () => {
  test.each<[string, KnownFile[], Row[], string | undefined, string[], string[]]>([
    [
      'a new database',
      [file('1'), file('2'), file('R__v')],
      [],
      undefined,
      [],
      ['run 1', 'run 2', 'run R__v'],
    ],
    ['up to date', [file('1'), file('R__v')], [row('1'), row('R__v')], undefined, [], []],
    ['something new', [file('1'), file('2')], [row('1')], undefined, [], ['run 2']],
    ['changed', [file('1', 'y')], [row('1')], undefined, [], ['changed 1']],
    ['changed, accepted', [file('1', 'y')], [row('1')], undefined, ['changed:1'], ['done 1']],
    ['changed, another accepted', [file('1', 'y')], [row('1')], undefined, ['changed:2'], ['changed 1']],
    [
      'a changed baseline stays one',
      [file('1', 'y')],
      [row('1', 'baseline')],
      undefined,
      ['changed:all'],
      ['baseline 1'],
    ],
    ['a changed repeatable', [file('R__v', 'y')], [row('R__v')], undefined, [], ['run R__v']],
    ['late', [file('1'), file('1.5'), file('2')], [row('1'), row('2')], undefined, [], ['late 1.5']],
    [
      'late, accepted by another spelling',
      [file('1'), file('1.5'), file('2')],
      [row('1'), row('2')],
      undefined,
      ['late:1.05'],
      ['run 1.5'],
    ],
    [
      'late behind a file that is gone',
      [file('1'), file('2')],
      [row('1'), row('3')],
      undefined,
      [],
      ['late 2', 'warning'],
    ],
    ['missing', [file('2')], [row('1'), row('2')], undefined, [], ['missing 1']],
    ['missing, accepted', [file('2')], [row('1'), row('2')], undefined, ['missing:all'], ['retired 1']],
    ['retired already', [file('2')], [row('1', 'retired'), row('2')], undefined, [], []],
    ['retired and back', [file('1'), file('2')], [row('1', 'retired'), row('2')], undefined, [], []],
    ['an older release', [file('1')], [row('1'), row('2'), row('3')], undefined, [], ['warning']],
    ['a repeatable that is gone', [file('1')], [row('1'), row('R__v')], undefined, [], []],
    ['half done', [file('1'), file('2')], [row('1', 'running')], undefined, [], ['half-done 1', 'run 2']],
    ['half done, once more', [file('1')], [row('1', 'running')], undefined, ['again:1'], ['run 1']],
    ['half done, finished by hand', [file('1')], [row('1', 'running')], undefined, ['done:1'], ['done 1']],
    [
      'half done and changed, once more',
      [file('1', 'y')],
      [row('1', 'running')],
      undefined,
      ['again:1'],
      ['run 1'],
    ],
    [
      'half done, and its file is gone',
      [file('1'), file('3')],
      [row('1'), row('2', 'running')],
      undefined,
      [],
      ['half-done 2', 'run 3'],
    ],
    [
      'half done, and an older release starts',
      [file('1')],
      [row('1'), row('2', 'running'), row('3')],
      undefined,
      [],
      ['half-done 2', 'warning'],
    ],
    [
      'a half-done repeatable that is gone',
      [file('1')],
      [row('1'), row('R__v', 'running')],
      undefined,
      [],
      ['half-done R__v'],
    ],
    [
      'half done and gone is not only missing',
      [file('1'), file('3')],
      [row('1'), row('2', 'running'), row('3')],
      undefined,
      ['missing:2', 'missing:all', 'changed:all', 'late:all'],
      ['half-done 2'],
    ],
    [
      'half done and gone, finished by hand',
      [file('1'), file('3')],
      [row('1'), row('2', 'running'), row('3')],
      undefined,
      ['done:2'],
      ['retired 2'],
    ],
    [
      'half done and newer, finished by hand',
      [file('1')],
      [row('1'), row('2', 'running'), row('R__v', 'running')],
      undefined,
      ['done:2', 'done:R__v'],
      ['done 2', 'done R__v'],
    ],
    [
      'half done and gone, undone by hand',
      [file('1'), file('3')],
      [row('1'), row('2', 'running'), row('R__v', 'running')],
      undefined,
      ['again:2', 'again:R__v'],
      ['undone 2', 'undone R__v', 'run 3'],
    ],
    [
      'retired while it was half done, and back',
      [file('1'), file('2')],
      [row('1', 'retired', 'x', 2), row('2')],
      undefined,
      ['missing:all'],
      ['half-done 1'],
    ],
    [
      'retired while it was half done, and back, finished by hand',
      [file('1'), file('2')],
      [row('1', 'retired', 'x', 2), row('2')],
      undefined,
      ['done:1'],
      ['done 1'],
    ],
    [
      'retired while it was half done, and back, once more',
      [file('1'), file('2')],
      [row('1', 'retired', 'x', 2), row('2')],
      undefined,
      ['again:1'],
      ['run 1'],
    ],
    ['again does not touch what is done', [file('1')], [row('1')], undefined, ['again:1'], []],
    ['recorded without running', [file('1'), file('2')], [row('1')], undefined, ['done:2'], ['baseline 2']],
    [
      'a baseline',
      [file('1'), file('2'), file('3'), file('R__v')],
      [],
      '2',
      [],
      ['baseline 1', 'baseline 2', 'run 3', 'run R__v'],
    ],
    ['a baseline by another spelling', [file('1'), file('2')], [], '002', [], ['baseline 1', 'baseline 2']],
    [
      'a baseline given again',
      [file('1'), file('2'), file('3')],
      [row('1', 'baseline'), row('2', 'baseline')],
      '2',
      [],
      ['run 3'],
    ],
    [
      'a baseline on a record that has begun',
      [file('1'), file('2'), file('3')],
      [row('1')],
      '2',
      [],
      ['baseline 2', 'run 3'],
    ],
    ['a baseline of nothing', [file('1')], [], '0', [], ['run 1']],
  ])('%s', (_name, files, rows, baseline, accept, expected) => {
    expect(plan(files, rows, baseline, ...accept)).toEqual(expected);
  });

  test.each(['3', '1.1', 'x', 'V1', ''])('the baseline %j is no version of the directory', (baseline) => {
    expect(() => plan([file('1'), file('2')], [], baseline)).toThrow(
      /no file has that version; the files are 1, 2/,
    );
  });

  test('a half-done file is told with how far it came', () => {
    const [problem] = migrationPlanOf([file('1', 'y')], [row('1', 'running')], {
      baseline: undefined,
      accept: [],
    }).problems;
    expect(problem?.text).toBe(
      '1_f.sql began outside a transaction at then and did not end: 2 of 3 statements are known to have ended; the file has changed since',
    );
  });
});

test.each([
  [[file('1')], 'undo what it did and forget it with --accept again:2'],
  [[file('1'), file('2')], 'undo what it did and run the file from its start with --accept again:2'],
])('the ways on from a half-done file', (files, way) => {
  const [problem] = migrationPlanOf(files, [row('1'), row('2', 'running')], {
    baseline: undefined,
    accept: [],
  }).problems;
  expect(problem?.hint).toContain(way);
  expect(problem?.hint).toContain('--accept done:2');
  expect(problem?.text.includes('its file is gone since')).toBe(files.length === 1);
});

describe('--accept', () => {
  test.each<[string, string, string]>([
    ['changed:007', 'changed', '7'],
    ['late:all', 'late', 'all'],
    ['missing:1.0', 'missing', '1'],
    ['done:R__view', 'done', 'R__view'],
    ['again:20240101', 'again', '20240101'],
  ])('%s', (text, kind, version) => {
    expect(parseAcceptance(text)).toEqual({ kind, version });
  });

  test.each(['', '7', 'changed', 'changed:', 'Changed:1', 'gone:1', 'changed:v1', 'again:all', 'done:all'])(
    'refuses %j',
    (text) => {
      expect(() => parseAcceptance(text)).toThrow(/write changed:VERSION/);
    },
  );
});
