import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';

import { parseDelimiters } from '../../../../src/commands/render/delimiters.ts';
import { liquidCompiler } from '../../../../src/commands/render/liquid.ts';
import { parseJson } from '../../../../src/config/json.ts';
import type { FieldValue } from '../../../../src/config/source.ts';
import { SignalReceived } from '../../../../src/core/outcome.ts';

const hostile = `it's "quoted" \\ $(id) \`id\` <a href='x'>&amp; #: {{ }} %\ttab\nline\r é 😀`;
const values: Readonly<Record<string, FieldValue>> = {
  hostile,
  user: 'app',
  no: 'no',
  none: '',
  key: ' a:b=c',
  value: ' é\\',
  list: ['a', 'b'],
  db: { name: 'x', port: 5432, constructor_: 'own' },
  digits: parseJson('12345678901234567890'),
  nothing: null,
  items: [{ name: 'n', port: 1 }],
  phrase: 'correct-horse',
  piped: 'name | S3cr3tfilter',
  dotted: 'correct.horse.battery',
  open: 'correct["horse',
  short: 'b',
  flag: true,
};

async function made(
  text: string,
  delimiters?: string,
  signal = new AbortController().signal,
): Promise<string> {
  const compile = liquidCompiler(
    {
      delimiters: delimiters === undefined ? undefined : parseDelimiters(delimiters),
      'max-size': 10_000,
    },
    signal,
  );
  const render = compile(text);
  if (typeof render !== 'function') return render.problems.join('\n');
  const entries = new Map(Object.entries(values).map(([name, value]) => [name, { value, from: name }]));
  const result = await render({ entries, environment: { HOME: '/root' }, unreadable: new Set() });
  return 'problems' in result ? result.problems.join('\n') : result.text;
}

test.each([
  [
    '{{ user }}@{{ db.port }} {{ env.HOME }} {{ digits }} {{ flag }}',
    'app@5432 /root 12345678901234567890 true',
  ],
  ['{% for x in list %}{{ x }},{% endfor %}{% if missing %}a{% else %}b{% endif %}', 'a,b,b'],
  ['{{ missing | default: "d" }}{{ nothing | default: "e" }}', 'de'],
  ['{% if digits > 5 %}more{% endif %}', 'more'],
  ['{% raw %}{{ user }}{% endraw %}', '{{ user }}'],
])('%s makes %s', async (text, expected) => expect(await made(text)).toBe(expected));

describe('what quotes is read back as it was', () => {
  test('yaml', async () => {
    expect(
      parseYaml(
        await made('a: {{ hostile | yaml }}\nb: [{{ no | yaml }}, {{ none | yaml }}]\nc: {{ db | yaml }}'),
      ),
    ).toEqual({
      a: hostile,
      b: ['no', ''],
      c: values['db'],
    });
  });
  test('json', async () => {
    expect(
      JSON.parse(await made('{"a": {{ hostile | json }}, "b": {{ db | json }}, "c": {{ nothing | json }}}')),
    ).toEqual({
      a: hostile,
      b: values['db'],
      c: null,
    });
    expect(await made('{{ digits | json }}')).toBe('12345678901234567890');
  });
  test('xml', async () => {
    expect(await made('{{ hostile | xml }}')).toBe(
      `it&apos;s &quot;quoted&quot; \\ $(id) \`id\` &lt;a href=&apos;x&apos;&gt;&amp;amp; #: {{ }} %&#9;tab&#10;line&#13; é 😀`,
    );
  });
  test('properties', async () => {
    expect(await made('{{ key | properties_key }}={{ value | properties }}')).toBe(
      '\\ a\\:b\\=c=\\ \\u00e9\\\\',
    );
  });
});

describe('a value that a filter takes for an expression is not shown', () => {
  const filters = ['where', 'reject', 'group_by', 'find', 'find_index', 'has', 'sum', 'map', 'sort', 'uniq'];
  const expressions = ['where', 'reject', 'group_by', 'find', 'find_index', 'has'].map(
    (name) => `${name}_exp: "x",`,
  );
  test.each([...filters.map((name) => `${name}:`), ...expressions])('%s', async (filter) => {
    for (const key of ['phrase', 'piped', 'dotted', 'open']) {
      const text = await made(`a\n{{ items | ${filter} ${key} | json }}`);
      expect(text).not.toMatch(/correct|horse|battery|S3cr3t/i);
    }
  });

  test('its place is that of the filter, where the engine tells it', async () => {
    expect(await made('a\n {{ items | where_exp: "x", piped }}')).toBe(
      '2:2: unknown filter: its name comes from a value',
    );
  });

  test.each([
    ['{{ db["nope"] }}', '1:4: undefined variable: db.nope'],
    ['{{ db[user] }}', '1:4: undefined variable: its name comes from a value'],
    ['{{ db[short] }}', '1:4: undefined variable: its name comes from a value'],
  ])('%s', async (text, expected) => expect(await made(text)).toBe(expected));
});

describe('what is wrong is told with its place', () => {
  test.each([
    ['a\n {{ nope }}{{ db.nope }}', '2:5: undefined variable: nope\n2:15: undefined variable: db.nope'],
    [
      '{% if true %}{{ nope }}{% endif %}{{ nix }}',
      '1:17: undefined variable: nope\n1:38: undefined variable: nix',
    ],
    [
      '{{ constructor }}{{ db.constructor }}{{ db.__proto__ }}{{ user.toString }}',
      /^(?:1:\d+: undefined variable: \S+\n?){4}$/,
    ],
    ['{{ user | nope }}', '1:1: there is no filter "nope"'],
    ['\n{% if user %}', '2:1: the tag "if" is not closed'],
    ['x {{ user', '1:3: the output that begins here is not closed'],
    ['{% nope %}', '1:1: there is no tag "nope"'],
    ['{% include "/etc/passwd" %}', /^1:1: the tag "include" is not supported/],
    ['{% render "a" %}', /^1:1: the tag "render" is not supported/],
    ['{% layout "a" %}', /^1:1: the tag "layout" is not supported/],
    ['{{ db }}', '1:1: a list or an object is not text; pick a part of it, or write | json or | yaml'],
    ['{{ list }}', /^1:1: a list or an object/],
    ['{{ nothing }}', '1:1: there is no value here; write | default: "…" for one'],
    ['{{ db | shell }}', /^1:1: "the value" is an object/],
    ['{% for i in (1..100000000) %}x{% endfor %}', /^1:1: its ranges, lists and filters make more than/],
    ['{% for i in (1..1000) %}0123456789ab{% endfor %}', /^1:25: the output has more than 10000 characters/],
  ])('%s', async (text, expected) => {
    if (typeof expected === 'string') expect(await made(text)).toBe(expected);
    else expect(await made(text)).toMatch(expected);
  });
  test('no value is in it', async () => {
    for (const filter of ['shell', 'xml', 'properties'])
      expect(await made(`{{ db | ${filter} }}`)).not.toContain('5432');
  });
});

test('other delimiters', async () => {
  expect(await made('{{ user }}[[ user ]][% if true %]x[% endif %]{% x %}', '[[ ]]')).toBe(
    '{{ user }}appx{% x %}',
  );
  expect(await made('<: user :><! if true !>x<! endif !>', '<: :> <! !>')).toBe('appx');
  await expect(made('', '${ }')).rejects.toThrow('name them too');
});

test('what one template counts is not seen by another', async () => {
  const compile = liquidCompiler({ delimiters: undefined, 'max-size': 100 }, new AbortController().signal);
  const data = { entries: new Map(), environment: { A: 'a' }, unreadable: new Set<string>() };
  for (let i = 0; i < 2; i++) {
    const render = compile('{% increment n %}{% increment n %}{{ env.A }}');
    if (typeof render !== 'function') throw new Error(render.problems.join('\n'));
    expect(await render(data)).toEqual({ text: '01a' });
  }
});

test('a signal ends it, however long the template would take', async () => {
  const stop = new AbortController();
  const began = performance.now();
  setTimeout(() => stop.abort(new SignalReceived('SIGTERM')), 50);
  const loops = '{% for i in (1..1000) %}{% for j in (1..1000000) %}{{ i }}{% endfor %}{% endfor %}';
  await expect(made(loops, undefined, stop.signal)).rejects.toThrow(SignalReceived);
  expect(performance.now() - began).toBeLessThan(2000);
});
