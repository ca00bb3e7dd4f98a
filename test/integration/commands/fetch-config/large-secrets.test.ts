// Secrets of megabytes: what they cost on their way past the log, in memory, in time and in deafness to signals.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { respond, startFaultServer } from './fault-server.ts';

/** A bundle of certificates, as far as its lines go. */
function bundle(bytes: number): string {
  let text = '';
  while (text.length < bytes) {
    const lines = randomBytes(900).toString('base64').replace(/.{64}/g, '$&\n');
    text += `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
  return text;
}

const fields = (count: number, value: () => string): string =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, value()])));

const probe = limitMemory(128 << 20);
probe?.[Symbol.dispose]();
const missing = requireOrSkip(
  'large secrets',
  canMount() ?? (probe === undefined ? 'no cgroup can be made' : undefined),
);

describe.skipIf(missing)('under 128 MiB', () => {
  let volume: Mounted;
  beforeAll(() => {
    volume = mountTmpfs({ size: '64m' });
  });
  afterAll(() => volume[Symbol.dispose]());

  test.each([
    ['220 kB of certificates', 'raw', () => bundle(220_000)],
    ['1 MB of certificates', 'raw', () => bundle(1_000_000)],
    ['4 MB of certificates', 'raw', () => bundle(4_000_000)],
    ['4 MB in one line', 'raw', () => randomBytes(3_000_000).toString('base64')],
    ['2 MB of equal lines', 'raw', () => 'one line of it\n'.repeat(140_000)],
    ['1,000 values of 1 kB', 'json', () => fields(1000, () => randomBytes(750).toString('base64'))],
    ['1,000 bundles of 1 kB', 'json', () => fields(1000, () => bundle(1000))],
  ])('%s pass as %s, and no line of them is in the log', async (name, format, content) => {
    const place = join(volume.path, name.replaceAll(/\W+/g, '-'));
    mkdirSync(place);
    const source = join(place, 'source.json');
    const out = join(place, 'out');
    writeFileSync(source, content());
    using limit = limitMemory(128 << 20)!;
    const args = [`file:${source}`, '--to', out, '--format', format, '--log-level', 'debug'];
    const result = await runInitbox(['fetch-config', ...args], { prefix: limit.prefix });
    expect(result).toMatchObject({ status: 0, signal: null, stdout: '' });
    const [given, written] = [source, out].map((path) => readFileSync(path, 'utf8'));
    if (format === 'raw') expect(written).toBe(given);
    else expect(JSON.parse(written!)).toEqual(JSON.parse(given!));
    for (const line of given!.split(/[\n":,]/, 2000))
      if (line.length > 12) expect(result.stderr).not.toContain(line);
  });

  test('SIGTERM is obeyed at any moment, with 1 MB of secrets and a log that never rests', async () => {
    const source = join(volume.path, 'ca.pem');
    writeFileSync(source, bundle(1_000_000));
    await using server = await startFaultServer({ '/late': respond(503, 'not yet') });
    const spec = join(volume.path, 'spec.yaml');
    const files = [
      { path: join(volume.path, 'a'), from: [`file:${source}`] },
      { path: join(volume.path, 'b'), from: [`${server.url}/late`] },
    ];
    writeFileSync(spec, JSON.stringify({ files }));
    for (let attempt = 0; attempt < 8; attempt++) {
      using limit = limitMemory(128 << 20)!;
      const running = await startInitbox(
        ['fetch-config', '--spec', spec, '--interval', '100ms', '--log-level', 'debug'],
        { prefix: limit.prefix },
      );
      await running.waitForStderr(/./);
      await sleep(Math.random() * 600);
      running.kill('SIGTERM');
      const { status, stderr } = await within(promptly, running.exit);
      expect(stderr).toContain('ended by SIGTERM');
      expect(status).toBe(143);
    }
  });
});
