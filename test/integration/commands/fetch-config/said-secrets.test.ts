// What servers say is redacted as it came, before any of it is put on one line, cut or read.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline, terminationLog } from '../../../support/program.ts';
import { respond, startFaultServer } from './fault-server.ts';

const folder = mkdtempSync('/dev/shm/initbox-said-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const target = join(folder, 'out');
const json = { 'Content-Type': 'application/json' };
const lines = ['482913', '759204', '110358', '664027'];
const secret = lines.join('\n');

/** Run by itself, it reads the secret, and then what quotes it. */
async function fetchBoth(first: string, second: string, env: Record<string, string>, ...more: string[]) {
  const args = ['fetch-config', first, second, '--to', target, '--merge', 'last', '--format', 'json'];
  const log = terminationLog();
  const { stderr, status } = await runToDeadline(
    [...args, '--timeout', '1500ms', ...more, '--termination-log', log.path],
    { env },
  );
  return { status, text: stderr + log.read() };
}

const quoted: Readonly<Record<string, string>> = {
  'as it is': secret,
  'on one line': lines.join(' '),
  'without its line ends': lines.join(''),
  'with bullets': `2 errors occurred:\n\t* bad value ${secret}\n\t* another\n`,
  indented: lines.join('\r\n      '),
  'in its first line': `${secret}\nand more`,
};

describe('a secret of several short lines that a server repeats', () => {
  test.each(Object.entries(quoted))('Vault, %s', async (_name, message) => {
    await using server = await startFaultServer({
      '/v1/secret/data/a': respond(200, JSON.stringify({ data: { data: { k: secret } } }), json),
      '/v1/secret/data/b': respond(400, JSON.stringify({ errors: [message] }), json),
      '/v1/secret/data/c': respond(400, message, { 'Content-Type': 'text/plain' }),
    });
    const env = { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.x' };
    for (const path of ['b', 'c']) {
      for (const format of ['text', 'json']) {
        const { status, text } = await fetchBoth(
          'vault:secret/a?kv=2',
          `vault:secret/${path}?kv=2`,
          env,
          '--log-format',
          format,
        );
        expect(status).toBe(69);
        expect(text).toContain('answered 400');
        for (const line of lines) expect(text).not.toContain(line);
      }
    }
  });

  test.each(['application/X-Pem-SeCrEt-4711-Value', 'text/html; SeCrEt-4711-Value'])(
    'in a Content-Type: %s',
    async (type) => {
      await using server = await startFaultServer({ '/a': respond(200, '<html>', { 'Content-Type': type }) });
      const { stderr } = await runInitbox(
        [
          'fetch-config',
          `${server.url}/a`,
          '--to',
          target,
          '--header-env',
          'X-Key=KEY',
          '--content-type',
          'text/plain',
        ],
        { env: { KEY: 'SeCrEt-4711-Value' } },
      );
      expect(stderr).toContain('not text/plain');
      expect(stderr.toLowerCase()).not.toContain('4711');
    },
  );
});

describe('an answer of Vault', () => {
  test('of 204 is told as one', async () => {
    await using server = await startFaultServer({
      '/v1/secret/a': (socket) => void socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
    });
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a?kv=1', '--to', target, '--format', 'json'],
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.x' } },
    );
    expect(stderr).toContain('answered 204 without data');
    expect(status).toBe(69);
  });

  test.each([
    ['a text of megabytes', JSON.stringify({ errors: ['role '.repeat(1 << 20)] })],
    ['a million texts', JSON.stringify({ errors: Array.from({ length: 1e6 }, () => 'a') })],
  ])('with %s is told by its size', async (_name, body) => {
    await using server = await startFaultServer({ '/v1/secret/data/a': respond(400, body, json) });
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a?kv=2', '--to', target, '--format', 'json'],
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.x' } },
    );
    expect(stderr).toMatch(/answered 400: \([\d.]+ [KM]iB of text\)/);
    expect(status).toBe(69);
  });
});
