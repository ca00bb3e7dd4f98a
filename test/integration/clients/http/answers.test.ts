import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createHttpClient, usualHttpLimits } from '../../../../src/clients/http/transport.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { runInitbox } from '../../../support/program.ts';
import { findInPath, requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serveSockets, type Listening } from '../../commands/wait-http/servers.ts';
import { rawAnswers, type RawAnswer, type Verdict } from './answers.ts';

/** Serves each answer at the path with its number, whole or byte by byte. */
async function serveRaw(dripping: boolean): Promise<Listening> {
  return serveSockets((socket) => {
    socket.once('data', (request) => {
      const { bytes, stays } = rawAnswers[Number(/^\S+ \/(\d+)/.exec(request.toString())?.[1])] as RawAnswer;
      const whole = Buffer.from(bytes, 'latin1');
      socket.setNoDelay(true);
      if (dripping && whole.length < 1000) for (const byte of whole) socket.write(Buffer.of(byte));
      else socket.write(whole);
      if (!stays) socket.end();
    });
  });
}

let server: Listening;
beforeAll(async () => {
  server = await serveRaw(false);
});
afterAll(() => server.close());

/** The verdict of our client; what it refuses, with its words. */
async function ask(
  at: Listening,
  index: number,
  forgiving: boolean,
): Promise<{ verdict: Verdict; words: string }> {
  using client = createHttpClient({
    resolve: () => Promise.reject(new Error('no name is asked for')),
    clock: systemClock,
    proxy: () => undefined,
    tls: { verify: true },
    patience: usualHttpLimits,
    parallel: 1,
    forgiving,
  });
  const answer = await client.send(
    {
      method: 'GET',
      url: new URL(`${at.url}/${index}`),
      headers: {},
      maxBody: 1_000_000,
      maxBodyOrigin: 'a test',
    },
    { signal: AbortSignal.timeout(30_000), phase: () => {} },
  );
  if (answer.state !== 'response') return { verdict: undefined, words: answer.reason };
  return { verdict: { status: answer.status, body: answer.body.toString('latin1') }, words: '' };
}

function askCurl(index: number): Promise<Verdict> {
  const given = ['-sS', '--max-time', '30', '-w', '\n%{http_code}', `${server.url}/${index}`];
  const env = { PATH: process.env['PATH'] ?? '' };
  return new Promise((resolve) => {
    execFile('curl', given, { encoding: 'latin1', env }, (error, stdout) => {
      const [, body = '', status = ''] = /^([^]*)\n(\d+)$/.exec(stdout) ?? [];
      resolve(error === null ? { status: Number(status), body } : undefined);
    });
  });
}

const numbered = rawAnswers.map((answer, index) => ({ ...answer, index }));
const expected = ({ curl, ours }: RawAnswer): Verdict => (ours === undefined ? curl : ours.verdict);

test('there are more than thirty that curl reads, and few differences', () => {
  expect(rawAnswers.filter(({ curl }) => curl !== undefined).length).toBeGreaterThanOrEqual(30);
  expect(rawAnswers.filter(({ ours }) => ours !== undefined).map(({ name }) => name)).toEqual([
    'an empty line before it',
    'two lengths that differ',
    'a folded length',
    'an end behind the status line',
    'an end inside the headers',
  ]);
});

describe.skipIf(requireOrSkip('curl', whyMissing('curl', 'curl')))('curl', () => {
  const stable = numbered.filter(({ varies }) => findInPath('curl') !== undefined && !varies);
  test.each(stable)('$name', async ({ index, curl }) => expect(await askCurl(index)).toEqual(curl));
});

describe.each([true, false])('our client, forgiving: %s', (forgiving) => {
  test.each(numbered)('$name', async (answer) => {
    const { verdict, words } = await ask(server, answer.index, forgiving);
    if (/^(more|another answer) (than|behind) /.test(answer.name) && !forgiving) {
      // What is written to a file is right or refused; curl cuts it off.
      expect(words).toMatch(
        /the server sent more than the 2 B that it announced|not framed as HTTP requires \(bytes follow its end\)/,
      );
      expect(words).not.toMatch(/HPE_|Parse Error/);
      return;
    }
    expect(verdict, words).toEqual(expected(answer));
    // Node's own codes tell nobody anything.
    expect(words).not.toMatch(/HPE_|Parse Error/);
  });
});

test('the same, byte by byte', async () => {
  await using dripping = await serveRaw(true);
  for (const answer of numbered) {
    const { verdict, words } = await ask(dripping, answer.index, true);
    expect({ name: answer.name, verdict }, words).toEqual({ name: answer.name, verdict: expected(answer) });
  }
});

describe('the program', () => {
  const place = temporaryDirectory('answers');
  afterAll(() => place.remove());
  const read = numbered.filter((answer) => expected(answer)?.status === 200);

  test('wait-http is ready by every answer that curl reads', async () => {
    const urls = read.map(({ index }) => `${server.url}/${index}`);
    const { status, stderr } = await runInitbox(['wait-http', ...urls, '--body', 'ok', '--timeout', '1m']);
    expect(stderr).not.toMatch(/does not speak|not valid HTTP/);
    expect(status).toBe(0);
  });

  test('fetch-config writes what curl writes', async () => {
    for (const name of [
      'a folded header',
      'lines that end with LF',
      'a header of 20 KiB',
      'the same length twice',
    ]) {
      const { index } = numbered.find((answer) => answer.name.startsWith(name)) ?? { index: -1 };
      const to = join(place.path, `${index}`);
      const { status, stderr } = await runInitbox([
        'fetch-config',
        `${server.url}/${index}`,
        '--to',
        to,
        '--timeout',
        '1m',
      ]);
      expect(stderr).not.toContain('error');
      expect(status).toBe(0);
      expect(readFileSync(to, 'utf8')).toBe('ok');
    }
  });
});
