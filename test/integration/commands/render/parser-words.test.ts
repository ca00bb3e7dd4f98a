// What a parser says of a text that it cannot read may hold pieces of the text, cut and changed so that no redactor
// knows them: a secret shaped as each piece of syntax goes through every parser, and through all that the program says.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { runInitbox, terminationLog } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let work: ReturnType<typeof temporaryDirectory>;
beforeAll(() => {
  work = temporaryDirectory('words');
});
afterAll(() => work.remove());

const canary = 'Xk9vQ2mPzL7rT4bNw';
const pieces = Array.from({ length: canary.length - 7 }, (_, at) => canary.slice(at, at + 8));

let count = 0;

/** Runs it, with a log in text and in JSON in turn; returns what it said in all places. */
async function said(args: readonly string[], files: Readonly<Record<string, string>>): Promise<string> {
  const cwd = join(work.path, String(count));
  mkdirSync(cwd);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const log = terminationLog();
  const format = count++ % 2 === 0 ? 'text' : 'json';
  const ours = ['--log-level', 'debug', '--log-format', format, '--termination-log', log.path];
  const result = await runInitbox([...args, ...ours], { cwd, env: { P: files['value'] ?? '' } });
  expect(result.signal).toBeNull();
  return `${result.status}\n${result.stdout}${result.stderr}${log.read()}`;
}

/** The pieces of the secret that a text shows. */
function shownIn(text: string): string[] {
  return pieces.filter((piece) => text.includes(piece));
}

/** A template for each place where a value may stand, and values that are syntax there. */
const rendered: Readonly<Record<string, { templates: readonly string[]; values: readonly string[] }>> = {
  yaml: {
    templates: ['password: ${P}\n', '${P}\n'],
    values: [
      `*${canary}`,
      `*${canary}:`,
      `!${canary} x`,
      `!!${canary}`,
      `!e!${canary} x`,
      `%${canary}`,
      `%YAML ${canary}\n---\na`,
      `%YAML 1.1\n---\n<<: ${canary}`,
      `&${canary} *${canary}`,
      `|${canary}\n x`,
      `>${canary}`,
      `"\\${canary}"`,
      `"${canary}`,
      `[${canary}`,
      `{${canary}: ${canary}`,
      `@${canary}`,
      `a: ${canary}: b`,
      `? [${canary}]\n: [${canary}]`,
      `{? [${canary}] : {a: ${canary}}}`,
      `${canary}: 1\n${canary}: 2`,
      `!!binary ${canary}`,
      `!!timestamp ${canary}`,
    ],
  },
  xml: {
    templates: ['<a>${P}</a>', '<a b="${P}"/>', '${P}'],
    values: [
      `&${canary};`,
      `&#${canary};`,
      `</${canary}>`,
      `<${canary}>`,
      `<${canary}:b/>`,
      `<b ${canary}:c="1"/>`,
      `<b ${canary}="1" ${canary}="2"/>`,
      `<b xmlns:x="${canary}" xmlns:y="${canary}" x:a="1" y:a="2"/>`,
      `<?xml ${canary}?>`,
      `<?xml version="${canary}"?>`,
      `<:${canary}/>`,
      `<!DOCTYPE ${canary} [`,
    ],
  },
  toml: {
    templates: ['a = ${P}\n', '${P}\n'],
    values: [
      `"${canary}`,
      `"\\${canary}"`,
      `1979-${canary}`,
      `1979-13-45T${canary}`,
      `0x${canary}`,
      `${canary} = 1\n${canary} = 2`,
      `[${canary}]\n[${canary}]`,
      `[${canary}`,
      `{ ${canary} = 1`,
      `__proto__.${canary} = 1`,
    ],
  },
  json: { templates: ['{"a": ${P}}', '${P}'], values: [canary, `"${canary}`, `"\\${canary}"`, `1${canary}`] },
  ini: { templates: ['${P}\n'], values: [`${canary} ${canary}`, `[${canary}`, `=${canary}`] },
};

for (const [check, { templates, values }] of Object.entries(rendered)) {
  test(`render --check ${check}`, { timeout: 120_000 }, async () => {
    let refused = 0;
    for (const template of templates)
      for (const value of values) {
        const text = await said(['render', 't', '--to', 'out', '--check', check], { t: template, value });
        expect(shownIn(text), text).toEqual([]);
        if (/what it makes is not/.test(text)) refused++;
      }
    // The rest is harmless in its place.
    expect(refused).toBeGreaterThan(values.length / 2);
  });
}

test.each([
  ['yaml', `password: *${canary}\n`],
  ['yaml', `password: !${canary} x\n`],
  ['yaml', `%${canary}\n---\na: 1\n`],
  ['yaml', `password: "\\${canary}"\n`],
  ['json', `{"a": ${canary}}`],
  ['json', `{"a": "\\${canary}"}`],
  ['env', `A='${canary}\n`],
  ['env', `MII0\n${canary}=\n`],
  ['env', `${canary}=\n${canary}=\n`],
  ['properties', `a=\\u${canary}\n`],
])('data that does not parse, .%s: %j', async (ending, text) => {
  const name = `d.${ending}`;
  expect(
    shownIn(await said(['render', 't', '--to', 'out', '--data', `d=${name}`], { t: 'x', [name]: text })),
  ).toEqual([]);
  const fetched = ['fetch-config', '--to', 'out', '--allow-disk', '--format', 'json', '--timeout', '2s'];
  const place = join(work.path, String(count), name);
  expect(shownIn(await said([...fetched, `file:${place}#field`], { [name]: text }))).toEqual([]);
});

test.each([`*${canary}`, `!${canary} x`, `"\\${canary}"`, `"${canary}`, `@${canary}`, `|${canary}`])(
  'a plan and a specification with %j',
  async (value) => {
    const plan = { 'plan.yaml': `steps: ${value}\n` };
    expect(shownIn(await said(['run', 'plan.yaml', '--dry-run'], plan))).toEqual([]);
    expect(
      shownIn(await said(['fetch-config', '--spec', 'plan.yaml'], { 'plan.yaml': `files: ${value}\n` })),
    ).toEqual([]);
  },
);

test.each([
  ['{{ x | default: d.p | nope }}', canary],
  ['{{ d.p | base64_decode }}', `${canary}!`],
  ['{{ "a" | date: d.p }}{{ nope }}', `%${canary}`],
  ['{% for i in (d.p..3) %}{% endfor %}{{ nope }}', canary],
  ['{{ d[d.p] }}', canary],
  ['{{ d.p[d.p].x }}', canary],
])('a Liquid template, %s', async (template, value) => {
  const files = { t: template, 'd.json': JSON.stringify({ p: value }) };
  expect(
    shownIn(await said(['render', 't', '--language', 'liquid', '--to', 'out', '--data', 'd=d.json'], files)),
  ).toEqual([]);
});
