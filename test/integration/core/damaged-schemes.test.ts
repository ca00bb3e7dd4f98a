// An address whose scheme is damaged is refused before anything is asked, without its password.
import { describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline } from '../../support/program.ts';

const password = 'Xk9vQ2mPzL7rT4bN';
const http = ['wait-http', 'http://example.test/', '--timeout', '2s'];
const fetch = (source: string): string[] => [
  'fetch-config',
  source,
  '--to',
  '/dev/shm/initbox-none',
  '--timeout',
  '2s',
];
const aws = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIA1',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI',
};

/** What stands in front of the host, each of them mistyped. */
const damaged = ['https:', 'https:/', 'http//', '//', '/', 'http:\\\\', '://', 'http.//', 'https;//'];

const takers: readonly (readonly [
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
])[] = [
  ['HTTP_PROXY', http, {}],
  ['http_proxy', http, {}],
  ['HTTPS_PROXY', ['wait-http', 'https://example.test/', '--timeout', '2s'], {}],
  ['HTTP_PROXY', fetch('http://example.test/x'), {}],
  ['VAULT_ADDR', fetch('vault:secret/x#k'), { VAULT_TOKEN: 'hvs.x' }],
  ['AWS_ENDPOINT_URL', fetch('aws-sm:x#k'), aws],
  ['AWS_ENDPOINT_URL_SECRETS_MANAGER', fetch('aws-sm:x#k'), aws],
  ['AWS_ENDPOINT_URL_STS', fetch('aws-sm:x#k'), aws],
];

describe.each(takers)('%s of %s', (name, args, env) => {
  test.each(damaged)('%sUSER:PASSWORD@HOST', async (scheme) => {
    const { status, stderr } = await runInitbox(args, {
      env: { ...env, [name]: `${scheme}pu:${password}@proxy.test:9104` },
    });
    expect(stderr).toContain(name);
    expect(stderr).toMatch(/https?:\/\//);
    expect(stderr).not.toContain(password);
    expect(status).toBe(2);
  });
  test.each(['https:', 'https:/', 'http//', '//'])('%sHOST', async (scheme) => {
    const { status, stderr } = await runInitbox(args, {
      env: { ...env, [name]: `${scheme}proxy.test:9104` },
    });
    expect(stderr).toContain(name);
    expect(status).toBe(2);
  });
});

describe('what is given as an argument', () => {
  test.each(damaged)('%sUSER:PASSWORD@HOST', async (scheme) => {
    const address = `${scheme}pu:${password}@host.test:9104/x`;
    for (const [args, env] of [
      [['wait-http', address, '--timeout', '2s'], {}],
      [fetch(address), {}],
      [['wait-tcp', address, '--timeout', '2s'], {}],
      [['wait-postgres', '--timeout', '2s'], { DATABASE_URL: address }],
      [['wait-postgres', '--timeout', '2s'], { DATABASE_URL: address.replace(/https?/, 'postgres') }],
    ] as const) {
      const { status, stderr } = await runInitbox(args, { env });
      expect(stderr).not.toContain(password);
      expect([args[0], status]).toEqual([args[0], 2]);
    }
  });
});

test('a proxy with a user named in front of a bare host stays one', async () => {
  const { status, stderr } = await runToDeadline(
    ['wait-http', 'http://example.test/', '--timeout', '300ms'],
    {
      env: { HTTP_PROXY: `pu:${password}@127.0.0.1:1` },
    },
  );
  expect(stderr).toContain('127.0.0.1:1');
  expect(stderr).not.toContain(password);
  expect(status).toBe(124);
});
