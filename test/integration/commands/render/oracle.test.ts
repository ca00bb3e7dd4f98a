// What render makes of 2,000 generated templates, against envsubst and a POSIX shell.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { envCompiler } from '../../../../src/commands/render/env/language.ts';
import { runInitbox } from '../../../support/program.ts';
import { needTool, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { generate, inShell, inTemplate, randomOf, type Piece } from './generate.ts';

const noShell = requireOrSkip('render against a POSIX shell', whyMissing('dash', 'dash'));
const noEnvsubst = requireOrSkip('render against envsubst', whyMissing('envsubst', 'gettext-base'));

/** C and D are not set. */
const variables = {
  A: 'alpha beta',
  B: '',
  LONG_name1: '$A ${B} $$ \\ " \' ` & * é\nsecond line\t',
  _x: '0',
};
const options = { delimiters: undefined, only: [] as string[], 'max-size': 1 << 24 };

let work: ReturnType<typeof temporaryDirectory>;
beforeAll(() => {
  work = temporaryDirectory('render-oracle');
});
afterAll(() => work.remove());

/** Renders all of them in one call of the program and gives back what it wrote. */
async function renderAll(name: string, templates: readonly string[], more: readonly string[] = []) {
  const [from, to] = [join(work.path, name), join(work.path, `${name}-out`)];
  mkdirSync(from);
  mkdirSync(to);
  for (const [index, text] of templates.entries()) writeFileSync(join(from, `${index}`), text);
  const result = await runInitbox(['render', from, '--to', to, ...more], { env: variables });
  expect(result).toMatchObject({ status: 0, stdout: '' });
  return templates.map((_, index) => readFileSync(join(to, `${index}`), 'utf8'));
}

describe.skipIf(noShell)('a POSIX shell under set -u', () => {
  const random = randomOf(1);
  const cases: (readonly Piece[])[] = Array.from({ length: 1000 }, () =>
    generate(random, ['A', 'B', 'C', 'D', 'LONG_name1', '_x']),
  );
  /** What the shell makes of each; undefined where it refuses. */
  let expected: (string | undefined)[];
  beforeAll(() => {
    // An x keeps what is empty apart from what failed.
    const lines = cases.map((pieces) => `(printf 'x%s\\0' "${inShell(pieces)}") 2>/dev/null || printf '\\0'`);
    const output = execFileSync(needTool('dash', 'dash'), ['-u'], {
      input: `${lines.join('\n')}\n`,
      env: variables,
      maxBuffer: 1 << 28,
    });
    const parts = output.toString().split('\0').slice(0, -1);
    expected = parts.map((part) => (part === '' ? undefined : part.slice(1)));
  });

  test('was asked about all of them, and took some and refused some', () => {
    expect(expected).toHaveLength(cases.length);
    expect(expected.filter((text) => text === undefined).length).toBeGreaterThan(200);
    expect(expected.filter((text) => text !== undefined).length).toBeGreaterThan(300);
  });

  test('writes the same where it writes', async () => {
    const taken = cases.flatMap((pieces, index) =>
      expected[index] === undefined ? [] : [{ pieces, index }],
    );
    const made = await renderAll(
      'shell',
      taken.map(({ pieces }) => inTemplate(pieces)),
    );
    for (const [at, { pieces, index }] of taken.entries())
      expect(made[at], inTemplate(pieces)).toBe(expected[index]);
  });

  test('refuses the same', () => {
    const compile = envCompiler(options);
    const data = { entries: new Map(), environment: variables, unreadable: new Set<string>() };
    for (const [index, pieces] of cases.entries()) {
      const render = compile(inTemplate(pieces));
      if (typeof render !== 'function') throw new Error(render.problems.join('\n'));
      const made = render(data);
      expect('problems' in made, inTemplate(pieces)).toBe(expected[index] === undefined);
    }
  });
});

describe.skipIf(noEnvsubst)('envsubst', () => {
  const mark = (index: number): string => `\n=====${index}=====\n`;
  /** One process for all of them. */
  function substituted(templates: readonly string[], format: readonly string[]): string[] {
    const input = templates.map((text, index) => text + mark(index)).join('');
    const output = execFileSync(needTool('envsubst', 'gettext-base'), format, {
      input,
      env: variables,
      maxBuffer: 1 << 28,
    }).toString();
    let at = 0;
    return templates.map((_, index) => {
      const end = output.indexOf(mark(index), at);
      const text = output.slice(at, end);
      at = end + mark(index).length;
      return text;
    });
  }
  const texts = (seed: number, pool: readonly string[]): string[] => {
    const random = randomOf(seed);
    return Array.from({ length: 500 }, () =>
      Array.from({ length: 1 + random(30) }, () => pool[random(pool.length)] ?? '').join(''),
    );
  };

  test('writes the same where all is set', async () => {
    const pool = [
      '$A',
      '${A}',
      '${B}',
      '$LONG_name1',
      '${_x}',
      '$_x-',
      ' ',
      '\n',
      '$1',
      '$ ',
      '$.',
      '{',
      '}',
    ];
    const templates = texts(2, [...pool, '"', "'", '`', '\\', 'é', '#', '%', '&']).map((text) =>
      // A dollar before a dollar is our escape.
      text.replace(/\$(?=\$)/g, ''),
    );
    const made = await renderAll('envsubst', templates);
    expect(made).toEqual(substituted(templates, []));
  });

  /** Without what our syntax has and envsubst has not: `$$` before a name that is replaced, operators after one. */
  function plain(text: string): string {
    const less = text.replace(/\$(?=\$\{?(A|_x)(?![A-Za-z0-9_]))/g, '').replace(/\$\{(?=A(?![\w}]))/g, '');
    return less === text ? text : plain(less);
  }

  test('with names leaves everything else alone, whatever it is', async () => {
    const pool = [
      '$A',
      '${A}',
      '${_x}',
      '$host',
      '${C:-x}',
      '${',
      '$$',
      '${}',
      '${1}',
      '$(id)',
      '`id`',
      '$LONG_name1',
    ];
    const templates = texts(3, [...pool, ' ', '\n', '}', '\\', '"', '$1', '${B}', '$Ab', '${#A}', '${A']).map(
      plain,
    );
    const made = await renderAll('only', templates, ['--only', 'A', '--only', '_x']);
    expect(made).toEqual(substituted(templates, ['$A $_x']));
  });
});
