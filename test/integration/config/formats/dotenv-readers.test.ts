import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readDotenv } from '../../../../src/commands/render/data/read-dotenv.ts';
import type { DotenvReader } from '../../../../src/config/formats/dotenv.ts';
import { FormatError } from '../../../../src/config/formats/entries.ts';
import { formatFile } from '../../../../src/config/formats/format.ts';
import {
  bashReader,
  goReader,
  nodeReader,
  npmReader,
  pythonReader,
  type ReadEnvFile,
  rubyReader,
  rubyVersion,
} from '../../../support/env-readers.ts';
import { canGetGo, goEnvReaders } from '../../../support/go.ts';
import { canInstallPython } from '../../../support/python-packages.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { generatedValues } from './values.ts';

const folder = temporaryDirectory('dotenv-readers');
afterAll(() => folder.remove());

interface Written {
  readonly value: string;
  /** The line or lines of the file. */
  readonly text: string;
  readonly warnings: readonly string[];
}

const refused: string[] = [];
const written = new Map<string, Written>();
const values = generatedValues();
for (const [key, value] of values) {
  try {
    const { output, warnings, notes } = formatFile('dotenv', {
      kind: 'fields',
      fields: new Map([[key, value]]),
    });
    written.set(key, { value, text: Buffer.from(output).toString(), warnings: [...warnings, ...notes] });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    expect(error.message).toContain(JSON.stringify(key));
    refused.push(key);
  }
}

/** Those that a warning with the key's name tells this reader to be careful with. */
function warnedOf(reader: DotenvReader): ReadonlySet<string> {
  return new Set(
    [...written]
      .filter(([key, { warnings }]) =>
        warnings.some((one) => one.startsWith(`"${key}": `) && one.includes(reader)),
      )
      .map(([key]) => key),
  );
}

let files = 0;
function fileOf(keys: readonly string[]): string {
  const path = join(folder.path, `${files++}.env`);
  writeFileSync(path, keys.map((key) => written.get(key)?.text).join(''));
  return path;
}

/** Those that the reader is not warned of and reads otherwise than they were. */
function misread(
  reader: DotenvReader,
  read: ReadEnvFile,
  also: (one: Written) => boolean = () => true,
): unknown[] {
  const warned = warnedOf(reader);
  const keys = [...written].filter(([key, one]) => !warned.has(key) && also(one)).map(([key]) => key);
  const found = read(fileOf(keys), keys);
  console.log(
    `${reader}: ${keys.length} of ${values.size} equal, ${warned.size} warned of, ${refused.length} refused`,
  );
  const different = keys.filter((key) => found.get(key) !== written.get(key)?.value);
  return [
    ...different.slice(0, 5).map((key) => [written.get(key)?.text, found.get(key)]),
    ...(found.size === keys.length ? [] : [`${found.size} keys instead of ${keys.length}`]),
  ];
}

/** Of what the reader is warned of, what is a variable of its own, or takes another one in. */
function otherKeys(read: ReadEnvFile): string[] {
  const keys = new Set(written.keys());
  return [...keys.symmetricDifference(new Set(read(fileOf([...keys]), [...keys]).keys()))];
}

it('refuses few, and warns of few but for docker', () => {
  expect(refused.length).toBeLessThan(values.size / 20);
  const none = [...written].filter(
    ([, { warnings }]) => !warnings.some((one) => !one.includes('docker --env-file takes the quotes')),
  );
  expect(none.length).toBeGreaterThan(values.size / 3);
});

it('initbox itself reads all of them, in render', () => {
  const found = readDotenv([...written.values()].map(({ text }) => text).join(''));
  const different = [...written].filter(([key, { value }]) => found.get(key) !== value);
  expect(different.slice(0, 5).map(([key, { text }]) => [text, found.get(key)])).toEqual([]);
});

it('Node', () => {
  const read = nodeReader(folder.path);
  expect(misread('Node', read)).toEqual([]);
  expect(otherKeys(read)).toEqual([]);
});

it('npm dotenv', () => {
  expect(misread('npm dotenv', npmReader())).toEqual([]);
  expect(otherKeys(npmReader())).toEqual([]);
});

describe.skipIf(requireOrSkip('dotenv read by python-dotenv', canInstallPython()))('Python', () => {
  it('python-dotenv, as it is by default', async () => {
    const read = await pythonReader(folder.path);
    expect(misread('python-dotenv', read)).toEqual([]);
    expect(otherKeys(read)).toEqual([]);
  });
});

describe.skipIf(requireOrSkip('dotenv read by docker, compose and godotenv', canGetGo()))('Go', () => {
  beforeAll(() => goEnvReaders());

  it('docker --env-file', async () => {
    expect(misread('docker --env-file', await goReader('docker', folder.path))).toEqual([]);
  });

  it.each(['compose', 'godotenv'] as const)('%s', async (name) => {
    const read = await goReader(name, folder.path);
    expect(misread(name, read)).toEqual([]);
    expect(otherKeys(read)).toEqual([]);
  });
});

it.skipIf(requireOrSkip('dotenv read by ruby', whyMissing('ruby', 'ruby-dotenv')))('ruby dotenv', () => {
  // Before 2.8 a line was a value; before 3.0 \n in double quotes was a line end. Debian's may be as old.
  const version = rubyVersion();
  const old = ({ value, text }: Written): boolean =>
    version < 3 && (value.includes('\n') || (/="/.test(text) && /\\[nr]/.test(value)));
  expect(misread('ruby dotenv', rubyReader(folder.path), (one) => !old(one))).toEqual([]);
  expect(existsSync(join(folder.path, 'EXECUTED'))).toBe(false);
});

it.skipIf(requireOrSkip('dotenv read by bash', whyMissing('bash', 'bash')))(
  'bash, which runs nothing of it',
  () => {
    const read = bashReader(folder.path);
    expect(misread('bash', read)).toEqual([]);
    // Those that it reads otherwise as well.
    const keys = [...written.keys()];
    expect([...read(fileOf(keys), keys).keys()]).toEqual(keys);
    expect(existsSync(join(folder.path, 'EXECUTED'))).toBe(false);
  },
);
