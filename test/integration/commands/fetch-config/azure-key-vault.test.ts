import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { client, startFakeAzure, tenant, type FakeAzure } from '../../../support/fake-azure.ts';
import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Azure Key Vault', canMount());

const folder = memoryFolders();
const first = '0'.repeat(31) + '1';

/** No server of Microsoft's can be run here: this is one that answers as the documentation says. */
describe.skipIf(missing)('a server that speaks as Key Vault is documented', () => {
  let azure: FakeAzure;
  let tokenFile = '';
  beforeAll(async () => {
    azure = await startFakeAzure({
      api: [
        { value: 'first-canary', version: first },
        { value: '{"user":"api","port":5432,"ratio":1.10}', version: '0'.repeat(31) + '2' },
      ],
      key: [{ value: 'key-canary\n', version: first }],
      off: [{ value: 'off-canary', version: first, disabled: true }],
    });
    tokenFile = join(folder(), 'token');
    writeFileSync(tokenFile, 'e30.e30.pod-canary\n');
  });
  afterAll(() => azure[Symbol.dispose]());
  beforeEach(() => {
    azure.requests.length = 0;
    azure.answerFirst = () => false;
  });

  const args = (place: string, words: readonly string[]): string[] => [
    'fetch-config',
    ...words,
    '--azure-vault-url',
    azure.url,
    '--to',
    join(place, 'f'),
    '--log-level',
    'debug',
    '--timeout',
    '20s',
  ];
  const workload = (): Record<string, string> => ({ ...azure.env, AZURE_FEDERATED_TOKEN_FILE: tokenFile });
  const fetchConfig = async (place: string, words: readonly string[], env = workload()) => {
    const result = await runInitbox(args(place, words), { env });
    expect(result.stderr).not.toContain('canary');
    return result;
  };

  test('by workload identity: a secret, a version, a field; one login; the same again changes nothing', async () => {
    const place = folder();
    const run = async (source: string) => {
      const { status, stderr } = await fetchConfig(place, [source]);
      expect(stderr).toContain(`credentials from workload identity, ${client}`);
      expect(status).toBe(0);
      return readFileSync(join(place, 'f'), 'utf8');
    };
    expect(await run('azure-kv:shop/key')).toBe('key-canary\n');
    expect(await run(`azure-kv:shop/api?version=${first}`)).toBe('first-canary');
    expect(await run('azure-kv:shop/api#ratio')).toBe('1.10');
    azure.requests.length = 0;
    const words = ['azure-kv:shop/api#user', 'azure-kv:shop/key', '--format', 'json'];
    expect((await fetchConfig(folder(), ['azure-kv:shop/api', '--format', 'json'])).status).toBe(0);
    expect(azure.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
    const again = await fetchConfig(place, ['azure-kv:shop/api#ratio']);
    expect(again.stderr).toContain('unchanged');
    expect(again.stderr).toMatch(/version 0{31}2 of 2023-11-14T/);
    // A text has no fields.
    expect((await fetchConfig(folder(), words)).status).toBe(69);
  });

  test('by a client secret, from a file and a variable, and by the node’s identity where it is asked for', async () => {
    const place = folder();
    const secret = join(place, 'secret');
    writeFileSync(secret, 'secret-canary\n');
    const byFile = await fetchConfig(place, ['azure-kv:shop/key', '--azure-client-secret-file', secret]);
    expect(byFile.stderr).toContain(`credentials from a client secret, ${client}`);
    expect(byFile.status).toBe(0);
    const byVariable = await fetchConfig(place, ['azure-kv:shop/key'], {
      ...azure.env,
      AZURE_CLIENT_SECRET: 'secret-canary',
    });
    expect(byVariable.stderr).toContain('credentials from a client secret');
    expect(byVariable.status).toBe(0);
    const node = { AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.url };
    for (const more of [{}, { AZURE_CLIENT_ID: client }]) {
      const { status, stderr } = await fetchConfig(place, ['azure-kv:shop/key', '--azure-imds'], {
        ...node,
        ...more,
      });
      expect(stderr).toContain('credentials from the node’s managed identity (IMDS)');
      expect(status).toBe(0);
    }
    azure.requests.length = 0;
    const unasked = await fetchConfig(place, ['azure-kv:shop/key'], node);
    expect(unasked.stderr).toContain('nothing says how to log in to Azure');
    expect(unasked.status).toBe(2);
    expect(azure.requests).toEqual([]);
    const other = await fetchConfig(folder(), ['azure-kv:shop/key', '--azure-imds'], {
      ...node,
      AZURE_CLIENT_ID: 'other',
    });
    expect(other.stderr).toMatch(/gave no token \(400\): Identity not found[\s\S]*AZURE_CLIENT_ID names one/);
    expect(other.status).toBe(69);
  });

  const refusals: readonly (readonly [string, RegExp])[] = [
    [
      'azure-kv:shop/nope',
      /azure-kv:shop\/nope does not exist \(as aaaaaaaa-[\s\S]*az keyvault secret list --vault-name shop/,
    ],
    [`azure-kv:shop/api?version=${'9'.repeat(32)}`, /has no version "9{32}"/],
    [
      'azure-kv:shop/forbidden',
      /access is denied \(as aaaaaaaa-[\s\S]*Key Vault Secrets User[\s\S]*--assignee aaaaaaaa-[\s\S]*set-policy --name shop/,
    ],
    ['azure-kv:shop/walled', /access is denied by the firewall of the vault/],
    ['azure-kv:shop/off', /is disabled: Operation get is not allowed[\s\S]*--name off --enabled true/],
  ];
  test.each(refusals)('%s', async (source, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig(place, [source]);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('--optional leaves out what does not exist, and not what is refused or disabled', async () => {
    const optional = ['--optional', '--format', 'json'];
    const { status, stderr } = await fetchConfig(folder(), [
      'azure-kv:shop/api',
      'azure-kv:shop/nope',
      ...optional,
    ]);
    expect(stderr).toMatch(/azure-kv:shop\/nope: left out/);
    expect(status).toBe(0);
    for (const source of ['azure-kv:shop/forbidden', 'azure-kv:shop/off'])
      expect((await fetchConfig(folder(), [source, ...optional])).status).toBe(69);
  });

  test('failures, throttling and an identity server that is late pass', async () => {
    let count = 0;
    azure.answerFirst = (_request, response) => {
      count++;
      if (count === 1) response.writeHead(503).end('{"error":"temporarily_unavailable"}');
      else if (count === 3)
        response.writeHead(429, { 'Retry-After': '1' }).end('{"error":{"code":"Throttled"}}');
      else if (count === 4) response.writeHead(500).end('canary');
      else return false;
      return true;
    };
    const { status, stderr } = await fetchConfig(folder(), ['azure-kv:shop/key']);
    expect(stderr).toMatch(/127\.0\.0\.1:\d+ answered 503/);
    expect(stderr).toContain('answered 429');
    expect(stderr).toContain('answered 500');
    expect(status).toBe(0);
    expect(count).toBe(5);
  });

  test('a node whose metadata server is being updated is waited for', async () => {
    let count = 0;
    azure.answerFirst = ({ path }, response) => {
      if (!path.startsWith('/metadata') || (count += 1) > 2) return false;
      response.writeHead(count === 1 ? 404 : 410).end('');
      return true;
    };
    const { status, stderr } = await fetchConfig(folder(), ['azure-kv:shop/key', '--azure-imds'], {
      AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.url,
    });
    expect(stderr).toMatch(/\(IMDS\) at 127\.0\.0\.1:\d+ answered 410/);
    expect(status).toBe(0);
  });

  test('a pod whose token Entra does not take, and which it repeats', async () => {
    const file = join(folder(), 'token');
    writeFileSync(file, 'e30.e30.unknown-canary');
    const { status, stderr } = await fetchConfig(folder(), ['azure-kv:shop/key'], {
      ...azure.env,
      AZURE_FEDERATED_TOKEN_FILE: file,
    });
    expect(stderr).toMatch(
      /gave no token \(401\): AADSTS70021: .*\[redacted\][\s\S]*a federated credential for this cluster’s issuer/,
    );
    expect(status).toBe(69);
    expect(azure.requests).toHaveLength(1);
  });

  const answers: readonly (readonly [string, number, string, Record<string, string>, RegExp])[] = [
    ['a page', 404, '<html>page-canary</html>', {}, /gave an answer that is not from Key Vault \(404\)/],
    [
      'a redirect',
      302,
      '',
      { Location: 'http://127.0.0.1:1/' },
      /answered 302, a redirect, and a token goes to one place only/,
    ],
    [
      'another tenant',
      401,
      '',
      { 'WWW-Authenticate': 'Bearer authorization="http://127.0.0.1:1/t", resource="http://127.0.0.1:1"' },
      /Key Vault rejected the credentials[\s\S]*AZURE_TENANT_ID/,
    ],
    ['a huge answer', 200, ' '.repeat(2 << 20), {}, /more than|larger than/],
  ];
  test.each(answers)('%s ends it', async (_name, code, body, headers, words) => {
    azure.answerFirst = ({ path }, response) => {
      if (!path.startsWith('/secrets/')) return false;
      response.writeHead(code, headers).end(body);
      return true;
    };
    const place = folder();
    const { status, stderr } = await fetchConfig(place, ['azure-kv:shop/key']);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test.each([
    ['{"value":7}', 'value is not a text'],
    ['canary', 'value is not a text'],
  ])('%s is broken', async (body, words) => {
    azure.answerFirst = ({ path }, response) => {
      if (!path.startsWith('/secrets/')) return false;
      response.writeHead(200).end(body);
      return true;
    };
    const { status, stderr } = await runToDeadline(
      [...args(folder(), ['azure-kv:shop/key']).slice(0, -2), '--timeout', '1500ms'],
      { env: workload() },
    );
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
  });

  const answering = (id: string, attributes: Record<string, unknown> = {}): void => {
    azure.answerFirst = ({ path }, response) => {
      if (!path.startsWith('/secrets/')) return false;
      response.writeHead(200).end(JSON.stringify({ value: 'key-canary', id: id || undefined, attributes }));
      return true;
    };
  };
  const named = (host: string, name = 'key', version = first): string =>
    `https://${host}/secrets/${name}/${version}`;
  test.each([
    ['another secret', '', named('shop.vault.azure.net', 'other'), 'it has another secret'],
    ['another vault', '', named('evil.vault.azure.net'), 'it has a secret of another vault'],
    ['another cloud', '', named('shop.vault.azure.cn'), 'it has a secret of another vault'],
    [
      'another version',
      `?version=${'9'.repeat(32)}`,
      named('shop.vault.azure.net'),
      'it has another version',
    ],
    ['no version', '', 'https://shop.vault.azure.net/secrets/key', 'it has no ID of a version'],
    ['no ID', '', '', 'it has no ID of a version'],
  ])('an answer about %s is not believed', async (_name, option, id, words) => {
    answering(id);
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, [`azure-kv:shop/key${option}`]).slice(0, -2), '--timeout', '1500ms'],
      { env: workload() },
    );
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test('its ID may name the address that was asked, and be in capitals', async () => {
    for (const id of [named('SHOP.vault.azure.net', 'Key'), named(azure.url.replace('http://', ''))]) {
      answering(id);
      expect((await fetchConfig(folder(), ['azure-kv:shop/key'])).status).toBe(0);
    }
  });

  test('a disabled secret is refused, though its value was given; one that is out of its time is warned of', async () => {
    answering(named('shop.vault.azure.net'), { enabled: false });
    const place = folder();
    const off = await fetchConfig(place, ['azure-kv:shop/key']);
    expect(off.stderr).toMatch(/is disabled: the vault gave its value all the same[\s\S]*--enabled true/);
    expect(off.status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
    answering(named('shop.vault.azure.net'), { exp: 1 });
    const old = await fetchConfig(folder(), ['azure-kv:shop/key']);
    expect(old.stderr).toContain('azure-kv:shop/key has expired on 1970-01-01T00:00:01.000Z');
    expect(old.status).toBe(0);
    answering(named('shop.vault.azure.net'), { nbf: 4_000_000_000, exp: 4_000_000_001 });
    const early = await fetchConfig(folder(), ['azure-kv:shop/key']);
    expect(early.stderr).toContain('azure-kv:shop/key is not to be used before 2096-');
    expect(early.stderr).not.toContain('expired');
    expect(early.status).toBe(0);
  });

  test.each([
    [{ AZURE_TENANT_ID: '' }, [], /AZURE_TENANT_ID is not set, and workload identity needs it/],
    [{ AZURE_CLIENT_ID: '' }, [], /AZURE_CLIENT_ID is not set/],
    [{ AZURE_TENANT_ID: `${tenant}/../x` }, [], /AZURE_TENANT_ID has other characters/],
    [{ AZURE_AUTHORITY_HOST: 'http://login.example' }, [], /AZURE_AUTHORITY_HOST is an http URL/],
    [{ AZURE_FEDERATED_TOKEN_FILE: 'eyJhbGciOiJub25lIn0.canary.x' }, [], /looks like the secret itself/],
    [{ AZURE_FEDERATED_TOKEN_FILE: '/nonexistent' }, [], /has no token to log in with: \/nonexistent/],
    [
      {},
      ['azure-kv:other/key', '--format', 'json'],
      /--azure-vault-url names one vault, and the sources name 2/,
    ],
    [{}, ['--public'], /cannot be public/],
  ])('%j %j is refused before a secret is asked for', async (env, more, words) => {
    const { status, stderr } = await fetchConfig(folder(), ['azure-kv:shop/key', ...more], {
      ...workload(),
      ...(env as Record<string, string>),
    });
    expect(stderr).toMatch(words);
    expect(status).toBe(2);
    expect(azure.requests).toEqual([]);
  });
});
