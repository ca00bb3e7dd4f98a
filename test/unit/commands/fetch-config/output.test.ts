import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  outputTo,
  prepareOutput,
  publishOutput,
  summaryText,
  type Output,
  type OutputContent,
} from '../../../../src/config/outputs.ts';
import type { FieldValue } from '../../../../src/config/source.ts';
import { systemHost } from '../../../../src/process/host.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { fakeContext } from '../../fake-context.ts';

const settings = { allowDisk: true, set: 'test' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'initbox-test-output-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function output(name: string, more: Partial<Output> = {}): Output {
  return { folder, name, format: 'json', secret: false, origin: `spec:${name}`, ...more };
}

const fields = (given: Record<string, FieldValue>): OutputContent => ({
  content: { kind: 'fields', fields: new Map(Object.entries(given)) },
  secret: false,
});

function publish(contents: ReadonlyMap<Output, OutputContent>, signal = new AbortController().signal) {
  const { log } = fakeContext();
  const context = { signal, clock: systemClock, random: Math.random, host: systemHost, log };
  return publishOutput([...contents.keys()], contents, settings, context);
}

describe('what cannot be asked for', () => {
  it('one path twice', () => {
    expect(() => prepareOutput([output('a'), output('a', { origin: 'spec:9:1' })], settings)).toThrow(
      `spec:9:1: ${folder}/a is written twice; the other is spec:a`,
    );
  });

  it('a file below a file', () => {
    expect(() => prepareOutput([output('a'), output('a/b')], settings)).toThrow(
      /is below .*which must be a file/,
    );
  });

  it('a path that leaves the folder', () => {
    expect(() => prepareOutput([output('../a')], settings)).toThrow(/^spec:\.\.\/a: .*leaves the target/);
  });

  it('a folder by a link that others may have made', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'alias'));
    const alias = output('x', { folder: join(folder, 'alias'), origin: 'alias' });
    expect(() => prepareOutput([alias], settings)).toThrow(
      `cannot write ${folder}/alias/x: ${folder}/alias is a symbolic link to "real", which others may have made`,
    );
  });

  it('a folder that is missing', () => {
    const missing = output('x', { folder: join(folder, 'none'), name: undefined, format: 'files' });
    expect(() => prepareOutput([missing], settings)).toThrow(
      `cannot write ${folder}/none: ${folder}/none does not exist, and ${folder} is not on a volume`,
    );
  });

  it.each(['/', `${tmpdir()}/`])('%s as a file', (path) => {
    const rest = { format: 'raw', secret: false, origin: '--to' } as const;
    expect(() => outputTo(path, rest)).toThrow(/^--to: .* names a folder/);
  });
});

describe('what is written', () => {
  it('is nothing at all where one of the formats cannot hold its content', async () => {
    const contents = new Map([
      [output('good.json'), fields({ a: 1 })],
      [output('bad.env', { format: 'dotenv' }), fields({ 'A-B': 'x' })],
    ]);
    await expect(publish(contents)).rejects.toThrow(
      `cannot write ${folder}/bad.env: "A-B" is not a valid variable name`,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is nothing at all in any folder where one of them refuses it', async () => {
    mkdirSync(join(folder, 'one'));
    mkdirSync(join(folder, 'two'));
    mkdirSync(join(folder, 'two', 'in-the-way'));
    const contents = new Map([
      [output('a', { folder: join(folder, 'one') }), fields({ a: 1 })],
      [output('in-the-way', { folder: join(folder, 'two') }), fields({ a: 1 })],
    ]);
    await expect(publish(contents)).rejects.toThrow('it is a folder');
    expect(readdirSync(join(folder, 'one'))).toEqual([]);
  });

  it('goes to several folders, and is counted', async () => {
    mkdirSync(join(folder, 'sub'));
    const contents = new Map([
      [output('a.json', { folder: join(folder, 'sub') }), fields({ a: 1 })],
      [output('b.json'), fields({ b: 2 })],
      [output('keys', { name: undefined, below: 'keys', format: 'files' }), fields({ k: 'v', l: 'w' })],
    ]);
    const published = await publish(contents);
    expect(published).toMatchObject({ written: 4, unchanged: 0, removed: 0, warnings: [] });
    expect(summaryText(published)).toBe(`4 files written (${published.bytes} bytes)`);
    expect(readFileSync(join(folder, 'keys', 'k'), 'utf8')).toBe('v');
    expect(readFileSync(join(folder, 'sub', 'a.json'), 'utf8')).toBe('{\n  "a": 1\n}\n');
    expect(summaryText(await publish(contents))).toBe('4 files unchanged');
  });

  it('is nothing where the signal came first', async () => {
    const contents = new Map([
      [output('a'), fields({ a: 1 })],
      [output('b'), fields({ a: 1 })],
    ]);
    await expect(publish(contents, AbortSignal.abort(new Error('told to stop')))).rejects.toThrow(
      'told to stop',
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('a file that belongs to a set stays in it when it is published alone', async () => {
    const [a, b] = [output('a'), output('b')];
    await publish(
      new Map([
        [a, fields({ a: 1 })],
        [b, fields({ b: 1 })],
      ]),
    );
    const published = await publish(new Map([[a, fields({ a: 2 })]]));
    expect(published).toMatchObject({ written: 1, removed: 1 });
    expect(readdirSync(folder).filter((name) => !name.startsWith('..'))).toEqual(['a']);
  });
});
