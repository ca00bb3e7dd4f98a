import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parsePackageYaml } from 'yaml';

import { parseYaml } from '../../../../src/clients/yaml/text.ts';
import { type FileFormat, formatFile, formatFileSet } from '../../../../src/config/formats/format.ts';
import { goYamlReader } from '../../../support/env-readers.ts';
import { canGetGo, goEnvReaders } from '../../../support/go.ts';
import { canInstallPython, pythonPackage } from '../../../support/python-packages.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { generatedValues } from './values.ts';

const values = generatedValues();
const folder = temporaryDirectory('formats');
afterAll(() => folder.remove());

function written(format: FileFormat, fields: ReadonlyMap<string, string> = values): string {
  const path = join(folder.path, `all.${format}`);
  writeFileSync(path, formatFile(format, { kind: 'fields', fields }).output);
  return path;
}

function read(command: readonly string[], env: Record<string, string> = {}): string {
  const [file = '', ...args] = command;
  return execFileSync(file, args, {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', HOME: '/home/expanded', ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
}

function cut(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? 'missing';
}

/** What came back otherwise, key by key and cut short; and whether anything was run. */
function differences(
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, string> = values,
): unknown[] {
  const different = [...expected].filter(([key, value]) => found.get(key) !== value);
  const executed = existsSync(join(folder.path, 'EXECUTED'));
  return [
    ...different.slice(0, 5).map(([key, value]) => ({ key, value: cut(value), found: cut(found.get(key)) })),
    ...(found.size === expected.size ? [] : [`${found.size} keys instead of ${expected.size}`]),
    ...(executed ? ['a value was executed'] : []),
  ];
}

function fromJson(text: string): Map<string, unknown> {
  return new Map(Object.entries(JSON.parse(text) as Record<string, unknown>));
}

/** NAME NUL VALUE NUL … */
function fromPairs(text: string): Map<string, string> {
  const words = text.split('\0');
  return new Map(
    Array.from({ length: Math.floor(words.length / 2) }, (_, index) => [
      words[2 * index] as string,
      words[2 * index + 1] as string,
    ]),
  );
}

it('has 5,000 values, with newlines, quotes, commands and one of 1 MB', () => {
  expect(values.size).toBe(5000);
  const all = [...values.values()];
  expect(all.filter((value) => value.includes('$(')).length).toBeGreaterThan(100);
  expect(all.filter((value) => value.includes('\n')).length).toBeGreaterThan(100);
  expect(all.filter((value) => value.includes("'") && value.includes('"')).length).toBeGreaterThan(50);
  expect(Math.max(...all.map((value) => value.length))).toBeGreaterThan(1 << 20);
});

/** What some reader of YAML takes for something else where it is bare, or cannot read. */
const oddKeys = new Map(
  [
    '<<',
    'null',
    '~',
    'yes',
    'n',
    'off',
    '0x1F',
    '0o7',
    '017',
    '1e3',
    '1_000',
    '1:30',
    '.inf',
    '.NaN',
    '=',
    '2001-01-01',
    '? a',
    '- a',
    'a: b',
    'a #b',
    '#x',
    '"',
    "'",
    ' ',
    ' a ',
    '%a',
    '@a',
    '`a',
    '{a}',
    '[a]',
    '&a',
    '*a',
    '!a',
    '!!str a',
    '|',
    '>-',
    '---',
    '...',
    'a\nb',
    '\ta',
    'é',
    '\u2028',
    '\u0085',
    '🔑',
    'x'.repeat(900),
  ].map((key, index) => [key, `value ${index}`]),
);

describe.skipIf(requireOrSkip('YAML read by Go', canGetGo()))('Go reads back', () => {
  beforeAll(() => goEnvReaders());

  it.each(['yaml.v3', 'sigs-yaml'] as const)('yaml, by %s', async (name) => {
    const reader = await goYamlReader(name, folder.path);
    expect(differences(reader(written('yaml')))).toEqual([]);
    expect(differences(reader(written('yaml', oddKeys)), oddKeys)).toEqual([]);
  });
});

describe.skipIf(requireOrSkip('formats read by Python', canInstallPython()))('Python reads back', () => {
  const script = (body: string): string => `import json, sys\n${body}\njson.dump(value, sys.stdout)`;

  it('yaml, by PyYAML, a reader of YAML 1.1', async () => {
    const { python, folder: packages } = await pythonPackage('PyYAML==6.0.3');
    const body = `import yaml\nvalue = yaml.load(open(sys.argv[1], encoding='utf8', newline=''), Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))`;
    expect(
      differences(fromJson(read([python, '-c', script(body), written('yaml')], { PYTHONPATH: packages }))),
    ).toEqual([]);
    const odd = read([python, '-c', script(body), written('yaml', oddKeys)], { PYTHONPATH: packages });
    expect(differences(fromJson(odd), oddKeys)).toEqual([]);
  });

  it('json, by its own parser', () => {
    const body = `value = json.load(open(sys.argv[1], encoding='utf8'))`;
    expect(differences(fromJson(read(['python3', '-c', script(body), written('json')])))).toEqual([]);
  });
});

describe.skipIf(requireOrSkip('properties read by Java', whyMissing('java', 'default-jre-headless')))(
  'Java reads back',
  () => {
    it.each(['UTF_8', 'ISO_8859_1'])('properties, as %s', (charset) => {
      const source = join(folder.path, 'Read.java');
      writeFileSync(
        source,
        `import java.io.*; import java.nio.charset.StandardCharsets; import java.util.*;
       public class Read {
         public static void main(String[] args) throws Exception {
           Properties all = new Properties();
           try (Reader in = new InputStreamReader(new FileInputStream(args[0]), StandardCharsets.${charset})) { all.load(in); }
           PrintStream out = new PrintStream(System.out, false, "UTF-8");
           for (String key : all.stringPropertyNames()) { out.print(key); out.write(0); out.print(all.getProperty(key)); out.write(0); }
           out.flush();
         }
       }`,
      );
      expect(
        differences(fromPairs(read(['java', '-XX:TieredStopAtLevel=1', source, written('properties')]))),
      ).toEqual([]);
    });
  },
);

describe.each(['bash', 'dash'])('%s sources', (shell) => {
  it.skipIf(requireOrSkip(`shell read by ${shell}`, whyMissing(shell, shell)))(
    'shell, and runs nothing of it',
    () => {
      const names = [...values.keys()].join(' ');
      const script = `set -eu; . "$1"; for name in ${names}; do eval "value=\\$$name"; printf '%s\\0%s\\0' "$name" "$value"; done`;
      expect(differences(fromPairs(read([shell, '-c', script, shell, written('shell')])))).toEqual([]);
    },
  );
});

it.skipIf(requireOrSkip('yaml read by libyaml', whyMissing('ruby', 'ruby')))(
  'yaml is read back by libyaml, which most languages stand on',
  () => {
    const script =
      'require "yaml"; require "json"; print JSON.generate(YAML.safe_load(File.read(ARGV[0], encoding: "UTF-8")))';
    expect(differences(fromJson(read(['ruby', '-e', script, written('yaml')])))).toEqual([]);
  },
);

it.skipIf(requireOrSkip('json read by jq', whyMissing('jq', 'jq')))('json is read back by jq', () => {
  expect(differences(fromJson(read(['jq', '-c', '.', written('json')])))).toEqual([]);
});

it('yaml is read back by the package yaml, as YAML 1.2 and 1.1', () => {
  const { output } = formatFile('yaml', { kind: 'fields', fields: values });
  for (const version of ['1.2', '1.1'] as const) {
    const found = parsePackageYaml(Buffer.from(output).toString(), { version }) as Record<string, unknown>;
    expect([version, differences(new Map(Object.entries(found)))]).toEqual([version, []]);
  }
});

it('yaml is read back by a reader of YAML 1.2', () => {
  const { output } = formatFile('yaml', { kind: 'fields', fields: values });
  const { value } = parseYaml(Buffer.from(output).toString());
  expect(differences(new Map(Object.entries(value as Record<string, unknown>)))).toEqual([]);
});

it('json is read back by JSON.parse', () => {
  const { output } = formatFile('json', { kind: 'fields', fields: values });
  expect(differences(fromJson(Buffer.from(output).toString()))).toEqual([]);
});

it('files hold the bytes themselves', () => {
  const { output } = formatFileSet({ kind: 'fields', fields: values });
  expect(
    differences(new Map([...output].map(([key, bytes]) => [key, Buffer.from(bytes).toString()]))),
  ).toEqual([]);
});
