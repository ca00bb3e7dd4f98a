// Every command that holds a secret, and every kind of failure, with 200 canaries: none is in what the program says, in its
// command line or in its children's, or in any file but its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSocketServer, type AddressInfo, type Server as SocketServer } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { canaries, showsCanary } from './canaries.ts';
import { leaksIn, someCanaries as some } from './canary-run.ts';

const missing = requireOrSkip('canaries of every command', canMount());

const names = Object.keys(canaries);
describe.skipIf(missing)('no canary leaves', () => {
  const folder = memoryFolders('64m');
  let echo: Server;
  let url: string;
  let postgres: SocketServer;
  let database: number;
  beforeAll(async () => {
    echo = createServer(answerWithEcho);
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
    postgres = echoingPostgres();
    await new Promise<void>((resolve) => postgres.listen(0, '127.0.0.1', resolve));
    database = (postgres.address() as AddressInfo).port;
  });
  afterAll(() => {
    echo.closeAllConnections();
    echo.close();
    postgres.close();
  });

  test('the search finds each of them', () => {
    expect(names).toHaveLength(200);
    for (const value of Object.values(canaries)) expect(value).toMatch(showsCanary);
  });

  const leaks = leaksIn(folder);

  const formats = ['raw', 'json', 'yaml', 'dotenv', 'properties', 'shell', 'files'];
  test.each(formats)(
    'fetch-config --format %s: written, to a disk, cut off, doubled, not there',
    async (format) => {
      const fetch = (...more: readonly string[]) => [...more, '--format', format];
      expect(
        await leaks({
          args: (at) => ['fetch-config', ...fetch(`file:${at}/in.json`, '--to', to(at, format))],
        }),
      ).toEqual([]);
      expect(
        await leaks({
          args: (at) => ['fetch-config', ...fetch(`file:${at}/in.json`, '--to', '/tmp/initbox-canary')],
        }),
      ).toEqual([]);
      expect(
        await leaks({
          args: (at) => ['fetch-config', ...fetch(`file:${at}/in.json#nope`, '--to', `${at}/out`)],
        }),
      ).toEqual([]);
      expect(
        await leaks({
          args: (at) => ['fetch-config', ...fetch(`file:${at}/in.json`, '--to', `${at}/in.json/out`)],
        }),
      ).toEqual([]);
      for (const damage of [
        (text: string) => text.slice(0, -30),
        (text: string) => text.slice(0, 5000),
        (text: string) => text.replace('":"', '":'),
        (text: string) => text.replace('CANARY_1"', 'CANARY_0"'),
        (text: string) => `${text}${text}`,
      ])
        expect(
          await leaks({
            args(at) {
              writeFileSync(join(at, 'damaged.json'), damage(JSON.stringify(canaries)));
              return ['fetch-config', ...fetch(`file:${at}/damaged.json#CANARY_3`, '--to', to(at, format))];
            },
          }),
        ).toEqual([]);
    },
  );

  test('fetch-config --env: a command that is not there, two values for a name, what takes over', async () => {
    expect(
      await leaks({
        args: (at) => ['fetch-config', `file:${at}/in.json`, '--env', '--', '/no/such/command'],
      }),
    ).toEqual([]);
    const twice = (at: string) => [`file:${at}/in.json`, `file:${at}/in.json#CANARY_5`];
    expect(await leaks({ args: (at) => ['fetch-config', ...twice(at), '--env', '--', 'true'] })).toEqual([]);
    expect(await leaks({ args: (at) => ['fetch-config', `file:${at}/in.json`, '--dry-run'] })).toEqual([]);
    expect(
      await leaks({
        args: () => ['fetch-config', 'env:CANARY_*', '--env', '--', 'true'],
        env: sendable(),
      }),
    ).toEqual([]);
    expect(
      await leaks({
        args: (at) => ['fetch-config', 'env:CANARY_*', '--to', `${at}/out`],
        env: sendable(),
      }),
    ).toEqual([]);
  });

  test.each(['base64', 'json'])('a specification that decodes each value as %s', async (decode) => {
    for (const name of names.filter((_, index) => index % 10 === 0))
      expect(
        await leaks({
          args(at) {
            const from = [{ source: `file:${at}/in.json`, keys: { [name]: { decode } } }];
            writeFileSync(
              join(at, 'spec.yaml'),
              JSON.stringify({ files: [{ path: `${at}/out`, format: 'json', from }] }),
            );
            return ['fetch-config', '--spec', `${at}/spec.yaml`];
          },
        }),
      ).toEqual([]);
  });

  test.each(['yaml', 'json', 'toml', 'ini', 'xml'])(
    'render --check %s, each value where it does not belong',
    async (what) => {
      for (const [language, open, close] of [
        ['env', '${', '}'],
        ['liquid', '{{', '}}'],
      ] as const)
        expect(
          await leaks({
            args(at) {
              mkdirSync(join(at, 'templates'));
              for (const name of names)
                writeFileSync(join(at, 'templates', name), `a: ${open}${name}${close}\n`);
              const words = ['--data', `${at}/in.json`, '--language', language, '--check', what];
              return ['render', `${at}/templates`, '--to', `${at}/out/`, ...words];
            },
          }),
        ).toEqual([]);
    },
  );

  test('render: filters that take a value for something else', async () => {
    const uses = [
      'xml',
      'properties',
      'shell',
      'date: "%"',
      'plus: 1',
      'split: x | nope',
      'where: "a"',
      'slice: v',
    ];
    for (const use of uses)
      expect(
        await leaks({
          args(at) {
            const text = names.map((name) => `{{ ${name} | ${use} }}\n`).join('');
            writeFileSync(join(at, 'template'), text);
            return [
              'render',
              `${at}/template`,
              '--to',
              `${at}/out`,
              '--data',
              `${at}/in.json`,
              '--language',
              'liquid',
            ];
          },
        }),
      ).toEqual([]);
  });

  test('wait-http: a server that repeats the header in its status, headers, body and redirect', async () => {
    for (const [, value] of some(3))
      for (const path of ['/status', '/body', '/redirect', '/json'])
        expect(
          await leaks({
            args: () => [
              'wait-http',
              url + path,
              '--header-env',
              'X-Canary=TOKEN',
              '--body',
              'never',
              '--timeout',
              '250ms',
            ],
            env: { TOKEN: value },
          }),
        ).toEqual([]);
  });

  test('fetch-config: a server and a Vault that repeat what they were sent', async () => {
    for (const [, value] of some(6)) {
      for (const path of ['/status', '/redirect', '/json'])
        expect(
          await leaks({
            args: (at) => [
              'fetch-config',
              url + path,
              '--to',
              `${at}/out`,
              '--header-env',
              'X-Canary=TOKEN',
              '--timeout',
              '250ms',
            ],
            env: { TOKEN: value },
          }),
        ).toEqual([]);
      expect(
        await leaks({
          args(at) {
            writeFileSync(join(at, 'password'), value);
            const login = ['--vault-user', 'app', '--vault-password-file', `${at}/password`];
            return [
              'fetch-config',
              'vault:secret/a',
              ...login,
              '--vault-addr',
              url,
              '--to',
              `${at}/out`,
              '--timeout',
              '2s',
            ];
          },
        }),
      ).toEqual([]);
    }
  });

  test.each(['wait-postgres', 'migrate-with-lock'])(
    '%s: a database that repeats the password',
    async (command) => {
      for (const [, value] of some(9)) {
        const address = `postgres://app:${encodeURIComponent(value)}@127.0.0.1:${database}/app?sslmode=disable`;
        const more = command === 'wait-postgres' ? [] : ['--', 'true'];
        expect(
          await leaks({
            args: () => [command, '--timeout', '2s', ...more],
            env: { DATABASE_URL: address },
          }),
        ).toEqual([]);
        const pg = { PGHOST: '127.0.0.1', PGPORT: String(database), PGUSER: 'app', PGSSLMODE: 'disable' };
        expect(
          await leaks({
            args: () => [command, '--timeout', '2s', ...more],
            env: { ...pg, PGPASSWORD: value },
          }),
        ).toEqual([]);
      }
    },
  );

  test('run: steps that fail with a secret in their variables', async () => {
    const plan = (at: string) => {
      const steps = [
        { name: 'fetch', uses: 'fetch-config', sources: [`file:${at}/in.json`], env: true },
        { name: 'wait', uses: 'wait-tcp', targets: ['$(TARGET)'], timeout: '200ms' },
        { name: 'command', command: ['/no/such/command', 'x'], needs: ['fetch'] },
      ];
      writeFileSync(join(at, 'plan.yaml'), JSON.stringify({ steps }));
      return join(at, 'plan.yaml');
    };
    for (const [, value] of some(12)) {
      const env = { TARGET: `postgres://app:${encodeURIComponent(value)}@127.0.0.1:1/app` };
      expect(await leaks({ args: (at) => ['run', plan(at), '--', 'true'], env })).toEqual([]);
      expect(await leaks({ args: (at) => ['run', plan(at), '--dry-run'], env })).toEqual([]);
    }
  });
});

const to = (at: string, format: string): string => {
  if (format === 'files') mkdirSync(join(at, 'out'), { recursive: true });
  return join(at, 'out');
};

/** What a variable can hold. */
function sendable(): Record<string, string> {
  return Object.fromEntries(Object.entries(canaries).filter(([, value]) => value.length < 20_000));
}

function answerWithEcho(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (part: Buffer) => (body += part.toString()));
  request.on('end', () => {
    const value = String(request.headers['x-canary'] ?? body);
    const path = request.url ?? '';
    if (path === '/status') {
      response.writeHead(500, value.replace(/[^\x20-\x7e]/g, ' '), { 'X-Echo': encodeURIComponent(value) });
      response.end(value);
    } else if (path === '/redirect') {
      response.writeHead(302, { Location: `http://127.0.0.1:1/?x=${encodeURIComponent(value)}` }).end(value);
    } else if (path === '/body') response.end(value);
    else
      response
        .writeHead(400, { 'Content-Type': 'application/json' })
        .end(JSON.stringify({ errors: [value] }));
  });
}

/** Asks for the password in clear text, and repeats it in its error. */
function echoingPostgres(): SocketServer {
  return createSocketServer((socket) => {
    let started = false;
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (!started) {
        started = true;
        socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
        return;
      }
      const password = data.subarray(5, -1).toString();
      const fields = `SFATAL\0VFATAL\0C28P01\0Mpassword "${password}" is wrong\0D${JSON.stringify(password)}\0Htry ${encodeURIComponent(password)}\0\0`;
      const head = Buffer.alloc(5);
      head.write('E');
      head.writeInt32BE(Buffer.byteLength(fields) + 4, 1);
      socket.end(Buffer.concat([head, Buffer.from(fields)]));
    });
  });
}
