// Secrets in the wrong place: no message shows them, and nothing is tried.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { runToDeadline, terminationLog } from '../../../support/program.ts';
import { respond, startFaultServer } from './fault-server.ts';

const folder = mkdtempSync('/dev/shm/initbox-mistaken-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const target = join(folder, 'out');
const fetch = ['fetch-config', 'vault:secret/x', '--to', target, '--format', 'json', '--timeout', '2s'];
const password = 'Xk9vQ2mPzL7rT4bN';
const token = 'hvs.CAESIJ9vQ2mPzL7rT4bNw0123456789';

/** The run's status, and all that it said. */
async function said(args: readonly string[], env: Record<string, string> = {}, stdin?: string) {
  const { status, stderr, stdout } = await runToDeadline([...args, '--log-level', 'debug'], {
    env,
    ...(stdin === undefined ? {} : { stdin }),
  });
  return { status, text: stderr + stdout };
}

describe('a password in an address that is mistyped', () => {
  const addresses = [
    `http//user:${password}@vault:8200`,
    `user:${password}@vault:8200`,
    `http:/user:${password}@vault`,
    `http:user:${password}@vault`,
    `http://user:Xk9v/${password}@vault:8200`,
    `http//${password}@vault`,
    `ftp://user:${password}@vault`,
    `http://user:${password}@vault:8200`,
  ];
  test.each(addresses)('%s', async (address) => {
    const runs = [
      await said(fetch, { VAULT_ADDR: address, VAULT_TOKEN: 'hvs.x' }),
      await said([...fetch, '--vault-addr', address], { VAULT_TOKEN: 'hvs.x' }),
      await said(fetch, { INITBOX_VAULT_ADDR: address, VAULT_TOKEN: 'hvs.x' }),
      await said(['wait-dns', address]),
      await said(['wait-postgres', '--timeout', '1s'], { PGHOST: address }),
    ];
    for (const { status, text } of runs) {
      expect(text).not.toContain(password);
      expect(status).toBe(2);
    }
  });
  test.each([`http//user:${password}@vault`, `user:${password}@vault:8200`])(
    '%s in a plan',
    async (address) => {
      const plan = `steps:\n  - name: a\n    uses: fetch-config\n    sources: [vault:secret/x]\n    to: ${target}\n    vault-addr: ${address}\n`;
      const { status, text } = await said(['run', '-'], {}, plan);
      expect(status).toBe(2);
      expect(text).toContain('an address with a password stands in the plan');
      expect(text).not.toContain(password);
    },
  );
  test('the termination message has none either', async () => {
    const log = terminationLog();
    const result = await runToDeadline([...fetch, '--termination-log', log.path], {
      env: { VAULT_ADDR: addresses[0]!, VAULT_TOKEN: 'hvs.x' },
    });
    expect(result.status).toBe(2);
    expect(log.read()).not.toContain(password);
    expect(log.read()).toContain('VAULT_ADDR is not an http or https URL');
  });
});

describe('a secret in place of the name of its file', () => {
  const words = 'what stands there looks like the secret itself';
  const vault = { VAULT_ADDR: 'http://127.0.0.1:9' };
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';
  test.each<[string, readonly string[], Record<string, string>]>([
    [token, [...fetch, '--vault-token-file', token], vault],
    [token, fetch, { ...vault, INITBOX_VAULT_TOKEN_FILE: token }],
    ['aB3dE5gH7jK9mN1pQ3sT5v', [...fetch, '--vault-token-file', 'aB3dE5gH7jK9mN1pQ3sT5v'], vault],
    [jwt, [...fetch, '--vault-role', 'r', '--vault-jwt-file', jwt], vault],
    [
      password,
      ['wait-http', 'http://127.0.0.1:9/', '--header-file', `Authorization: Bearer ${password}`],
      {},
    ],
    [password, ['wait-http', 'http://127.0.0.1:9/', '--header-file', `Bearer ${password}`], {}],
    ['MIIBxyz', ['wait-http', 'https://127.0.0.1:9/', '--ca-file', '-----BEGIN CERTIFICATE-----MIIBxyz'], {}],
    ['MIIBxyz', fetch, { ...vault, VAULT_TOKEN: 'x', VAULT_CACERT: '-----BEGIN CERTIFICATE-----MIIBxyz' }],
    [
      jwt,
      ['fetch-config', 'aws-sm:x', '--to', target, '--timeout', '2s'],
      {
        AWS_REGION: 'eu-west-1',
        AWS_WEB_IDENTITY_TOKEN_FILE: jwt,
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/x',
      },
    ],
  ])('%s by %j', async (secret, args, env) => {
    const { status, text } = await said(args, env);
    expect(text).toContain(words);
    expect(text).not.toContain(secret);
    expect(status).toBe(2);
  });
  test('in a plan', async () => {
    for (const key of ['vault-token-file', 'vault-jwt-file']) {
      const plan = `steps:\n  - name: a\n    uses: fetch-config\n    sources: [vault:secret/x]\n    to: ${target}\n    ${key}: ${token}\n`;
      const { status, text } = await said(['run', '-', '--dry-run'], {}, plan);
      expect(text).toContain('a secret in place of the name of its file stands in the plan');
      expect(text).not.toContain(token);
      expect(status).toBe(2);
    }
  });
  test('a file that is only missing is named', async () => {
    for (const name of [
      '/run/secrets/token',
      'vault-token',
      'token.txt',
      './eyJx',
      'application-token-of-production-2',
    ]) {
      const { status, text } = await said([...fetch, '--vault-token-file', name], vault);
      expect(text).toContain(`there is no file ${name}`);
      expect(status).toBe(2);
    }
  });
});

describe('a token that no header can hold', () => {
  test.each([`hvs.${password}\nsecond`, `hvs.${password}\u0001`, `hvs.${password}ü`])('%j', async (bad) => {
    await using server = await startFaultServer({});
    const env = { VAULT_ADDR: server.url };
    const file = join(folder, 'token');
    writeFileSync(file, `${bad}\n`);
    const runs = [
      [await said(fetch, { ...env, VAULT_TOKEN: bad }), 'VAULT_TOKEN has '],
      [
        await said([...fetch, '--vault-token-file', file], env),
        'the token in the file of --vault-token-file has ',
      ],
      [
        await said([...fetch, '--vault-namespace', 'a\nb'], { ...env, VAULT_TOKEN: 'hvs.x' }),
        '--vault-namespace has ',
      ],
    ] as const;
    for (const [{ status, text }, words] of runs) {
      expect(text).toContain(words);
      expect(text).not.toContain(password);
      expect(status).toBe(2);
    }
    expect(server.requests).toEqual([]);
  });
});

describe('two ways to log in to Vault', () => {
  test.each([
    [{ VAULT_TOKEN: token }, ['--vault-role', 'r'], 'VAULT_TOKEN and --vault-role are both given'],
    [{ VAULT_TOKEN: token }, ['--vault-role-id', 'r'], 'VAULT_TOKEN and --vault-role-id are both given'],
    [{ VAULT_TOKEN: token }, ['--vault-user', 'r'], 'VAULT_TOKEN and --vault-user are both given'],
    [{}, ['--vault-role-id', 'r', '--vault-user', 'u'], '--vault-role-id and --vault-user are both given'],
  ])('%j %j', async (env, args, words) => {
    const { status, text } = await said([...fetch, ...args], { ...env, VAULT_ADDR: 'http://127.0.0.1:9' });
    expect(text).toContain(words);
    expect(status).toBe(2);
  });
  test('--vault-auth says which', async () => {
    await using server = await startFaultServer({});
    const env = { VAULT_ADDR: server.url, VAULT_TOKEN: token };
    const { status } = await said([...fetch, '--vault-role', 'r', '--vault-auth', 'token'], env);
    expect(status).not.toBe(2);
    expect(server.requests.length).toBeGreaterThan(0);
  });
});

test('an @ in a path is no userinfo', async () => {
  await using server = await startFaultServer({
    '/users/@me': respond(200, 'ok'),
    '/x@1.2': respond(200, 'ok'),
  });
  for (const path of ['/users/@me', '/x@1.2']) {
    const out = join(folder, 'plain');
    expect(await said(['wait-http', `${server.url}${path}`, '--timeout', '5s'])).toMatchObject({ status: 0 });
    expect(await said(['fetch-config', `${server.url}${path}`, '--to', out])).toMatchObject({ status: 0 });
  }
});

test('a redirect to what is not of the web is named as it is', async () => {
  await using server = await startFaultServer({ '/': respond(302, '', { Location: 'file:///etc/passwd' }) });
  const { text } = await said([
    'fetch-config',
    `${server.url}/`,
    '--to',
    target,
    '--content-type',
    'text/html',
  ]);
  expect(text).toContain('302 to file:///etc/passwd: not followed');
});

test('a key that a format cannot hold is told with the source that has it', async () => {
  const source = join(folder, 'source.json');
  writeFileSync(source, '{"a b": "x"}');
  const { status, text } = await said([
    'fetch-config',
    `file:${source}`,
    '--to',
    target,
    '--format',
    'dotenv',
  ]);
  expect(text).toContain(`(from file:${source})`);
  expect(status).toBe(69);
});

test('a key that is there twice in a fetched object is an error', async () => {
  const source = join(folder, 'twice.json');
  writeFileSync(source, '{"hunter2": "x", "hunter2": "y"}');
  for (const args of [[`file:${source}`, '--format', 'json'], [`file:${source}#hunter2`]]) {
    const { status, text } = await said(['fetch-config', ...args, '--to', target]);
    expect(text).toContain('this key is there twice (line 1, column 18)');
    expect(status).toBe(69);
  }
});
