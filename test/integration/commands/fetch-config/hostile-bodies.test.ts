// Bodies that cost more to read than they should: in memory, in time, and in deafness to signals.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, describe, expect, test } from 'vitest';

import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

const folder = mkdtempSync('/dev/shm/initbox-hostile-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const target = join(folder, 'out');
const template = join(folder, 't.tmpl');
writeFileSync(template, 'x\n');

const json = { 'Content-Type': 'application/json' };
const deep = '['.repeat(900_000);

describe('JSON that is nested by the million', () => {
  test('is refused in words, at once, wherever it comes from', async () => {
    await using server = await startFaultServer({
      '/deep': respond(200, deep, json),
      // Fewer values than wait-http takes of a body.
      '/nested': respond(200, '['.repeat(20_000), json),
      '/deep.json': respond(200, deep, json),
      '/v1/sys/internal/ui/mounts/secret/x': respond(200, deep, json),
      '/v1/secret/data/x': respond(200, deep, json),
    });
    const vault = { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.x' };
    const words = 'it is nested deeper than 1,000 levels';
    const render = ['render', template, '--to', target, '--language', 'liquid', '--data'];
    for (const [args, status] of [
      [['fetch-config', `${server.url}/deep#a`, '--to', target], 69],
      [['fetch-config', 'vault:secret/x?kv=2', '--to', target, '--format', 'json'], 69],
      [[...render, `d=${server.url}/deep.json`], 69],
      [['wait-http', `${server.url}/nested`, '--json', '/a=1', '--timeout', '1s'], 124],
    ] as const) {
      const result = await runToDeadline(args, { env: vault });
      expect(result.stderr).toContain(words);
      expect(result.status).toBe(status);
    }
  });
});

/** Each byte of the body in a chunk of its own. */
function tinyChunks(bytes: number): Behaviour {
  return (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write('1\r\na\r\n'.repeat(bytes));
    socket.write('0\r\n\r\n');
  };
}

const probe = limitMemory(128 << 20);
probe?.[Symbol.dispose]();
const missing = requireOrSkip('bodies', probe === undefined ? 'no cgroup can be made' : undefined);

test.skipIf(missing)('a body in 300,000 chunks of one byte takes no more memory than others', async () => {
  await using server = await startFaultServer({ '/': tinyChunks(300_000) });
  for (const args of [
    ['fetch-config', `${server.url}/`, '--to', target, '--timeout', '50s'],
    ['wait-http', `${server.url}/`, '--body', 'aaa', '--max-size', '1Mi', '--timeout', '50s'],
  ]) {
    using limit = limitMemory(128 << 20)!;
    expect(await runInitbox(args, { prefix: limit.prefix })).toMatchObject({ status: 0, signal: null });
  }
});

describe('a signal while YAML is parsed', () => {
  test.each([
    ['before it is published', 40_000, ''],
    ['before it is refused', 40_000, 'k1: again\n'],
  ])('%s', async (_name, keys, last) => {
    const yaml = `${Array.from({ length: keys }, (_, at) => `k${at}: v`).join('\n')}\n${last}`;
    let sent = (): void => {};
    const served = new Promise<void>((resolve) => (sent = resolve));
    await using server = await startFaultServer({
      '/a.yaml': (socket, request) => {
        respond(200, yaml, { 'Content-Type': 'text/yaml' })(socket, request);
        sent();
      },
    });
    const out = join(folder, `yaml-${last.length}`);
    const args = [
      'render',
      template,
      '--data',
      `d=${server.url}/a.yaml`,
      '--language',
      'liquid',
      '--to',
      out,
    ];
    const running = await startInitbox(args);
    await served;
    await sleep(150);
    running.kill('SIGTERM');
    expect(await running.exit).toMatchObject({ status: 143 });
  });
});
