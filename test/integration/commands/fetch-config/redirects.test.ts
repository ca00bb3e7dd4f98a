import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

const missing = requireOrSkip('redirects of requests with credentials', canMount());

const folder = memoryFolders();

const json = { 'Content-Type': 'application/json' };
const mounts = respond(
  200,
  JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '2' } } }),
  json,
);
const secret = (value: string): Behaviour =>
  respond(200, JSON.stringify({ data: { data: { key: value }, metadata: { version: 1 } } }), json);
const mountPath = '/v1/sys/internal/ui/mounts/secret/a';
const secretPath = '/v1/secret/data/a';

/** What a thief would serve: a login, a mount, a secret of its own. */
const thief = {
  [mountPath]: mounts,
  [secretPath]: secret('planted'),
  ...Object.fromEntries(
    ['approle/login', 'kubernetes/login', 'userpass/login/app'].map((path) => [
      `/v1/auth/${path}`,
      respond(200, JSON.stringify({ auth: { client_token: 'stolen', accessor: 'x' } }), json),
    ]),
  ),
  '/v1/sys/wrapping/unwrap': respond(200, JSON.stringify({ auth: { client_token: 'stolen' } }), json),
};

/** Sends every request to the same path of another place. */
function redirecting(status: number, to: (path: string) => string): Behaviour {
  return (socket, request) => {
    const path = request.split(' ')[1] ?? '';
    respond(status, '', { Location: to(path) })(socket, request);
  };
}

const everywhere = (behaviour: Behaviour) =>
  Object.fromEntries(Object.keys(thief).map((path) => [path, behaviour]));

describe.skipIf(missing)('Vault that sends elsewhere gets nothing through', () => {
  const logins: readonly (readonly [string, (place: string) => readonly string[], Record<string, string>])[] =
    [
      ['a token', () => [], { VAULT_TOKEN: 'token-canary' }],
      ['a wrapping token', () => ['--vault-unwrap'], { VAULT_TOKEN: 'token-canary' }],
      [
        'the password of userpass',
        (place) => ['--vault-user', 'app', '--vault-password-file', join(place, '.secret')],
        {},
      ],
      [
        'the SecretID of AppRole',
        (place) => ['--vault-role-id', 'r', '--vault-secret-id-file', join(place, '.secret')],
        {},
      ],
      [
        'the token of a service account',
        (place) => ['--vault-role', 'app', '--vault-jwt-file', join(place, '.jwt')],
        {},
      ],
    ];
  test.each(logins)('%s', async (_what, flags, env) => {
    await using other = await startFaultServer(thief);
    await using standby = await startFaultServer(
      everywhere(redirecting(307, (path) => `${other.url}${path}`)),
    );
    const place = folder();
    writeFileSync(join(place, '.secret'), 'secret-canary');
    writeFileSync(join(place, '.jwt'), 'e30.e30.jwt-canary');
    const { status, stderr } = await runToDeadline(
      ['fetch-config', 'vault:secret/a#key', '--to', join(place, 'f'), ...flags(place), '--timeout', '3s'],
      { env: { VAULT_ADDR: standby.url, ...env } },
    );
    expect(other.requests).toEqual([]);
    // It may become the leader itself while we wait.
    expect(status).toBe(124);
    expect(stderr).toContain(`${standby.url} redirects to ${other.url} (307)`);
    expect(stderr).toContain('VAULT_ADDR');
    expect(stderr).not.toContain('canary');
    expect(readdirSync(place)).not.toContain('f');
  });

  const places: readonly (readonly [string, number, (other: string, path: string) => string])[] = [
    ['301', 301, (other, path) => `${other}${path}`],
    ['302', 302, (other, path) => `${other}${path}`],
    ['303', 303, (other, path) => `${other}${path}`],
    ['308', 308, (other, path) => `${other}${path}`],
    ['another path there', 307, (other) => `${other}${secretPath}`],
    ['//host', 302, (other, path) => `//${new URL(other).host}${path}`],
    ['\\\\host', 308, (other, path) => `\\\\${new URL(other).host}${path}`],
    ['a user in the Location', 308, (other, path) => `${other.replace('://', '://u:p@')}${path}`],
  ];
  test.each(places)('a token, and %s', async (_what, code, to) => {
    await using other = await startFaultServer(thief);
    await using server = await startFaultServer(everywhere(redirecting(code, (path) => to(other.url, path))));
    const place = folder();
    const { status, stderr } = await runToDeadline(
      ['fetch-config', 'vault:secret/a#key', '--to', join(place, 'f'), '--timeout', '2s'],
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 'token-canary' } },
    );
    expect(other.requests).toEqual([]);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/redirects to|not followed/);
    expect(readdirSync(place)).toEqual([]);
  });

  test('from https to http of the same host and port number', async () => {
    using authority = await createCertificateAuthority();
    const pair = await authority.server();
    await using other = await startFaultServer(thief);
    await using server = await startFaultServer(
      everywhere(redirecting(307, (path) => `${other.url}${path}`)),
      {
        cert: pair.certificate,
        key: pair.key,
      },
    );
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'f'), '--timeout', '5s'],
      {
        env: { VAULT_ADDR: server.url, VAULT_CACERT: authority.certificateFile, VAULT_TOKEN: 'token-canary' },
      },
    );
    expect(other.requests).toEqual([]);
    expect(stderr).toContain('it leaves https');
    expect(status).toBe(69);
  });

  test('a standby that becomes the leader is read from', async () => {
    await using other = await startFaultServer(thief);
    const begun = performance.now();
    const elected =
      (then: Behaviour): Behaviour =>
      (socket, request) =>
        (performance.now() - begun > 2_000 ? then : redirecting(307, (path) => `${other.url}${path}`))(
          socket,
          request,
        );
    await using standby = await startFaultServer({
      [mountPath]: elected(mounts),
      [secretPath]: elected(secret('led')),
    });
    const target = join(folder(), 'f');
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--timeout', '20s'],
      { env: { VAULT_ADDR: standby.url, VAULT_TOKEN: 't' } },
    );
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('led');
    expect(other.requests).toEqual([]);
  });

  test('behind a Service the next connection may lead to the leader: the one to the standby is not kept', async () => {
    await using other = await startFaultServer(thief);
    let first: unknown;
    const byConnection =
      (then: Behaviour): Behaviour =>
      (socket, request) => {
        first ??= socket;
        (socket === first ? redirecting(307, (path) => `${other.url}${path}`) : then)(socket, request);
      };
    await using service = await startFaultServer({
      [mountPath]: byConnection(mounts),
      [secretPath]: byConnection(secret('led')),
    });
    const target = join(folder(), 'f');
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--timeout', '10s'],
      { env: { VAULT_ADDR: service.url, VAULT_TOKEN: 't' } },
    );
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('led');
  });

  test('a redirect to itself is followed once', async () => {
    await using server = await startFaultServer({
      [mountPath]: [redirecting(307, (path) => path), mounts],
      [secretPath]: secret('here'),
    });
    const target = join(folder(), 'f');
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--timeout', '10s'],
      { env: { VAULT_ADDR: server.url, VAULT_TOKEN: 't' } },
    );
    expect(status).toBe(0);
  });
});

describe.skipIf(missing)('http sources', () => {
  test('an ETag and every header stay with the first origin, through two redirects and back', async () => {
    const place = folder();
    await using other = await startFaultServer({
      '/g': (socket, request) => respond(302, '', { Location: `${server.url}/back` })(socket, request),
    });
    await using server = await startFaultServer({
      '/f': [
        respond(200, 'first', { ETag: '"of-the-first-origin"' }),
        (socket, request) => respond(302, '', { Location: `${other.url}/g` })(socket, request),
      ],
      '/back': respond(200, 'back'),
    });
    const args = ['fetch-config', `${server.url}/f`, '--to', join(place, 'f')];
    const reruns = ['--etag-file', join(place, '.etag'), '--cross-origin', '--redirects', '2'];
    expect((await runInitbox([...args, ...reruns])).status).toBe(0);
    expect((await runInitbox([...args, ...reruns])).status).toBe(0);
    expect(server.requests[1]?.headers.join('\n')).toContain('if-none-match: "of-the-first-origin"');
    expect(other.requests[0]?.headers.join('\n')).not.toContain('if-none-match');
    expect(server.requests[2]?.headers.join('\n')).not.toContain('if-none-match');

    writeFileSync(join(place, '.headers'), 'Cookie: cookie-canary\nX-Api-Key: key-canary\n');
    const secrets = ['--header-file', join(place, '.headers'), '--cross-origin', '--redirects', '2'];
    const begun = [other.requests.length, server.requests.length];
    expect((await runInitbox([...args, ...secrets])).status).toBe(0);
    expect(
      other.requests
        .slice(begun[0])
        .flatMap(({ headers }) => headers)
        .join('\n'),
    ).not.toContain('canary');
    const [asked, back] = server.requests.slice(begun[1]);
    expect(asked?.headers.join('\n')).toContain('cookie-canary');
    expect(back?.headers.join('\n')).not.toContain('canary');
  });
});

describe.skipIf(missing)('AWS', () => {
  test.each([301, 302, 307, 308])(
    'a %i of Secrets Manager, of STS and of the agent for credentials',
    async (status) => {
      await using other = await startFaultServer({});
      const away: Behaviour = (socket, request) =>
        respond(status, '', { Location: `${other.url}/x` })(socket, request);
      await using server = await startFaultServer({ '/': away, '/v1/credentials': away });
      const place = folder();
      writeFileSync(join(place, '.token'), 'pod-canary');
      const run = (env: Record<string, string>, ...flags: string[]) =>
        runInitbox(['fetch-config', 'aws-sm:text', '--to', join(place, 'f'), '--timeout', '10s', ...flags], {
          env: {
            AWS_REGION: 'eu-central-1',
            AWS_ACCESS_KEY_ID: 'k',
            AWS_SECRET_ACCESS_KEY: 'secret-canary',
            HOME: place,
            ...env,
          },
        });
      const manager = await run({ AWS_ENDPOINT_URL_SECRETS_MANAGER: server.url });
      const sts = await run({ AWS_ENDPOINT_URL_STS: server.url }, '--expect-role', 'app');
      const agent = await run({
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(place, '.token'),
      });
      expect(other.requests).toEqual([]);
      expect([manager.status, sts.status, agent.status]).toEqual([69, 69, 69]);
      expect(sts.stderr).toContain(String(status));
      expect(agent.stderr).toContain(String(status));
      expect(manager.stderr).toContain(`answered ${status}`);
    },
  );

  test('a token for credentials goes to no host in clear text', async () => {
    const place = folder();
    writeFileSync(join(place, '.token'), 'pod-canary');
    await using other = await startFaultServer({});
    const { status } = await runInitbox(
      ['fetch-config', 'aws-sm:text', '--to', join(place, 'f'), '--timeout', '5s'],
      {
        env: {
          AWS_REGION: 'eu-central-1',
          HOME: place,
          AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://agent.example:${other.port}/v1/credentials`,
          AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(place, '.token'),
        },
        files: { '/etc/hosts': '127.0.0.1 agent.example localhost\n' },
      },
    );
    expect(other.requests).toEqual([]);
    expect(status).toBe(69);
  });
});
