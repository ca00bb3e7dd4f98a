import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { FormatError } from '../../../../src/config/formats/entries.ts';
import { formatFile } from '../../../../src/config/formats/format.ts';
import { goReader, type ReadEnvFile } from '../../../support/env-readers.ts';
import { canGetGo, goEnvReaders } from '../../../support/go.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { generatedValues } from './values.ts';

const folder = temporaryDirectory('env-file');
afterAll(() => folder.remove());
const path = join(folder.path, 'app.env');

function formatted(fields: ReadonlyMap<string, string>): ReturnType<typeof formatFile> {
  return formatFile('env-file', { kind: 'fields', fields });
}

/** Each is read as it was; or refused, or warned of, with its name. */
function roundTrip(read: ReadEnvFile, all: ReadonlyMap<string, string>): Record<string, number> {
  const counts = { equal: 0, refused: 0, warned: 0 };
  const good = new Map<string, string>();
  for (const [key, value] of all) {
    try {
      const { warnings } = formatted(new Map([[key, value]]));
      if (warnings.length === 0) good.set(key, value);
      else {
        expect(warnings.join()).toContain(JSON.stringify(key));
        counts.warned++;
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      expect(error.message).toContain(JSON.stringify(key));
      counts.refused++;
    }
  }
  // The kubelet reads the file from its beginning for every key.
  const entries = [...good];
  for (let from = 0; from < entries.length; from += 200) {
    const part = new Map(entries.slice(from, from + 200));
    writeFileSync(path, formatted(part).output);
    const found = read(path, [...part.keys()]);
    const different = [...part].filter(([key, value]) => found.get(key) !== value);
    expect(different.slice(0, 5).map(([key, value]) => [key, value.slice(0, 200)])).toEqual([]);
    counts.equal += part.size;
  }
  return counts;
}

describe.skipIf(requireOrSkip("env files read by the kubelet's parser", canGetGo()))(
  'the kubelet’s parser',
  () => {
    beforeAll(() => goEnvReaders());

    it('5,000 values: equal, refused, or warned of', async () => {
      const all = generatedValues();
      const counts = roundTrip(await goReader('kubelet', folder.path), all);
      console.log(counts);
      expect(counts).toMatchObject({ warned: 1 });
      // Those with a single quote, a CR LF, or more than fits into a variable, and no others.
      const legal = [...all.values()].filter(
        (value) => !value.includes("'") && !value.includes('\r\n') && value !== '' && value.length < 100_000,
      );
      expect(counts['equal']).toBe(legal.length);
    });

    it('values and lines at the limits', async () => {
      const read = await goReader('kubelet', folder.path);
      const line = 'x'.repeat(65_535 - `KEY=''`.length);
      const lines = `${'y'.repeat(60_000)}\n`.repeat(2);
      const all = new Map([
        ['KEY', line],
        ['LONG', `${lines}${'z'.repeat(131_071 - lines.length - 'LONG='.length)}`],
        ['MIDDLE', `a\n${'x'.repeat(65_535)}\nb`],
        ['LAST', `a\n${'x'.repeat(65_534)}`],
      ]);
      expect(roundTrip(read, all)).toEqual({ equal: 4, refused: 0, warned: 0 });
      for (const [key, value] of all) {
        const longer = key === 'MIDDLE' ? value.replace('x', 'xx') : `${value}x`;
        expect(() => formatted(new Map([[key, longer]]))).toThrow(`"${key}" has `);
      }
      // What would be written is what the parser does not read: the limit is not guessed.
      writeFileSync(path, `KEY='${line}x'\n`);
      expect(() => read(path, ['KEY'])).toThrow();
      writeFileSync(path, `LAST='a\n${'x'.repeat(65_535)}'\n`);
      expect(() => read(path, ['LAST'])).toThrow();
    });

    it('keys that only some would take', async () => {
      const keys = [
        'a.b-c',
        '1X',
        'export K',
        'A B',
        'x'.repeat(300),
        '-',
        '$',
        "it's",
        '"',
        'a#b',
        '__proto__',
      ];
      const counts = roundTrip(
        await goReader('kubelet', folder.path),
        new Map(keys.map((key, index) => [key, `value ${index}\nEVIL='x`.replace("'", '"')])),
      );
      expect(counts).toEqual({ equal: keys.length, refused: 0, warned: 0 });
    });
  },
);
