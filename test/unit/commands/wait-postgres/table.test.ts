import { describe, expect, test } from 'vitest';

import { parseTable } from '../../../../src/commands/wait-postgres/table.ts';
import { parseUrlArgument } from '../../../../src/commands/wait-postgres/url.ts';

describe('tables', () => {
  test.each([
    ['users', false],
    ['public.users', false],
    ['public.Users', true],
    ['public."Users"', false],
    ['"my schema"."a.b"', false],
    ['"say ""hi"""', false],
    ['größe', false],
  ])('%s is taken; it folds: %s', (text, folds) => expect(parseTable(text)).toEqual({ text, folds }));

  test.each([
    '',
    '.',
    'a.',
    '.a',
    'a.b.c',
    'a b',
    "users'; DROP TABLE users; --",
    '"open',
    '""',
    '1a',
    'public.users,',
    'a-b',
  ])('%j is refused', (text) => expect(() => parseTable(text)).toThrow(/is not the name of a table/));

  test('a name that the server would cut is refused', () => {
    expect(() => parseTable(`public.${'x'.repeat(64)}`)).toThrow(/63 bytes/);
    expect(parseTable('x'.repeat(63)).text).toHaveLength(63);
  });
});

describe('URLs', () => {
  test('the password is registered', () => {
    const secrets: string[] = [];
    const source = parseUrlArgument('postgresql://app:p%40ss@db/app', (value) => secrets.push(value));
    expect(secrets).toEqual(['p@ss']);
    expect(JSON.stringify(source)).not.toContain('ss');
  });

  test.each(['mysql://u:s3cret@db/x', 'postgres://u:s3cret@a@b/x', 'u:s3cret@db'])(
    '%s is refused without its password',
    (text) => {
      expect(() => parseUrlArgument(text, () => {})).toThrow(/the URL/);
      try {
        parseUrlArgument(text, () => {});
      } catch (error) {
        expect(String(error)).not.toContain('s3cret');
      }
    },
  );
});
