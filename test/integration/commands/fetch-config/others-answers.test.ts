// Answers about something else than what was asked for, and what they make a run do with what is another's.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { respond, startFaultServer } from './fault-server.ts';

const folder = memoryFolders();
const json = { 'Content-Type': 'application/json' };
const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:';
const aws = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG',
};

describe('Secrets Manager', () => {
  test.each([
    ['aws-sm:prod/api', { Name: 'prod/api', ARN: `${arn}prod/api-AbCdEf` }, 0],
    [`aws-sm:${arn}prod/api-AbCdEf`, { Name: 'prod/api', ARN: `${arn}prod/api-AbCdEf` }, 0],
    [`aws-sm:${arn}prod/api`, { Name: 'prod/api', ARN: `${arn}prod/api-AbCdEf` }, 0],
    ['aws-sm:prod/api', { Name: 'elses', ARN: `${arn}elses-abcdef` }, 124],
    ['aws-sm:prod/api', { Name: 'prod/api', ARN: `${arn}elses-abcdef` }, 124],
    ['aws-sm:prod/api', { Name: 'elses' }, 124],
    ['aws-sm:prod/api', { ARN: `${arn}prod/api/more-AbCdEf` }, 124],
    [`aws-sm:${arn}prod/api-AbCdEf`, { Name: 'prod/api', ARN: `${arn}prod/api-XyZxYz` }, 124],
    [
      `aws-sm:${arn}prod/api-AbCdEf`,
      { Name: 'prod/api', ARN: `${arn.replace('1234', '9999')}prod/api-AbCdEf` },
      124,
    ],
    ['aws-sm:prod/api', {}, 124, 'it is not about a secret'],
    ['aws-sm:prod/api', { Name: null, ARN: null }, 124, 'it is not about a secret'],
    ['aws-sm:prod/api', { Name: 'prod/api', VersionStages: ['AWSCURRENT', 'x'] }, 0],
    ['aws-sm:prod/api', { Name: 'prod/api', VersionStages: ['AWSPREVIOUS'] }, 124, 'it has another version'],
    ['aws-sm:prod/api?version=v1', { Name: 'prod/api', VersionStages: ['AWSPREVIOUS'] }, 0],
    ['aws-sm:prod/api?stage=AWSPREVIOUS', { Name: 'prod/api', VersionStages: ['AWSPREVIOUS'] }, 0],
    ['aws-sm:prod/api', { Name: 'prod/api', SecretBinary: 'dmFs' }, 124, 'both a text and a binary value'],
  ] as [string, object, number, string?][])(
    '%s answered by %j ends with %i',
    async (source, about, expected, words = 'it has another secret') => {
      await using server = await startFaultServer({
        '/': respond(200, JSON.stringify({ ...about, SecretString: 'value', VersionId: 'v1' }), {
          'Content-Type': 'application/x-amz-json-1.1',
        }),
      });
      const { status, stderr } = await runInitbox(
        ['fetch-config', source, '--to', join(folder(), 'out'), '--timeout', expected === 0 ? '30s' : '3s'],
        { env: { ...aws, AWS_ENDPOINT_URL: server.url } },
      );
      expect(status, stderr).toBe(expected);
      if (expected !== 0) expect(stderr).toContain(words);
    },
  );

  test('a refusal that repeats the signed request shows neither its key nor its signature', async () => {
    const said =
      'denied for AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261127/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
    await using server = await startFaultServer({
      '/bucket/key': respond(403, `<Error><Code>AccessDenied</Code><Message>${said}</Message></Error>`, {
        'Content-Type': 'application/xml',
      }),
    });
    const { status, stderr } = await runInitbox(
      ['fetch-config', 's3://bucket/key', '--to', join(folder(), 'out'), '--timeout', '30s'],
      { env: { ...aws, AWS_ENDPOINT_URL: server.url } },
    );
    expect(status, stderr).toBe(69);
    expect(stderr).toContain('Credential=[redacted]');
    expect(stderr).not.toContain('0123456789abcdef');
    expect(stderr).not.toContain('20261127');
  });
});

describe('a lease, of a run with a token that was given and that nobody gets the secret of', () => {
  const path = '/v1/database/creds/app';
  const good = { lease_id: 'database/creds/app/1', lease_duration: 3600, data: { username: 'v-app' } };
  const revoked = async (answer: object, headers: Record<string, string> = {}) => {
    await using server = await startFaultServer({
      '/v1/sys/internal/ui/mounts/database/creds/app': respond(
        200,
        JSON.stringify({ data: { path: 'database/', type: 'database' } }),
        json,
      ),
      '/v1/auth/token/lookup-self': respond(200, JSON.stringify({ data: { ttl: 600 } }), json),
      [path]: respond(200, JSON.stringify(answer), { ...json, ...headers }),
      '/v1/sys/leases/revoke': respond(204, ''),
    });
    const { stderr } = await runInitbox(
      ['fetch-config', 'vault:database/creds/app', '--to', join(folder(), 'out'), '--dry-run'].concat(
        '--timeout',
        '30s',
      ),
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'hvs.given-to-the-run' } },
    );
    return { stderr, asked: server.requests.filter(({ line }) => line.includes('leases/revoke')).length };
  };

  test('of this read is revoked', async () => {
    const { stderr, asked } = await revoked(good);
    expect(asked, stderr).toBe(1);
  });
  test.each([
    ['X-Cache: HIT of an agent', { 'X-Cache': 'HIT' }],
    ['the Age of a cache', { Age: '300' }],
  ])('with %s is left to those who use it', async (_name, headers) => {
    const { stderr, asked } = await revoked(good, headers);
    expect(asked, stderr).toBe(0);
    expect(stderr).toContain('is not revoked, since a cache gave it');
  });
  test('that a cache has just got is revoked', async () => {
    const { stderr, asked } = await revoked(good, { 'X-Cache': 'MISS', Age: '0' });
    expect(asked, stderr).toBe(1);
  });
  test.each([
    'database/creds/other/1',
    'aws/creds/a/1',
    'database/creds/app/../../auth/token/revoke-self',
    'database/creds/app/1\nX: y',
  ])('with the id %j is not of this read', async (id) => {
    const { stderr, asked } = await revoked({ ...good, lease_id: id });
    expect(asked, stderr).toBe(0);
    expect(stderr).toContain('its id is not one of the path that was read');
  });
  test('without data is revoked, too', async () => {
    const { stderr, asked } = await revoked({ ...good, data: null });
    expect(asked, stderr).toBe(1);
  });
  test('that is named by no text is told of', async () => {
    const { stderr } = await revoked({ ...good, lease_id: { a: 1 } });
    expect(stderr).toContain('if Vault made a lease for it');
  });
});

describe('a client certificate and key that OpenSSL does not take are told by their flags, before anybody is asked', () => {
  test.each([
    ['a key that is broken', 'cert', 'broken', /--key-file: the file holds no private key/],
    ['a key in place of the certificate', 'key', 'key', /--cert-file: the file holds no certificate/],
    ['another key', 'cert', 'other', /--key-file: this is not the key of the certificate/],
  ])('%s', async (_name, cert, key, says) => {
    using pairs = await authorityWithPairs();
    const { status, stderr } = await runInitbox([
      'fetch-config',
      'https://127.0.0.1:1/a',
      '--to',
      join(folder(), 'out'),
      '--cert-file',
      pairs.files[cert] ?? '',
      '--key-file',
      pairs.files[key] ?? '',
      '--timeout',
      '30s',
    ]);
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(says);
  });
});

async function authorityWithPairs(): Promise<Disposable & { readonly files: Record<string, string> }> {
  const authority = await createCertificateAuthority('Client CA');
  const place = folder();
  const first = await authority.client('a');
  const second = await authority.client('b');
  writeFileSync(join(place, 'broken'), '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
  return {
    files: {
      cert: first.certificateFile,
      key: first.keyFile,
      other: second.keyFile,
      broken: join(place, 'broken'),
    },
    [Symbol.dispose]: () => authority.remove(),
  };
}
