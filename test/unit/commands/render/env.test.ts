import { describe, expect, test } from 'vitest';

import { parseDelimiters } from '../../../../src/commands/render/delimiters.ts';
import { envCompiler } from '../../../../src/commands/render/env/language.ts';
import type { FieldValue } from '../../../../src/config/source.ts';

const environment = { HOST: 'db', EMPTY: '', UNSET: undefined };

function made(
  text: string,
  more: { only?: readonly string[]; delimiters?: string; data?: Readonly<Record<string, FieldValue>> } = {},
): string {
  const render = envCompiler({
    only: more.only ?? [],
    delimiters: more.delimiters === undefined ? undefined : parseDelimiters(more.delimiters),
    'max-size': 1000,
  })(text);
  if (typeof render !== 'function') return render.problems.join('\n');
  const entries = new Map(
    Object.entries(more.data ?? {}).map(([name, value]) => [name, { value, from: `--data ${name}` }]),
  );
  const result = render({ entries, environment, unreadable: new Set(['BAD']) });
  return 'problems' in result ? result.problems.join('\n') : result.text;
}

describe('references', () => {
  test.each([
    ['$HOST:${HOST}', 'db:db'],
    ['${EMPTY:-a}${EMPTY-b}${UNSET:-c}${UNSET-d}', 'acd'],
    ['${HOST:+a}${EMPTY:+b}${EMPTY+c}${UNSET+d}', 'ac'],
    ['${UNSET:-${EMPTY:-${HOST}}}', 'db'],
    // What is not used may be missing.
    ['${HOST:-$UNSET}${EMPTY:+$UNSET}', 'db'],
    ['$$HOST $$$HOST $${HOST}', '$HOST $db ${HOST}'],
    ['$1 $ $. $', '$1 $ $. $'],
    ['${UNSET:-"{a\\}"}', '"{a}"'],
    ['${UNSET:-a\\b\\\\c\\$HOST}', 'a\\b\\c$HOST'],
    ['`id` $(id) \\$HOST', '`id` $(id) \\db'],
    ['', ''],
  ])('%s makes %s', (text, expected) => expect(made(text)).toBe(expected));

  test.each([
    ['a\n  $UNSET', '2:3: UNSET is not set'],
    [
      '$UNSET ${EMPTY:?} ${EMPTY:?say $HOST}',
      '1:1: UNSET is not set\n1:8: EMPTY is empty\n1:19: EMPTY is empty: say $HOST',
    ],
    ['$UNSET $UNSET\n$UNSET', '1:1: UNSET is not set, as at 1:8 and 1 more'],
    ['x ${HOST', '1:3: ${ is not closed by }; $$ writes $'],
    ['${HOST:-${HOST}', '1:1: ${ is not closed by }; $$ writes $'],
    ['é\n${1}', '2:1: a name is missing after ${: letters, digits and _, no digit first; $$ writes $'],
    ['${}', '1:1: a name is missing after ${: letters, digits and _, no digit first; $$ writes $'],
    ['${HOST%x}', '1:1: ${HOST is followed by "%"; accepted are } and :- - :+ + :? ?; $$ writes $'],
    ['${HOST:=x}', '1:1: ${HOST:= would assign, which a template cannot; write ${HOST:-…}'],
    ['$BAD', '1:1: BAD is not UTF-8 text'],
    ['${__proto__}${constructor}', '1:1: __proto__ is not set\n1:13: constructor is not set'],
    ['${A:-'.repeat(200), '1:506: more than 100 references within each other'],
    ['${HOST}'.repeat(501), '1:1: what it makes has more than 1000 characters (--max-size)'],
  ])('%s is refused', (text, expected) => expect(made(text)).toBe(expected));
});

test('names that are given leave all others as they are', () => {
  const only = ['HOST'];
  expect(made('$HOST $host ${uri} $$ $$HOST $${HOST} ${X:-$HOST} ${', { only })).toBe(
    'db $host ${uri} $$ $HOST ${HOST} ${X:-db} ${',
  );
  expect(made('$UNSET', { only: ['UNSET'] })).toBe('1:1: UNSET is not set');
});

test('other delimiters leave the usual ones to others', () => {
  const delimiters = '[[ ]]';
  expect(made('$HOST ${HOST} [[HOST]] [[ HOST ]] [[ UNSET:-a $b ]] [[[[HOST]]', { delimiters })).toBe(
    '$HOST ${HOST} db db a $b [[HOST]]',
  );
  expect(made('[[ UNSET:-[[ HOST ]] ]]', { delimiters })).toBe('db');
  expect(made('[[ HOST', { delimiters })).toBe('1:1: [[ is not closed by ]]; [[[[ writes [[');
  expect(made('[[ HOST ]]', { delimiters, only: ['X'] })).toBe('[[ HOST ]]');
});

describe('data', () => {
  const data = { HOST: 'other', N: 8080, T: true, L: [1], O: { a: 1 }, Z: null };
  test('wins over the environment', () => expect(made('$HOST $N $T', { data })).toBe('other 8080 true'));
  test('that is no text is named, without its value', () => {
    expect(made('$L$O$Z', { data })).toBe(
      [
        '1:1: L is a list (--data L); ?join=, behind a dns: or interface: source makes one text of it, and --language liquid has loops',
        '1:3: O is no text (--data O); name one field of it, or use --language liquid',
        '1:5: Z is null (--data Z)',
      ].join('\n'),
    );
  });
});

test.each(['[[', '[[ ]] [%', 'a b', '[[ ]] [[ ]]', '" "'])('the delimiters %s are refused', (given) => {
  expect(() => parseDelimiters(given)).toThrow(/write two words/);
});
