import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  slowCrc32c,
  startFakeGoogle,
  unknownKey,
  type FakeGoogle,
  type GoogleRequest,
} from '../../../support/fake-google.ts';
import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Google Secret Manager', canMount());

const folder = memoryFolders();

/** No server of Google's can be run here: this is one that answers as the documentation says. */
describe.skipIf(missing)('a server that speaks as Secret Manager is documented', () => {
  let google: FakeGoogle;
  beforeAll(async () => {
    google = await startFakeGoogle({
      'shop-prod/api': [{ data: 'first-canary' }, { data: '{"user":"api","port":5432,"ratio":1.10}' }],
      'shop-prod/key': [{ data: 'key-canary\n' }],
      'other-prod/key': [{ data: 'other-canary' }],
      'example.com:prod/key': [{ data: 'domain-canary' }],
      'shop-prod/off': [{ data: 'on-canary' }, { state: 'DISABLED' }],
      'shop-prod/gone': [{ state: 'DESTROYED' }],
      'shop-prod/damaged': [{ data: 'damaged-canary', crc32c: '1' }],
    });
  });
  afterAll(() => google[Symbol.dispose]());
  beforeEach(() => {
    google.requests.length = 0;
    google.answerFirst = () => false;
  });

  const args = (place: string, sources: readonly string[]): string[] => [
    'fetch-config',
    ...sources,
    '--to',
    join(place, 'f'),
    '--log-level',
    'debug',
    '--timeout',
    '20s',
  ];
  const fetchConfig = async (place: string, sources: readonly string[], env: Record<string, string> = {}) => {
    const result = await runInitbox(args(place, sources), { env: { ...google.env, ...env } });
    expect(result.stderr).not.toContain('canary');
    return result;
  };
  const accessed = (): GoogleRequest[] => google.requests.filter(({ path }) => path.endsWith(':access'));

  test('by the pod’s own account: a secret, a version, an alias, a field, other projects', async () => {
    const place = folder();
    const run = async (source: string) => {
      const { status, stderr } = await fetchConfig(place, [source]);
      expect(stderr).toContain('credentials from the metadata server, api@shop-prod.iam.gserviceaccount.com');
      expect(status).toBe(0);
      return readFileSync(join(place, 'f'), 'utf8');
    };
    expect(await run('gcp-sm:key')).toBe('key-canary\n');
    expect(await run('gcp-sm:shop-prod/api?version=1')).toBe('first-canary');
    expect(await run('gcp-sm:api?version=blue')).toBe('first-canary');
    expect(await run('gcp-sm:api?version=latest#ratio')).toBe('1.10');
    expect(await run('gcp-sm:other-prod/key')).toBe('other-canary');
    expect(await run('gcp-sm:example.com:prod/key')).toBe('domain-canary');
    expect(await run('gcp-sm:projects/other-prod/secrets/key')).toBe('other-canary');
    expect(await run('gcp-sm:projects/other-prod/locations/europe-west3/secrets/key')).toBe('other-canary');
    expect(accessed().at(-1)?.path).toBe(
      '/v1/projects/other-prod/locations/europe-west3/secrets/key/versions/latest:access',
    );
    const named = await fetchConfig(place, ['gcp-sm:key'], { GOOGLE_CLOUD_PROJECT: 'other-prod' });
    expect(named.status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toBe('other-canary');
  });

  test('one login for several, whose fields are merged; the same again changes nothing', async () => {
    const place = folder();
    const { status } = await fetchConfig(place, ['gcp-sm:api', '--format', 'json']);
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'f'), 'utf8')).toContain('"ratio": 1.10');
    expect(google.requests.filter(({ path }) => path.endsWith('/token'))).toHaveLength(1);
    const again = await fetchConfig(place, ['gcp-sm:api', '--format', 'json']);
    expect(again.stderr).toContain('unchanged');
    google.requests.length = 0;
    const fields = ['gcp-sm:api#user', 'gcp-sm:api#port'];
    expect((await fetchConfig(folder(), [...fields, '--format', 'json'])).status).toBe(0);
    expect(accessed()).toHaveLength(1);
  });

  test('by the key of a service account, and by workload identity federation, with and without impersonation', async () => {
    const place = folder();
    const token = join(place, 'token');
    writeFileSync(token, 'e30.e30.subject-canary\n');
    const json = join(place, 'token.json');
    writeFileSync(json, JSON.stringify({ id_token: 'e30.e30.subject-canary' }));
    const impersonation = `${google.url}/v1/projects/-/serviceAccounts/db@shop-prod.iam.gserviceaccount.com:generateAccessToken`;
    const inJson = {
      credential_source: { file: json, format: { type: 'json', subject_token_field_name: 'id_token' } },
    };
    for (const [content, words] of [
      [google.serviceAccount(), 'a service account’s key, robot@shop-prod.iam.gserviceaccount.com'],
      [google.externalAccount(token), 'workload identity federation'],
      [google.externalAccount(token, inJson), 'workload identity federation'],
      [
        google.externalAccount(token, { service_account_impersonation_url: impersonation }),
        'workload identity federation, db@shop-prod.iam.gserviceaccount.com',
      ],
    ] as const) {
      const file = join(place, 'credentials.json');
      writeFileSync(file, content);
      const { status, stderr } = await fetchConfig(place, ['gcp-sm:shop-prod/key'], {
        GOOGLE_APPLICATION_CREDENTIALS: file,
      });
      expect(stderr).toContain(`credentials from ${words}`);
      expect(status).toBe(0);
      expect(google.requests.filter(({ path }) => path.startsWith('/computeMetadata'))).toEqual([]);
    }
  });

  const files: readonly (readonly [string, (google: FakeGoogle) => string, RegExp, number])[] = [
    [
      'a key of nobody',
      (one) => one.serviceAccount({ private_key: unknownKey }),
      /gave no token \(400\): Invalid JWT/,
      69,
    ],
    [
      'another audience',
      (one) => one.externalAccount('/proc/self/stat', { audience: '//x' }),
      /has no token to log in with: .* does not hold one/,
      2,
    ],
    [
      'no token',
      (one) => one.externalAccount('/nonexistent/token'),
      /has no token to log in with: \/nonexistent\/token/,
      2,
    ],
    [
      'a person’s',
      () => '{"type":"authorized_user"}',
      /credentials of the type authorized_user; accepted are/,
      2,
    ],
    ['no type', () => '{"type":"secret-canary 7"}', /credentials of another type/, 2],
    ['no JSON', () => 'secret-canary', /is not a JSON object/, 2],
    ['no key', (one) => one.serviceAccount({ private_key: 'canary' }), /a private_key that is not a key/, 2],
    [
      'a key elsewhere',
      (one) => one.serviceAccount({ token_uri: 'http://token.example/' }),
      /token_uri .* is an http URL/,
      2,
    ],
    [
      'a program',
      (one) => one.externalAccount('', { credential_source: { executable: { command: '/bin/sh' } } }),
      /a credential_source without a file/,
      2,
    ],
    [
      'an account that is none',
      (one) => one.serviceAccount({ client_email: 'a canary' }),
      /has no account in client_email/,
      2,
    ],
    [
      'a project of half a character',
      (one) => one.serviceAccount({ project_id: '\ud800' }),
      /has a project_id that is not the ID of a project/,
      2,
    ],
    [
      'impersonation of none',
      (one) =>
        one.externalAccount('/t', {
          service_account_impersonation_url: `${one.url}/x/%zz:generateAccessToken`,
        }),
      /has no account in service_account_impersonation_url/,
      2,
    ],
    [
      'impersonation elsewhere',
      (one) => one.externalAccount('/t', { service_account_impersonation_url: `${one.url}/x` }),
      /does not end with :generateAccessToken/,
      2,
    ],
  ];
  test.each(files)('credentials with %s end it', async (_name, content, words, wanted) => {
    const place = folder();
    const file = join(place, 'credentials.json');
    writeFileSync(file, content(google));
    const { status, stderr } = await fetchConfig(place, ['gcp-sm:shop-prod/key'], {
      GOOGLE_APPLICATION_CREDENTIALS: file,
    });
    expect(stderr).toMatch(words);
    expect(status).toBe(wanted);
    expect(accessed()).toEqual([]);
    expect(readdirSync(place)).toEqual(['credentials.json']);
  });

  test('--expect-account stops before a secret is asked for, where the node’s account answered', async () => {
    const place = folder();
    const right = await fetchConfig(place, [
      'gcp-sm:key',
      '--expect-account',
      'api@shop-prod.iam.gserviceaccount.com',
    ]);
    expect(right.status).toBe(0);
    google.requests.length = 0;
    const { status, stderr } = await fetchConfig(place, [
      'gcp-sm:key',
      '--expect-account',
      'db@shop-prod.iam.gserviceaccount.com',
    ]);
    expect(stderr).toContain('are those of api@shop-prod.iam.gserviceaccount.com, not of db@shop-prod');
    expect(status).toBe(69);
    expect(accessed()).toEqual([]);
  });

  const refusals: readonly (readonly [string, RegExp])[] = [
    [
      'gcp-sm:nope',
      /gcp-sm:nope does not exist \(as api@shop-prod[\s\S]*gcloud secrets list --project shop-prod/,
    ],
    ['gcp-sm:api?version=9', /has no version "9" \(as api@/],
    [
      'gcp-sm:forbidden',
      /access is denied \(as api@[\s\S]*secretmanager\.versions\.access[\s\S]*--role roles\/secretmanager\.secretAccessor --member serviceAccount:api@shop-prod/,
    ],
    [
      'gcp-sm:off',
      /is a version that is disabled: Secret Version .* DISABLED[\s\S]*gcloud secrets versions enable/,
    ],
    ['gcp-sm:gone', /is a version that was destroyed/],
    ['gcp-sm:api#nope', /has no field "nope"[\s\S]*"user"/],
  ];
  test.each(refusals)('%s', async (source, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig(place, [source]);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('--optional leaves out what does not exist or was destroyed, and not what is refused or disabled', async () => {
    const place = folder();
    const optional = ['--optional', '--format', 'json'];
    const { status, stderr } = await fetchConfig(place, [
      'gcp-sm:api',
      'gcp-sm:nope',
      'gcp-sm:gone',
      ...optional,
    ]);
    expect(stderr).toMatch(/gcp-sm:nope: left out/);
    expect(stderr).toMatch(/gcp-sm:gone: left out/);
    expect(status).toBe(0);
    for (const source of ['gcp-sm:forbidden', 'gcp-sm:off'])
      expect((await fetchConfig(folder(), [source, ...optional])).status).toBe(69);
  });

  test('--public is refused before anything is asked', async () => {
    const { status, stderr } = await fetchConfig(folder(), ['gcp-sm:key', '--public']);
    expect(stderr).toContain('cannot be public');
    expect(status).toBe(2);
    expect(google.requests).toEqual([]);
  });

  test('a metadata server that starts later, throttling and failures pass', async () => {
    let count = 0;
    google.answerFirst = ({ path }, response) => {
      if (path.endsWith('/email')) return false;
      count++;
      if (count === 1) response.writeHead(503).end('starting');
      else if (count === 3)
        response
          .writeHead(429)
          .end(JSON.stringify({ error: { code: 429, message: 'Quota', status: 'RESOURCE_EXHAUSTED' } }));
      else if (count === 4)
        response
          .writeHead(403)
          .end(
            JSON.stringify({ error: { code: 403, message: 'x', errors: [{ reason: 'rateLimitExceeded' }] } }),
          );
      else if (count === 5) response.writeHead(500).end('canary');
      else return false;
      return true;
    };
    const place = folder();
    const { status, stderr } = await fetchConfig(place, ['gcp-sm:shop-prod/key']);
    expect(stderr).toMatch(/the metadata server at 127\.0\.0\.1:\d+ answered 503/);
    expect(stderr).toContain('answered 429');
    expect(stderr).toContain('is throttled by Google (403)');
    expect(stderr).toContain('answered 500');
    expect(status).toBe(0);
    expect(count).toBe(6);
  });

  test('a clock that Google refuses is put right', async () => {
    const place = folder();
    const file = join(place, 'credentials.json');
    writeFileSync(file, google.serviceAccount());
    let refused = 0;
    const tomorrow = new Date(Date.now() + 86_400_000);
    google.answerFirst = ({ path, body }, response) => {
      if (path !== '/token') return false;
      const claims = (new URLSearchParams(body).get('assertion') ?? '').split('.')[1] ?? '';
      const { iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number };
      const date = { Date: tomorrow.toUTCString() };
      if (Math.abs(iat - tomorrow.getTime() / 1000) < 120) {
        response.writeHead(200, date).end('{"access_token":"late-canary","expires_in":3600}');
        return true;
      }
      refused++;
      response.writeHead(400, date).end('{"error":"invalid_grant","error_description":"Invalid JWT: iat"}');
      return true;
    };
    const { status, stderr } = await fetchConfig(place, ['gcp-sm:shop-prod/key'], {
      GOOGLE_APPLICATION_CREDENTIALS: file,
    });
    expect(stderr).toContain('refused the clock of this node; asking with the time of Google');
    expect(refused).toBe(1);
    // The secret's server does not know that token.
    expect(stderr).toContain('Google rejected the credentials');
    expect(status).toBe(69);
  });

  const answers: readonly (readonly [string, number, string, Record<string, string>, RegExp])[] = [
    ['a page', 404, '<html>page-canary</html>', {}, /gave an answer that is not from Secret Manager \(404\)/],
    [
      'a redirect',
      302,
      '',
      { Location: 'http://127.0.0.1:1/' },
      /answered 302, a redirect, and a token goes to one place only/,
    ],
    [
      'an API that is off',
      403,
      JSON.stringify({
        error: {
          code: 403,
          message: 'off',
          status: 'PERMISSION_DENIED',
          details: [{ reason: 'SERVICE_DISABLED' }],
        },
      }),
      {},
      /is of an API that is not enabled[\s\S]*gcloud services enable secretmanager\.googleapis\.com/,
    ],
    ['a huge answer', 200, ' '.repeat(2 << 20), {}, /more than|larger than/],
    [
      'a token that it repeats',
      401,
      JSON.stringify({ error: { code: 401, status: 'UNAUTHENTICATED', message: 'bad TOKEN' } }),
      {},
      /rejected the credentials[\s\S]*bad \[redacted\]/,
    ],
  ];
  test.each(answers)('%s ends it', async (_name, code, body, headers, words) => {
    google.answerFirst = (request, response) => {
      if (!request.path.endsWith(':access')) return false;
      const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
      response.writeHead(code, headers).end(body.replace('TOKEN', token));
      return true;
    };
    const place = folder();
    const { status, stderr } = await fetchConfig(place, ['gcp-sm:shop-prod/key']);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test.each([
    ['no payload', '{"name":"x"}', /it has no payload/],
    ['no base64', '{"payload":{"data":"päy-canary"}}', /it has no payload in base64/],
    ['no JSON', 'canary', /it has no payload/],
  ])('%s is broken', async (_name, body, words) => {
    google.answerFirst = (request, response) => {
      if (!request.path.endsWith(':access')) return false;
      response.writeHead(200).end(body);
      return true;
    };
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, ['gcp-sm:shop-prod/key']).slice(0, -2), '--timeout', '1500ms'],
      { env: google.env },
    );
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
  });

  const answered = (name: string, payload: Record<string, unknown> = {}): string => {
    const data = Buffer.from('value-canary');
    const sum = String(slowCrc32c(data));
    return JSON.stringify({
      name,
      payload: { data: data.toString('base64'), dataCrc32c: sum, ...payload },
    });
  };
  const right = 'projects/1/secrets/key/versions/5';
  test.each([
    ['another secret', '', answered('projects/1/secrets/other/versions/5'), 'it has another secret'],
    ['another project', '', answered('projects/other/secrets/key/versions/5'), 'it has another secret'],
    [
      'another region',
      '',
      answered('projects/1/locations/eu/secrets/key/versions/5'),
      'it has another secret',
    ],
    ['another version', '?version=4', answered(right), 'it has another version'],
    ['a version that is a path', '', answered(`${right}/../9`), 'it has no name of a version'],
    ['an alias for a number', '', answered('projects/1/secrets/key/versions/latest'), 'has no number'],
    ['no name', '', answered(''), 'it has no name of a version'],
    ['no sum', '', answered(right, { dataCrc32c: undefined }), 'it has no CRC-32C'],
    ['an object for a sum', '', answered(right, { dataCrc32c: { a: 1 } }), 'it has no CRC-32C'],
    [
      'base64 that was cut',
      '',
      // The sum of what is left.
      answered(right, { data: 'dmFsdWU', dataCrc32c: String(slowCrc32c(Buffer.from('value'))) }),
      'came with another CRC-32C',
    ],
  ])('an answer with %s is not believed', async (_name, option, body, words) => {
    google.answerFirst = (request, response) => {
      if (!request.path.endsWith(':access')) return false;
      response.writeHead(200).end(body);
      return true;
    };
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, [`gcp-sm:shop-prod/key${option}`]).slice(0, -2), '--timeout', '1500ms'],
      { env: google.env },
    );
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test('bytes that do not fit their CRC-32C never appear', async () => {
    const place = folder();
    const { status, stderr } = await runToDeadline(
      [...args(place, ['gcp-sm:damaged']).slice(0, -2), '--timeout', '1500ms'],
      { env: google.env },
    );
    expect(stderr).toContain('came with another CRC-32C than Secret Manager keeps of it');
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test('another cloud’s metadata server gets no further request', async () => {
    google.answerFirst = (_request, response) => {
      response.writeHead(401).end('');
      return true;
    };
    const { status, stderr } = await fetchConfig(folder(), ['gcp-sm:shop-prod/key']);
    expect(stderr).toMatch(
      /is not Google's: it answered 401 without Metadata-Flavor[\s\S]*Workload Identity/,
    );
    expect(status).toBe(69);
    expect(google.requests).toHaveLength(1);
  });

  test.each([
    [
      { CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'http://sm.internal' },
      /OVERRIDES_SECRETMANAGER is an http URL/,
    ],
    [
      { CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'https://u:pw-canary@h/' },
      /has a user or password in it/,
    ],
    [{ GCE_METADATA_HOST: 'http://metadata/' }, /GCE_METADATA_HOST is not a host/],
    [{ GOOGLE_APPLICATION_CREDENTIALS: '{"private_key":"canary"}' }, /looks like the secret itself/],
    [{ GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent' }, /there is no file \/nonexistent/],
    [{ GOOGLE_APPLICATION_CREDENTIALS: '$(FILE)' }, /GOOGLE_APPLICATION_CREDENTIALS/],
    [{ GOOGLE_CLOUD_PROJECT: 'Shop' }, /GOOGLE_CLOUD_PROJECT is "Shop", not the ID/],
  ] as const)('%j is refused before anything is asked', async (env, words) => {
    const { status, stderr } = await fetchConfig(folder(), ['gcp-sm:shop-prod/key'], env);
    expect(stderr).toMatch(words);
    expect(status).toBe(2);
    expect(google.requests).toEqual([]);
  });
});
