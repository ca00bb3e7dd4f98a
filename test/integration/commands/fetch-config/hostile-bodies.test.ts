// Bodies that cost more to read than they should: in memory, in time, and in deafness to signals.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

describe('JSON of more values than are read', () => {
  const words = 'it has more than 50,000 values';
  const fields = (count: number): string =>
    `{${Array.from({ length: count }, (_, at) => `"k${at}":"v"`).join(',')}}`;
  const many = fields(400_000);
  const inVault = (data: string): string => `{"data":{"data":${data},"metadata":{"version":1}}}`;
  const list = `{"a":[${Array.from({ length: 400_000 }, (_, at) => `"v${at}"`).join(',')}]}`;
  const policies = Array.from({ length: 600_000 }, (_, at) => `"p${at}"`).join(',');

  test('is refused in words, wherever it comes from', async () => {
    await using server = await startFaultServer({
      '/many': respond(200, many, json),
      '/many.json': respond(200, many, json),
      '/v1/secret/data/many': respond(200, inVault(many), json),
      '/v1/secret/data/list': respond(200, inVault(list), json),
      '/v1/auth/userpass/login/u': respond(
        200,
        `{"auth":{"client_token":"x","policies":[${policies}]}}`,
        json,
      ),
    });
    const source = join(folder, 'many.json');
    const properties = join(folder, 'many.properties');
    const dotenv = join(folder, 'many.env');
    const password = join(folder, 'password');
    writeFileSync(source, many);
    writeFileSync(properties, Array.from({ length: 60_000 }, (_, at) => `k${at}=v\n`).join(''));
    writeFileSync(dotenv, Array.from({ length: 60_000 }, (_, at) => `K${at}=v\n`).join(''));
    writeFileSync(password, 'hunter22');
    const env = { VAULT_ADDR: server.url };
    const token = { ...env, VAULT_TOKEN: 'hvs.x' };
    const render = ['render', template, '--to', target, '--language', 'liquid', '--data'];
    for (const [args, variables, status] of [
      [['fetch-config', `${server.url}/many#k1`, '--to', target], env, 69],
      [['fetch-config', `file:${source}#k1`, '--to', target], env, 69],
      [['fetch-config', 'vault:secret/many?kv=2#k1', '--to', target], token, 69],
      [['fetch-config', 'vault:secret/list?kv=2', '--to', target, '--format', 'json'], token, 69],
      [
        [
          'fetch-config',
          'vault:secret/many?kv=2#k1',
          '--to',
          target,
          '--vault-user',
          'u',
          '--vault-password-file',
          password,
        ],
        env,
        69,
      ],
      [[...render, `d=${server.url}/many.json`], env, 69],
      [[...render, `d=${source}`], env, 2],
      [[...render, `d=${properties}`], env, 2],
      [[...render, `d=${dotenv}`], env, 2],
      [
        ['wait-http', `${server.url}/many`, '--json', '/a=1', '--timeout', '1s', '--max-size', '16Mi'],
        env,
        124,
      ],
    ] as const) {
      const result = await runToDeadline(args, { env: variables });
      // A login's answer of that size is refused before it is read.
      const expected = args.some((word) => word === '--vault-user') ? /over the limit of 1 MiB/ : words;
      expect(result.stderr).toMatch(args[0] === 'wait-http' ? /more than 50000 values/ : expected);
      expect(result.status).toBe(status);
    }
  });
  test('as many as are read are read; bytes that are written as they are have no bound', async () => {
    await using server = await startFaultServer({
      '/many': respond(200, many, json),
      '/fields': respond(200, fields(49_999), json),
    });
    for (const [source, file] of [
      [`${server.url}/many`, 'whole'],
      [`${server.url}/fields#k49998`, 'one'],
    ] as const) {
      const out = join(folder, file);
      expect(await runInitbox(['fetch-config', source, '--to', out])).toMatchObject({ status: 0 });
    }
    expect(readFileSync(join(folder, 'whole'), 'utf8')).toBe(many);
    expect(readFileSync(join(folder, 'one'), 'utf8')).toBe('v');
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
    ['fetch-config', `${server.url}/`, '--to', target, '--timeout', '5m'],
    // A busy machine needs longer for it than a try has.
    [
      'wait-http',
      `${server.url}/`,
      '--body',
      'aaa',
      '--max-size',
      '1Mi',
      '--timeout',
      '5m',
      '--attempt-timeout',
      '4m',
    ],
  ]) {
    using limit = limitMemory(128 << 20)!;
    expect(await runInitbox(args, { prefix: limit.prefix })).toMatchObject({ status: 0, signal: null });
  }
});

describe('a signal while YAML is parsed', () => {
  test.each([
    ['before it is published', 19_000, ''],
    ['before it is refused', 19_000, 'k1: again\n'],
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
