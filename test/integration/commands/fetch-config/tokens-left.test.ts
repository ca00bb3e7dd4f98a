// What becomes of Vault's tokens where their answers are broken, and where what was read reaches nobody.
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { respond, startFaultServer, type Behaviour } from './fault-server.ts';

const folder = memoryFolders();
const json = { 'Content-Type': 'application/json' };
const token = 'hvs.token-of-the-run';
const answer = (value: unknown): Behaviour => respond(200, JSON.stringify(value), json);
const auth = { client_token: token, accessor: 'accessor-of-the-run', policies: ['p'], lease_duration: 600 };
const good = answer({ auth });

/** The head and a token of an answer that announces more. */
const cut: Behaviour = (socket) => {
  socket.end(
    `HTTP/1.1 200 OK\r\nContent-Length: 900\r\nContent-Type: application/json\r\n\r\n{"auth":{"client_token":"${token}",`,
  );
};

const leased = {
  lease_id: 'database/creds/app/1',
  lease_duration: 3600,
  data: { username: 'v-app', password: 'password-of-the-lease' },
};

async function startVault(more: Readonly<Record<string, Behaviour | readonly Behaviour[]>> = {}) {
  const server = await startFaultServer({
    '/v1/auth/userpass/login/app': good,
    '/v1/sys/internal/ui/mounts/secret/a': answer({
      data: { path: 'secret/', type: 'kv', options: { version: '2' } },
    }),
    '/v1/sys/internal/ui/mounts/database/creds/app': answer({
      data: { path: 'database/', type: 'database' },
    }),
    '/v1/auth/token/lookup-self': answer({ data: { accessor: 'accessor-of-the-run', ttl: 600 } }),
    '/v1/auth/token/revoke-self': respond(204, ''),
    '/v1/secret/data/a': answer({ data: { data: { key: 'value' }, metadata: { version: 1 } } }),
    '/v1/database/creds/app': answer(leased),
    ...more,
  });
  const place = folder();
  writeFileSync(join(place, 'password'), 'the-password-of-app');
  return {
    server,
    place,
    words: (source: string, ...others: string[]) => [
      'fetch-config',
      source,
      '--vault-user',
      'app',
      '--vault-password-file',
      join(place, 'password'),
      ...others,
    ],
    env: { VAULT_ADDR: server.url },
    revoked: () => server.requests.filter(({ line }) => line.includes('revoke-self')).length,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const lives =
  /the answer to a login did not come whole( 2 times)?: if Vault made (a token|tokens) .* lives? on/;

describe('a login whose answer is broken may have left a token, and that is said', () => {
  const login = '/v1/auth/userpass/login/app';
  test.each([
    ['cut inside the body', cut, 124],
    [
      'bytes behind the end',
      respond(200, `${JSON.stringify({ auth })}XX`, {
        ...json,
        'Content-Length': String(JSON.stringify({ auth }).length),
      }),
      69,
    ],
    ['JSON and more behind it', respond(200, `${JSON.stringify({ auth })}XX`, json), 69],
    ['no answer at all', (socket: Socket) => void socket.destroy(), 124],
  ] as const)('%s', async (_name, behaviour, ends) => {
    await using vault = await startVault({ [login]: [behaviour] });
    const words = vault.words('vault:secret/a#key', '--to', join(vault.place, 'out'));
    const { status, stderr } = await runToDeadline([...words, '--timeout', '3s', '--interval', '10s'], {
      env: vault.env,
      // A login that the deadline cut off says so in other words.
      answered: (said) => !/a login was cut off|not tried yet/.test(said),
    });
    expect(status).toBe(ends);
    expect(stderr).toMatch(lives);
    expect(stderr).not.toContain(token);
  });

  test('cut twice, then good', async () => {
    await using vault = await startVault({ [login]: [cut, cut, good] });
    const { status, stderr } = await runInitbox(
      vault.words('vault:secret/a#key', '--to', join(vault.place, 'out')),
      { env: vault.env },
    );
    expect(status).toBe(0);
    expect(stderr).toContain(
      'the answer to a login did not come whole 2 times: if Vault made tokens for them',
    );
    expect(vault.revoked()).toBe(1);
  });

  test('a refusal, and no connection, have left none', async () => {
    await using vault = await startVault({ [login]: [respond(400, '{"errors":["no"]}', json)] });
    const { status, stderr } = await runInitbox(
      vault.words('vault:secret/a#key', '--to', join(vault.place, 'out')),
      { env: vault.env },
    );
    expect(status).toBe(69);
    expect(stderr).not.toContain('lives on');
    const silent = await runInitbox(
      [...vault.words('vault:secret/a#key', '--to', join(vault.place, 'out')), '--timeout', '1s'],
      { env: { VAULT_ADDR: 'http://127.0.0.1:1' } },
    );
    expect(silent.status).toBe(124);
    expect(silent.stderr).not.toContain('lives on');
  });
});

describe('a token that was unwrapped is nobody else’s, and that is said', () => {
  const unwrap = '/v1/sys/wrapping/unwrap';
  const words = (place: string): string[] => {
    writeFileSync(join(place, 'wrapped'), 'hvs.the-wrapping-token');
    return [
      'fetch-config',
      'vault:secret/a#key',
      '--to',
      join(place, 'out'),
      '--timeout',
      '30s',
      '--vault-token-file',
      join(place, 'wrapped'),
      '--vault-unwrap',
    ];
  };

  test('SIGTERM while the unwrapping is answered', async () => {
    await using vault = await startVault({ [unwrap]: () => {} });
    const running = await startInitbox(words(vault.place), { env: vault.env });
    await waitUntil(() => vault.server.requests.some(({ line }) => line.includes('unwrap')));
    running.kill('SIGTERM');
    const { status, stderr } = await running.exit;
    expect(status).toBe(143);
    expect(stderr).toContain(
      'the token was being unwrapped: if Vault made a token for it, that token lives on',
    );
  });

  test('SIGTERM while the secret is read', async () => {
    await using vault = await startVault({ [unwrap]: good, '/v1/secret/data/a': () => {} });
    const running = await startInitbox(words(vault.place), { env: vault.env });
    await waitUntil(() => vault.server.requests.some(({ line }) => line.includes('secret/data')));
    running.kill('SIGTERM');
    const { status, stderr } = await running.exit;
    expect(status).toBe(143);
    expect(stderr).toContain('the token that was unwrapped is not revoked');
    expect(vault.revoked()).toBe(0);
  });

  test('nothing is said where the secret is in use', async () => {
    await using vault = await startVault({ [unwrap]: good });
    const { status, stderr } = await runInitbox(words(vault.place), { env: vault.env });
    expect(status).toBe(0);
    expect(stderr).not.toContain('lives on');
  });
});

describe('a lease goes with its token where nobody gets it', () => {
  const never = ['/nonexistent/server'];
  const folderAsProgram = ['/etc'];
  /** All variables of a process have a quarter of its stack's limit, and never more than 6 MiB (execve(2)). */
  const tooMuch = {
    ...leased,
    data: Object.fromEntries(Array.from({ length: 80 }, (_, at) => [`password_${at}`, 'x1'.repeat(50_000)])),
  };

  test.each([
    ['by variables, for a command that is not there', ['--env'], never, 127, leased],
    ['by a file, for a command that is not there', ['--to'], never, 127, leased],
    ['for a command that cannot be run', ['--env'], folderAsProgram, 126, leased],
    ['for a command that the kernel refuses', ['--env'], ['/bin/true'], 126, tooMuch],
  ])('%s', async (_name, where, command, ends, found) => {
    await using vault = await startVault({ '/v1/database/creds/app': answer(found) });
    const to = where[0] === '--to' ? ['--to', join(vault.place, 'out'), '--format', 'json'] : where;
    const { status, stderr } = await runInitbox(
      [...vault.words('vault:database/creds/app', ...to, '--log-level', 'debug'), '--', ...command],
      { env: vault.env },
    );
    expect(stderr).toContain('the token of this run is revoked, and its leases with it');
    expect(status).toBe(ends);
    expect(vault.revoked()).toBe(1);
  });

  test('of render', async () => {
    await using vault = await startVault();
    writeFileSync(join(vault.place, 'template'), 'p=${P}\n');
    const { status } = await runInitbox(
      [
        'render',
        join(vault.place, 'template'),
        '--to',
        join(vault.place, 'made'),
        '--data',
        'P=vault:database/creds/app#password',
        '--vault-user',
        'app',
        '--vault-password-file',
        join(vault.place, 'password'),
        '--',
        ...never,
      ],
      { env: vault.env },
    );
    expect(status).toBe(127);
    expect(vault.revoked()).toBe(1);
  });

  test.each([
    ['whose command is not there', [], never, 127],
    ['whose later step fails', [{ name: 'b', command: ['/bin/false'], needs: ['a'] }], ['/bin/true'], 1],
  ])('of a plan %s', async (_name, steps, command, ends) => {
    await using vault = await startVault();
    mkdirSync(join(vault.place, 'made'));
    const password = join(vault.place, 'password');
    const made = join(vault.place, 'made/out');
    const step = {
      name: 'a',
      uses: 'fetch-config',
      sources: ['vault:database/creds/app'],
      to: made,
      format: 'json',
      'vault-user': 'app',
      'vault-password-file': password,
    };
    writeFileSync(join(vault.place, 'plan.yaml'), JSON.stringify({ steps: [step, ...steps] }));
    const { status, stderr } = await runInitbox(['run', join(vault.place, 'plan.yaml'), '--', ...command], {
      env: vault.env,
    });
    expect(stderr).not.toContain('usage');
    expect(status).toBe(ends);
    expect(vault.revoked()).toBe(1);
  });

  test('and is kept for a command that is started', async () => {
    await using vault = await startVault();
    const { status } = await runInitbox(
      [
        ...vault.words('vault:database/creds/app', '--env'),
        '--',
        '/bin/sh',
        '-c',
        'test "$username" = v-app',
      ],
      { env: vault.env },
    );
    expect(status).toBe(0);
    expect(vault.revoked()).toBe(0);
  });
});

describe('a lease that a given token made is revoked by itself where nobody gets it', () => {
  const given = { VAULT_TOKEN: 'hvs.a-token-that-was-given' };
  const lease = leased.lease_id;
  const revokes = ({ requests }: { readonly requests: readonly { readonly line: string }[] }): number =>
    requests.filter(({ line }) => line.includes('sys/leases/revoke')).length;
  const denied = answer403('permission denied');

  function answer403(words: string): Behaviour {
    return respond(403, JSON.stringify({ errors: [words] }), json);
  }

  test.each([
    ['by a dry run', ['--dry-run'], [], {}, 0],
    ['where a later source fails', [], [], { '/v1/secret/data/a': denied }, 69],
    ['where time is up', ['--timeout', '1500ms'], [], { '/v1/secret/data/a': respond(503, '{}', json) }, 124],
    ['for a command that is not there', [], ['--', '/nonexistent/server'], {}, 127],
  ] as const)('%s', async (_name, options, command, more, ends) => {
    for (const refused of [false, true]) {
      let asked = '';
      await using vault = await startVault({
        '/v1/sys/leases/revoke': (socket, request) => {
          asked = request;
          (refused ? denied : respond(204, ''))(socket, request);
        },
        ...more,
      });
      const to = join(vault.place, 'out');
      const { status, stderr } = await runInitbox(
        [
          'fetch-config',
          'vault:database/creds/app',
          'vault:secret/a',
          '--to',
          to,
          '--format',
          'json',
          '--log-level',
          'debug',
          ...options,
          ...command,
        ],
        { env: { ...vault.env, ...given } },
      );
      expect(status).toBe(ends);
      expect(revokes(vault.server)).toBe(1);
      expect(asked).toContain(lease);
      expect(vault.revoked()).toBe(0);
      expect(stderr).not.toContain(lease);
      if (refused)
        expect(stderr).toMatch(
          /warn .*the lease of vault:database\/creds\/app could not be revoked, and lives on for 1h, .*403: permission denied; a policy of the token must allow update on sys\/leases\/revoke/,
        );
      else expect(stderr).toMatch(/debug .*the lease of vault:database\/creds\/app is revoked/);
    }
  });

  test('at SIGTERM', async () => {
    await using vault = await startVault({
      '/v1/sys/leases/revoke': respond(204, ''),
      '/v1/secret/data/a': () => {},
    });
    const running = await startInitbox(
      [
        'fetch-config',
        'vault:database/creds/app',
        'vault:secret/a',
        '--to',
        join(vault.place, 'out'),
        '--log-level',
        'debug',
        '--format',
        'json',
      ],
      { env: { ...vault.env, ...given } },
    );
    await waitUntil(() => vault.server.requests.some(({ line }) => line.includes('secret/data')));
    await waitUntil(() => vault.server.requests.some(({ line }) => line.includes('database/creds')));
    await running.waitForStderr(/database\/creds\/app.* read/);
    running.kill('SIGTERM');
    expect((await running.exit).status).toBe(143);
    expect(revokes(vault.server)).toBe(1);
  });

  test('and is kept for whoever got it', async () => {
    await using vault = await startVault();
    const { status } = await runInitbox(
      ['fetch-config', 'vault:database/creds/app', '--to', join(vault.place, 'out'), '--format', 'json'],
      { env: { ...vault.env, ...given } },
    );
    expect(status).toBe(0);
    expect(revokes(vault.server)).toBe(0);
  });

  test('also where the token of a login cannot be revoked', async () => {
    await using vault = await startVault({
      '/v1/auth/token/lookup-self': answer({ data: { accessor: 'of-another', ttl: 600 } }),
      '/v1/sys/leases/revoke': respond(204, ''),
    });
    const { status } = await runInitbox(vault.words('vault:database/creds/app', '--dry-run'), {
      env: vault.env,
    });
    expect(status).toBe(0);
    expect(vault.revoked()).toBe(0);
    expect(revokes(vault.server)).toBe(1);
  });
});

describe('an answer with a lease that does not come whole', () => {
  const text = JSON.stringify(leased);
  const half: Behaviour = (socket) => {
    socket.end(
      `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\nContent-Type: application/json\r\n\r\n${text.slice(0, 40)}`,
    );
  };
  const creds = '/v1/database/creds/app';

  test('is said beside the lease that came, and counted', async () => {
    await using vault = await startVault({ [creds]: [half, answer(leased)] });
    const { status, stderr } = await runInitbox(
      vault.words('vault:database/creds/app', '--to', join(vault.place, 'out'), '--format', 'json'),
      { env: vault.env },
    );
    expect(status).toBe(0);
    expect(stderr).toContain(
      'the token is kept: 1 lease hangs on it, and 1 more may, since an answer did not come whole',
    );
  });

  test('is asked for again with growing pauses, and what may be left is said', async () => {
    await using vault = await startVault({ [creds]: half });
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        'vault:database/creds/app',
        '--to',
        join(vault.place, 'out'),
        '--format',
        'json',
        '--timeout',
        '3s',
      ],
      { env: { ...vault.env, VAULT_TOKEN: 'hvs.a-token-that-was-given' } },
    );
    expect(status).toBe(124);
    // After 0 s, 1 s, 2.5 s, and just before the end.
    expect(vault.server.requests.filter(({ line }) => line.includes('creds')).length).toBeLessThan(6);
    expect(stderr).toMatch(
      /warn .*the answer of vault:database\/creds\/app did not come whole \d times: if Vault made leases for them, these live on/,
    );
  });
});

test('what is asked once more is counted as it was asked', async () => {
  await using vault = await startVault({
    '/v1/secret/data/a': respond(403, '{"errors":["permission denied"]}', json),
  });
  const { status, stderr } = await runInitbox(
    vault.words('vault:secret/a', '--to', join(vault.place, 'out'), '--format', 'json'),
    { env: vault.env },
  );
  expect(status).toBe(69);
  expect(vault.server.requests.filter(({ line }) => line.includes('secret/data')).length).toBe(2);
  expect(stderr).toMatch(/permission denied.* for [1-9][\d.]*s, 2 attempts/);
});
