// Servers whose answers never end: of no path of theirs does more come into memory than its limit.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';

const folder = memoryFolders();

/** Bytes after which a server gives up: its client has no bound. */
const enough = 96 << 20;

/** Bytes that may lie between two sockets, with what is on its way. */
const between = 16 << 20;

const mebibyte = 1 << 20;

interface Answering {
  /** The answer to a request whose head and body so far have this text; undefined for the one that never ends. */
  readonly usual?: (request: string) => string | undefined;
  readonly head: string;
  readonly piece?: string;
}

/** Answers with a head, and with bytes as long as anybody takes them. */
async function endless({ usual = () => undefined, head, piece = 'x'.repeat(65_536) }: Answering) {
  let most = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    socket.on('data', (bytes) => {
      const answer = usual(bytes.toString('latin1'));
      if (answer !== undefined) {
        socket.write(answer);
        return;
      }
      let sent = 0;
      const more = (): void => {
        do {
          if (socket.destroyed || sent > enough) return void socket.destroy();
          sent += piece.length;
          most = Math.max(most, sent);
        } while (socket.write(piece));
        socket.once('drain', more);
      };
      socket.removeAllListeners('data').resume().write(head);
      more();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    most: () => most,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

type Endless = Awaited<ReturnType<typeof endless>>;

const headOf = (status: number, type: string): string =>
  `HTTP/1.1 ${status} X\r\nContent-Type: ${type}\r\nConnection: close\r\n\r\n`;
const whole = (type: string, body: string): string =>
  `HTTP/1.1 200 X\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

async function run(words: readonly string[], env: Record<string, string>, timeout = '20s') {
  return runInitbox([...words, '--timeout', timeout], {
    env: { AWS_REGION: 'eu-central-1', HOME: '/nonexistent', ...env },
  });
}

describe('AWS', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIxxxx' };
  const role = 'arn:aws:iam::123456789012:role/api';
  const webIdentity = (place: string): Record<string, string> => {
    writeFileSync(join(place, 'token'), 'a-token-of-the-pod');
    return { AWS_WEB_IDENTITY_TOKEN_FILE: join(place, 'token'), AWS_ROLE_ARN: role };
  };
  const profile = (place: string, text: string): Record<string, string> => {
    mkdirSync(join(place, '.aws/sso/cache'), { recursive: true });
    writeFileSync(join(place, '.aws/config'), `[profile p]\n${text}\n`);
    return { HOME: place, AWS_PROFILE: 'p' };
  };
  const login = (place: string): Record<string, string> => {
    const start = 'https://x.awsapps.com/start';
    const of = profile(
      place,
      `sso_start_url = ${start}\nsso_region = eu-central-1\nsso_account_id = 123456789012\nsso_role_name = r`,
    );
    writeFileSync(
      join(place, `.aws/sso/cache/${createHash('sha1').update(start).digest('hex')}.json`),
      JSON.stringify({
        accessToken: 'a',
        expiresAt: '2099-01-01T00:00:00Z',
        region: 'eu-central-1',
        startUrl: start,
      }),
    );
    return of;
  };
  const agent = ({ url }: Endless): Record<string, string> => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/credentials`,
  });
  type Case = readonly [
    name: string,
    head: string,
    settings: (server: Endless, place: string) => Record<string, string>,
    more?: readonly string[],
  ];
  const xml = 'text/xml';
  const json = 'application/json';
  const cases: readonly Case[] = [
    ['STS, AssumeRoleWithWebIdentity', headOf(200, xml), (_server, place) => webIdentity(place)],
    ['the same, an error', headOf(400, xml), (_server, place) => webIdentity(place)],
    ['the same, a failure', headOf(500, xml), (_server, place) => webIdentity(place)],
    [
      'STS, AssumeRole of a profile',
      headOf(200, xml),
      (_server, place) => ({
        ...profile(place, `role_arn = ${role}\ncredential_source = Environment`),
        ...keys,
      }),
    ],
    ['STS, GetCallerIdentity', headOf(200, xml), () => keys, ['--expect-role', 'api']],
    ['the portal of a login (SSO)', headOf(200, json), (_server, place) => login(place)],
    ['the same, an error', headOf(403, json), (_server, place) => login(place)],
    ['the agent of the container', headOf(200, json), (server) => agent(server)],
    [
      'the same, for the SDK',
      headOf(200, json),
      (server, place) => ({
        ...profile(place, `role_arn = ${role}\ncredential_source = EcsContainer`),
        ...agent(server),
      }),
    ],
    [
      'the node (IMDS)',
      headOf(200, 'text/plain'),
      (server) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url }),
      ['--aws-imds'],
    ],
    ['Secrets Manager', headOf(200, 'application/x-amz-json-1.1'), () => keys],
    ['the same, an error', headOf(400, 'application/x-amz-json-1.1'), () => keys],
  ];

  test.each(cases.map((one) => ({ name: one[0], one })))('$name', { timeout: 120_000 }, async ({ one }) => {
    const [, head, settings, more = []] = one;
    using server = await endless({ head });
    const env = { AWS_ENDPOINT_URL: server.url, ...settings(server, folder()) };
    const { status, stderr } = await run(
      ['fetch-config', 'aws-sm:a', '--to', join(folder(), 'out'), ...more],
      env,
      '6s',
    );
    expect(server.most()).toBeGreaterThan(0);
    expect(server.most()).toBeLessThan(mebibyte + between);
    expect([69, 124]).toContain(status);
    expect(stderr).not.toMatch(/TypeError|unexpected/);
  });
});

describe('Vault', () => {
  const json = 'application/json';
  const auth = { client_token: 'hvs.token-of-the-run', accessor: 'a', policies: ['p'], lease_duration: 600 };
  /** What a Vault answers to all but the one path. */
  const usual =
    (path: string) =>
    (request: string): string | undefined => {
      const asked = request.split(' ')[1] ?? '';
      if (asked.includes(path)) return undefined;
      if (asked.includes('/login/')) return whole(json, JSON.stringify({ auth }));
      if (asked.includes('/ui/mounts/'))
        return whole(
          json,
          JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '2' } } }),
        );
      if (asked.includes('/lookup-self')) return whole(json, JSON.stringify({ data: { accessor: 'a' } }));
      return whole(json, JSON.stringify({ data: { data: { key: 'value' }, metadata: { version: 1 } } }));
    };

  test.each([
    ['/login/', 200, 1],
    ['/login/', 400, 1],
    ['/ui/mounts/', 200, 1],
    ['/lookup-self', 200, 1],
    ['/revoke-self', 200, 1],
    ['/revoke-self', 500, 1],
    ['/secret/data/', 200, 16],
    ['/secret/data/', 500, 16],
  ])('%s with %i: at most %i MiB', { timeout: 120_000 }, async (path, status, most) => {
    using server = await endless({ head: `${headOf(status, json)}{"errors":["`, usual: usual(path) });
    const place = folder();
    writeFileSync(join(place, 'password'), 'the-password-of-app');
    const ended = await run(
      [
        'fetch-config',
        'vault:secret/a#key',
        '--to',
        join(place, 'out'),
        '--vault-user',
        'app',
        '--vault-password-file',
        join(place, 'password'),
      ],
      { VAULT_ADDR: server.url },
    );
    expect(server.most()).toBeGreaterThan(0);
    expect(server.most()).toBeLessThan(most * mebibyte + between);
    // What is revoked afterwards is a courtesy.
    expect(ended.status).toBe(path.endsWith('-self') ? 0 : 69);
    expect(ended.stderr).toContain(`more than the limit of ${most} MiB`);
  });

  test('a secret is bounded by --max-size', async () => {
    using server = await endless({ head: headOf(200, json), usual: usual('/secret/data/') });
    const { status, stderr } = await run(
      ['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'out'), '--max-size', '2Mi'],
      { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.a-token-that-was-given' },
    );
    expect(stderr).toContain('more than the limit of 2 MiB (--max-size)');
    expect(status).toBe(69);
  });
});

describe('a proxy', () => {
  test.each([
    ['headers without end', 'HTTP/1.1 200 OK\r\n', `X-A: ${'x'.repeat(1000)}\r\n`],
    ['a line without end', 'HTTP/1.1 200 OK\r\nX-A: ', undefined],
    ['a refusal without end', headOf(407, 'text/html'), undefined],
    ['bytes that are not TLS behind CONNECT', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
  ])('%s', { timeout: 120_000 }, async (_name, head, piece) => {
    using server = await endless({ head, ...(piece === undefined ? {} : { piece }) });
    const { status } = await run(
      ['fetch-config', 'https://config.example/a', '--to', join(folder(), 'out'), '--public', '--allow-disk'],
      { HTTPS_PROXY: server.url },
      '4s',
    );
    expect(server.most()).toBeLessThan(mebibyte + between);
    expect([69, 124]).toContain(status);
  });
});

test.each([200, 403, 500])('the Kubernetes API with %i', { timeout: 120_000 }, async (status) => {
  using server = await endless({ head: `${headOf(status, 'application/json')}{"a":"` });
  const place = folder();
  writeFileSync(
    join(place, 'config'),
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: server.url } }],
      users: [{ name: 'u', user: {} }],
    }),
  );
  const ended = await run(
    ['wait-kubernetes', 'deployment/a', '--namespace', 'n', '--kubeconfig', join(place, 'config')],
    {},
    '4s',
  );
  expect(server.most()).toBeGreaterThan(0);
  expect(server.most()).toBeLessThan(64 * mebibyte + between);
  expect([69, 124]).toContain(ended.status);
});
