// The language consul-template against what the real one made of the same templates (expected.json, by record.ts).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { memoryFolders } from '../../../../support/memory-folders.ts';
import { runInitbox, type ProgramResult } from '../../../../support/program.ts';
import { corpus, type CorpusTemplate } from './corpus.ts';
import { startReadServer, token, variables, withPlaceholders, type Expected } from './server.ts';

const recorded = JSON.parse(readFileSync(join(import.meta.dirname, 'expected.json'), 'utf8')) as Readonly<
  Record<string, Expected>
>;
const folder = memoryFolders();

type Server = Awaited<ReturnType<typeof startReadServer>>;
let server: Server;
beforeAll(async () => {
  server = await startReadServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const options = ['--language', 'consul-template', '--timeout', '60s'];

function environment(): Record<string, string> {
  return {
    ...variables,
    VAULT_ADDR: server.address,
    VAULT_TOKEN: token,
    CONSUL_HTTP_ADDR: server.address,
  };
}

/** Names of files are those of the templates: `one-field`. */
const fileOf = ({ name }: CorpusTemplate): string => name.replaceAll(/[^\w]+/g, '-');

/** All of them in one run. */
async function renderAll(
  templates: readonly CorpusTemplate[],
): Promise<ProgramResult & { read: (one: CorpusTemplate) => Expected }> {
  const cwd = folder();
  mkdirSync(join(cwd, 'in'));
  writeFileSync(join(cwd, 'file'), 'text of a file\n');
  for (const one of templates)
    writeFileSync(
      join(cwd, 'in', `${fileOf(one)}.ctmpl`),
      one.template.replaceAll('FILE', join(cwd, 'file')),
    );
  const result = await runInitbox(['render', 'in', '--to', 'out', ...options], { cwd, env: environment() });
  return {
    ...result,
    read: (one) =>
      withPlaceholders(readFileSync(join(cwd, 'out', fileOf(one))), server.pems, join(cwd, 'file')),
  };
}

const isRefused = ({ name, refused }: CorpusTemplate): boolean =>
  refused !== undefined || recorded[name]?.error !== undefined;

test('every template has a recorded result, and no other is recorded', () => {
  expect(Object.keys(recorded)).toEqual(corpus.map(({ name }) => name));
});

describe('what consul-template makes of a template is made', () => {
  const made = corpus.filter((one) => !isRefused(one));
  let result: Awaited<ReturnType<typeof renderAll>>;
  beforeAll(async () => {
    result = await renderAll(made);
    expect(result.status, result.stderr).toBe(0);
  });

  test.each(made)('$name', (one) => {
    const expected = recorded[one.name];
    if (one.reads === 'yaml') expect(parse(result.read(one).text ?? '')).toEqual(parse(expected?.text ?? ''));
    else expect(result.read(one)).toEqual(expected);
  });
});

describe('what it cannot make, or should not, is refused with its line, and nothing is written', () => {
  const refused = corpus.filter((one) => isRefused(one));
  /** Problems by file; those that are seen before anything is read come alone. */
  const problems = new Map<string, string>();
  beforeAll(async () => {
    for (let left = refused; left.length > 0;) {
      const { status, stderr } = await renderAll(left);
      expect(status, stderr).toBe(2);
      for (const [, file = '', words = ''] of stderr.matchAll(/in\/([\w-]+)\.ctmpl:(\d+:\d+: .*)/g))
        problems.set(file, words);
      const rest = left.filter((one) => !problems.has(fileOf(one)));
      if (rest.length === left.length) break;
      left = rest;
    }
  });

  test.each(refused)('$name', (one) => {
    const words = problems.get(fileOf(one)) ?? 'nothing was said';
    expect(words).toMatch(/^\d+:\d+: /);
    if (one.refused !== undefined) expect(words).toMatch(one.refused);
    for (const value of ['p4ss', 'a.example']) expect(words).not.toContain(value);
  });
});
