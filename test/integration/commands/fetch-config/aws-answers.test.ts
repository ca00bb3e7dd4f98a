// Answers of AWS, of STS and of the credentials agent that no client expects: none of them may print a secret, end the
// program as an unexpected error, or be asked for more than once an attempt.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline, terminationLog } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';

const folder = memoryFolders();

interface Reply {
  readonly status?: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

type Answers = Readonly<Record<string, Reply | ((heard: string) => Reply)>>;

/** Answers by path; a text is sent as it is, anything else as JSON. */
async function listening(answers: Answers, tls?: ServerOptions) {
  const requests: string[] = [];
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  server.on('request', (request, response) => {
    let heard = '';
    request.on('data', (piece: Buffer) => (heard += piece.toString()));
    request.on('end', () => {
      const path = request.url ?? '';
      requests.push(path);
      const found = answers[path] ?? answers[path.split('?')[0] ?? ''] ?? { status: 404, body: '' };
      const { status = 200, body, headers } = typeof found === 'function' ? found(heard) : found;
      response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    of: (path: string) => requests.filter((one) => one === path).length,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Accepts connections and says nothing. */
async function silent() {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const keys = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIxxxx' };
const xml = { 'Content-Type': 'text/xml' };
const secret = { Name: 'a', SecretString: 'correct-horse', VersionId: 'v1', VersionStages: ['AWSCURRENT'] };
const agentKeys = {
  AccessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  SecretAccessKey: 'wJalrXUtnFEMI/K7MDENG',
  Token: 'FQoGZXIvYXdzEXAMPLE',
  Expiration: '2099-11-27T00:00:00Z',
};

async function read(env: Record<string, string>, timeout = '3s', ...more: string[]) {
  const target = join(folder(), 'out');
  const log = terminationLog();
  const { status, stderr } = await runToDeadline(
    [
      'fetch-config',
      'aws-sm:a',
      '--to',
      target,
      '--timeout',
      timeout,
      '--log-level',
      'debug',
      '--termination-log',
      log.path,
      ...more,
    ],
    { env: { AWS_REGION: 'eu-central-1', HOME: '/nonexistent', ...env } },
  );
  return { status, said: stderr + log.read(), target };
}

test('an answer of more values than are read is refused before the SDK reads it', async () => {
  using server = await listening({
    '/': { body: `{"Name":"a","VersionStages":[${'"s",'.repeat(60_000)}"s"]}` },
  });
  const { status, said } = await read({ AWS_ENDPOINT_URL: server.url, ...keys });
  expect(said).toContain('gave an answer that is not from Secrets Manager: it has more than 50,000 values');
  expect(status).toBe(69);
});

test('what does not answer is told in words of our own, not of the SDK', { timeout: 120_000 }, async () => {
  using server = await silent();
  const { status, said } = await read(
    { AWS_REGION: 'eu-central-1', HTTPS_PROXY: server.url, ...keys },
    '25s',
  );
  expect(said).toContain('does not answer in time');
  expect(said).not.toMatch(/smithy|node-http-handler|request socket/);
  expect(status).toBe(124);
});

describe('a secret that the SDK reads by itself is hidden where a server repeats it', () => {
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhcGkifQ.c2lnbmF0dXJlLXNlY3JldA';
  const echo = (heard: string): Reply => ({
    status: 400,
    body: `<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>Provided ${new URLSearchParams(heard).toString().replaceAll('&', ' ')} also external-4711-id and wJalrXSOURCEKEY and FQoGSESSION</Message></Error></ErrorResponse>`,
    headers: xml,
  });
  const hidden = [
    jwt,
    jwt.split('.')[1]!,
    jwt.split('.')[2]!,
    'external-4711-id',
    'wJalrXSOURCEKEY',
    'FQoGSESSION',
  ];

  const login = ['accessOfTheLogin4711', 'refreshOfTheLogin4712', 'clientOfTheLogin4713'];

  test.each(['AWS_WEB_IDENTITY_TOKEN_FILE', 'web_identity_token_file', 'source_profile'])(
    '%s',
    async (by) => {
      using server = await listening({ '/': echo });
      const place = folder();
      const path = (name: string, text: string): string => {
        writeFileSync(join(place, name), text);
        return join(place, name);
      };
      const token = path('token', `${jwt}\n`);
      const role = 'arn:aws:iam::123456789012:role/api';
      const config = path(
        'config',
        `[profile web]\nrole_arn = ${role}\nweb_identity_token_file = ${token}\n[profile role]\nrole_arn=${role}\nsource_profile=src\nexternal_id=external-4711-id # comment\n`,
      );
      const shared = path(
        'credentials',
        '[src]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXSOURCEKEY\naws_session_token=FQoGSESSION\n',
      );
      const files = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: shared };
      const variables: Record<string, string> =
        by === 'AWS_WEB_IDENTITY_TOKEN_FILE'
          ? { AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: role }
          : { ...files, AWS_PROFILE: by === 'source_profile' ? 'role' : 'web' };
      const { status, said } = await read({ AWS_ENDPOINT_URL: server.url, ...variables });
      expect(status).toBe(69);
      expect(said).toContain('Provided');
      const own = by === 'AWS_WEB_IDENTITY_TOKEN_FILE' ? hidden.slice(0, 3) : hidden;
      for (const part of own) expect(said).not.toContain(part);
    },
  );

  test.each(['sso_session', 'sso_start_url'])('the login of a person, by %s', async (by) => {
    using server = await listening({
      '/federation/credentials': () => ({
        status: 403,
        body: JSON.stringify({ message: `Provided: ${login.join(' ')}` }),
        headers: { 'Content-Type': 'application/json' },
      }),
    });
    const home = folder();
    const start = 'https://x.awsapps.com/start';
    const cache = join(home, '.aws/sso/cache');
    mkdirSync(cache, { recursive: true });
    const name = createHash('sha1')
      .update(by === 'sso_session' ? 's' : start)
      .digest('hex');
    const [accessToken, refreshToken, clientSecret] = login;
    const ends = '2099-01-01T00:00:00Z';
    writeFileSync(
      join(cache, `${name}.json`),
      JSON.stringify({
        accessToken,
        refreshToken,
        clientSecret,
        expiresAt: ends,
        region: 'eu-central-1',
        startUrl: start,
      }),
    );
    const own =
      by === 'sso_session' ? 'sso_session = s' : `sso_start_url = ${start}\nsso_region = eu-central-1`;
    writeFileSync(
      join(home, '.aws/config'),
      `[profile p]\n${own}\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_start_url = ${start}\nsso_region = eu-central-1\n`,
    );
    const { status, said } = await read({ AWS_ENDPOINT_URL: server.url, HOME: home, AWS_PROFILE: 'p' });
    expect(status).toBe(69);
    expect(said).toContain('Provided');
    for (const part of login) expect(said).not.toContain(part);
  });

  test('a token that was renewed while initbox waits', async () => {
    const place = folder();
    const token = join(place, 'token');
    writeFileSync(token, 'first-token-of-the-pod');
    let count = 0;
    using server = await listening({
      '/': (heard) => {
        if (++count > 1) return echo(heard);
        writeFileSync(token, jwt);
        return { status: 503, body: '<x/>', headers: xml };
      },
    });
    const { status, said } = await read(
      {
        AWS_ENDPOINT_URL: server.url,
        AWS_WEB_IDENTITY_TOKEN_FILE: token,
        AWS_ROLE_ARN: 'arn:aws:iam::1:role/a',
      },
      '10s',
    );
    expect(status).toBe(69);
    expect(said).toContain('Provided');
    expect(said).not.toContain(jwt);
  });
});

describe('a field of GetSecretValue that has another type', () => {
  test.each([
    { SecretString: 918_273_645_546 },
    { SecretString: ['918273645546'] },
    { SecretString: { '918273645546': 1 } },
    { SecretString: true },
    { SecretBinary: 5 },
    { SecretBinary: ['918273645546'] },
    { SecretString: '918273645546', VersionStages: 'x' },
    { SecretString: '918273645546', VersionStages: [{ a: 1 }] },
    { SecretString: '918273645546', VersionId: 7 },
    { SecretString: '918273645546', CreatedDate: '918273645546x' },
    ['918273645546'],
    '"918273645546"',
  ])('%j is a broken answer', async (body) => {
    using server = await listening({ '/': { body } });
    const { status, said, target } = await read({ ...keys, AWS_ENDPOINT_URL: server.url });
    expect(said).toContain('answered 200 with a broken body');
    expect(said).not.toContain('TypeError');
    expect(said).not.toContain('918273645546');
    expect(status).toBe(124);
    expect(() => readFileSync(target)).toThrow('ENOENT');
  });

  test.each([
    ['?version=11111111-2222-3333-4444-555555555555', { VersionId: '99999999-2222-3333-4444-555555555555' }],
    ['?stage=AWSPREVIOUS', { VersionStages: ['AWSCURRENT'] }],
  ])('where %s was asked for, another version is a broken answer', async (option, said) => {
    using server = await listening({ '/': { body: { SecretString: '918273645546', Name: 'a', ...said } } });
    const target = join(folder(), 'out');
    const { status, stderr } = await runToDeadline(
      ['fetch-config', `aws-sm:a${option}`, '--to', target, '--timeout', '2s'],
      { env: { ...keys, AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL: server.url } },
    );
    expect(stderr).toContain('answered 200 with a broken body: it has another version');
    expect(stderr).not.toContain('918273645546');
    expect(status).toBe(124);
    expect(() => readFileSync(target)).toThrow('ENOENT');
  });

  test('null is none', async () => {
    using server = await listening({
      '/': { body: { ...secret, SecretBinary: null, CreatedDate: null, VersionStages: null } },
    });
    const { status, target } = await read({ ...keys, AWS_ENDPOINT_URL: server.url });
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('correct-horse');
  });
});

describe('an error whose message is not a text', () => {
  test.each([
    { __type: 'X', message: 7 },
    { __type: 'AccessDeniedException', Message: { a: 1 } },
    { __type: 'X', message: ['a'] },
    { __type: 5 },
    { __type: { a: 1 } },
  ])('%j', async (body) => {
    for (const [status, expected, timeout] of [
      [400, 69, '20s'],
      [503, 124, '1500ms'],
    ] as const) {
      using server = await listening({ '/': { status, body } });
      const ended = await read({ ...keys, AWS_ENDPOINT_URL: server.url }, timeout);
      expect(ended.said).not.toMatch(/TypeError|unexpected|\[object|undefined/);
      expect(ended.status).toBe(expected);
    }
  });

  test.each([
    '<Code>A</Code><Message>1</Message><Message>2</Message>',
    '<Code>A</Code><Code>B</Code><Message>1</Message>',
    '<Code><a>1</a></Code><Message><b>2</b></Message>',
  ])('of STS: %s', async (inner) => {
    using server = await listening({
      '/': {
        status: 400,
        body: `<ErrorResponse><Error>${inner}</Error></ErrorResponse>`,
        headers: xml,
      },
    });
    const token = join(folder(), 'token');
    writeFileSync(token, 'a-token-of-the-pod');
    const { status, said } = await read({
      AWS_ENDPOINT_URL: server.url,
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/api',
    });
    expect(said).not.toMatch(/TypeError|unexpected|\[object|undefined/);
    expect(said).not.toContain('Secrets Manager');
    expect(said).not.toContain('AWS AWS');
    expect(status).toBe(69);
  });

  test('the name of an error is redacted and cut as its message is', async () => {
    using server = await listening({
      '/': { status: 400, body: { __type: 'wJalrXUtnFEMIxxxx', message: 'm' } },
    });
    const { said } = await read({ ...keys, AWS_ENDPOINT_URL: server.url });
    expect(said).not.toContain('wJalrXUtnFEMI');
  });
});

describe('one attempt is one request', () => {
  test.each([503, 429])('to the agent for credentials, whose Retry-After is obeyed (%i)', async (status) => {
    using server = await listening({ '/creds': { status, body: 'x', headers: { 'Retry-After': '30' } } });
    const { status: ended, said } = await read(
      { AWS_ENDPOINT_URL: server.url, AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/creds` },
      '5s',
    );
    expect(server.of('/creds')).toBe(1);
    expect(said).toContain(`answered ${status}`);
    expect(said).toContain('Retry-After');
    expect(ended).toBe(124);
  });

  test.each([
    [429, 'TooManyRequestsException', { 'Retry-After': '30' }],
    [503, '', { 'Retry-After': '30' }],
    [400, 'ThrottlingException', { 'Retry-After': '30' }],
    [429, 'TooManyRequestsException', {}],
  ] as const)(
    'to the portal of the login of a person, which asks for patience (%i %s %j)',
    async (status, type, more) => {
      using server = await listening({
        '/federation/credentials': {
          status,
          body: { message: 'slow down' },
          headers: { 'Content-Type': 'application/json', 'x-amzn-ErrorType': type, ...more },
        },
      });
      const home = folder();
      const start = 'https://x.awsapps.com/start';
      mkdirSync(join(home, '.aws/sso/cache'), { recursive: true });
      const name = createHash('sha1').update(start).digest('hex');
      writeFileSync(
        join(home, `.aws/sso/cache/${name}.json`),
        JSON.stringify({
          accessToken: 'a-person-s-token',
          expiresAt: '2099-01-01T00:00:00Z',
          region: 'eu-central-1',
          startUrl: start,
        }),
      );
      writeFileSync(
        join(home, '.aws/config'),
        `[profile p]\nsso_start_url = ${start}\nsso_region = eu-central-1\nsso_account_id = 123456789012\nsso_role_name = r\n`,
      );
      const { status: ended, said } = await read(
        { AWS_ENDPOINT_URL: server.url, HOME: home, AWS_PROFILE: 'p' },
        '8s',
      );
      expect(said).toContain(`what gives the credentials answered ${status}`);
      expect(ended).toBe(124);
      const asked = server.of('/federation/credentials?account_id=123456789012&role_name=r');
      expect(asked).toBeGreaterThanOrEqual(1);
      if ('Retry-After' in more) {
        expect(said).toContain('asked to wait 30s (Retry-After)');
        expect(asked).toBe(1);
      } else expect(asked).toBeLessThanOrEqual(6);
    },
  );

  test.each(['web identity', 'a profile'])('to STS, by %s', async (by) => {
    using server = await listening({
      '/': { status: 503, body: '<x/>', headers: { ...xml, 'Retry-After': '30' } },
    });
    const place = folder();
    const token = join(place, 'token');
    writeFileSync(token, 'a-token-of-the-pod');
    const config = join(place, 'config');
    const role = 'arn:aws:iam::123456789012:role/api';
    writeFileSync(config, `[profile web]\nrole_arn = ${role}\nweb_identity_token_file = ${token}\n`);
    const { status, said } = await read(
      {
        AWS_ENDPOINT_URL: server.url,
        ...(by === 'a profile'
          ? { AWS_PROFILE: 'web', AWS_CONFIG_FILE: config }
          : { AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: role }),
      },
      '4s',
    );
    expect(server.of('/')).toBe(1);
    expect(said).toContain('answered 503');
    expect(said).toContain('Retry-After');
    expect(status).toBe(124);
  });

  test.each([
    ['a number as a key', { ...agentKeys, SecretAccessKey: 918_273_645_546 }],
    ['no key', { Token: '918273645546' }],
    ['no JSON', '{"SecretAccessKey":"918273645546"'],
    ['a date that is none', { ...agentKeys, Expiration: '918273645546' }],
    ['a line end in a key', { ...agentKeys, Token: '918273645546\r\nX-Evil: 1' }],
  ])('an agent that answers with %s is asked again', async (_name, body) => {
    using server = await listening({ '/creds': { body } });
    const { status, said } = await read({
      AWS_ENDPOINT_URL: server.url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/creds`,
    });
    expect(said).toContain('answered 200 with a broken body');
    expect(said).not.toContain('918273645546');
    expect(status).toBe(124);
  });
});

describe('TLS with AWS', () => {
  test('an agent for credentials is asked by https, and its faults are told as those of other servers', async () => {
    using authority = await createCertificateAuthority();
    const { certificate: cert, key } = await authority.server();
    using agent = await listening({ '/creds': { body: agentKeys } }, { cert, key });
    using manager = await listening({ '/': { body: secret } });
    const env = {
      AWS_ENDPOINT_URL: manager.url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/creds`,
    };
    const trusted = await read({ ...env, AWS_CA_BUNDLE: authority.certificateFile }, '10s');
    expect(trusted.said).toContain('credentials from container credentials');
    expect(trusted.status).toBe(0);
    const untrusted = await read(env);
    expect(untrusted.said).toMatch(/comes from an authority that is not trusted here/);
    expect(untrusted.said).toContain('AWS_CA_BUNDLE');
    expect(untrusted.status).toBe(69);
  });

  test.each(['secret', 'sts'] as const)('a wrong certificate of %s', async (what) => {
    using authority = await createCertificateAuthority();
    const token = join(folder(), 'token');
    writeFileSync(token, 'a-token-of-the-pod');
    const ask = async (
      { certificate: cert, key }: { certificate: string; key: string },
      trust = true,
    ): ReturnType<typeof read> => {
      using server = await listening(
        { '/': { body: secret } },
        // Else the server itself refuses the weak key.
        { cert, key, ciphers: 'DEFAULT@SECLEVEL=0' },
      );
      return await read({
        AWS_ENDPOINT_URL: server.url,
        ...(trust ? { AWS_CA_BUNDLE: authority.certificateFile } : {}),
        ...(what === 'secret'
          ? keys
          : { AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: 'arn:aws:iam::1:role/a' }),
      });
    };
    const cases = [
      [await ask(await authority.server(undefined, { days: -1 })), /has expired.*the clock here says/],
      [await ask(await authority.server(['other.example'])), /is for another name: DNS:other\.example/],
      [await ask(await authority.server(), false), /authority that is not trusted here/],
      [await ask(await authority.weak()), /is too weak/],
    ] as const;
    for (const [{ status, said }, words] of cases) {
      expect(said).toMatch(words);
      expect(status).toBe(69);
    }
  });
});

describe('a mistake in an address', () => {
  test('endpoint_url of the configuration file is checked as the variable is', async () => {
    for (const [text, words] of [
      ['[default]\nendpoint_url = https:/sm.internal\n', 'endpoint_url'],
      ['[profile p]\nendpoint_url = http://http://x\n', 'endpoint_url'],
      ['[services s]\nsecrets_manager =\n  endpoint_url = htps://x\n', 'endpoint_url'],
      ['[default]\nendpoint_url = https://user:correct-horse@sm.internal\n', 'user or password'],
    ] as const) {
      const config = join(folder(), 'config');
      writeFileSync(config, text);
      const { status, said } = await read({ ...keys, AWS_CONFIG_FILE: config }, '500ms');
      expect(said).toContain('AWS_CONFIG_FILE');
      expect(said).toContain(words);
      expect(said).not.toContain('correct-horse');
      expect(status).toBe(2);
      rmSync(config);
    }
  });

  test.each(['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL_STS', 'HTTPS_PROXY'])(
    'a doubled scheme in %s',
    async (name) => {
      for (const value of ['http://http://x', 'https://https://x:1/', 'http://HTTPS:80']) {
        const { status, said } = await read({ ...keys, [name]: value }, '500ms');
        expect(said).toContain(name);
        expect(status).toBe(2);
      }
    },
  );

  test('a doubled scheme in VAULT_ADDR', async () => {
    const { status, stderr } = await runToDeadline(
      ['fetch-config', 'vault:secret/a#b', '--to', join(folder(), 'out'), '--timeout', '500ms'],
      { env: { VAULT_ADDR: 'http://http://x', VAULT_TOKEN: 'hvs.x' } },
    );
    expect(stderr).toContain('VAULT_ADDR');
    expect(status).toBe(2);
  });
});

// Set on an ordinary object, that name changes its prototype, and the variable is lost.
test('a field named __proto__ is a variable as any other', async () => {
  using server = await listening({
    '/': { body: { ...secret, SecretString: '{"__proto__":"polluted","constructor":"c","A":"a"}' } },
  });
  const { status, stdout } = await runInitbox(['fetch-config', 'aws-sm:a', '--env', '--', '/usr/bin/env'], {
    env: { AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL: server.url, ...keys },
  });
  expect(status).toBe(0);
  expect(stdout).toContain('__proto__=polluted\n');
  expect(stdout).toContain('constructor=c\n');
});
