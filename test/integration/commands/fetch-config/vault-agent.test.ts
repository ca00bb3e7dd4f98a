import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { baoBinary, canUseBao, startBao, type Bao } from '../../../support/openbao.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox } from '../../../support/program.ts';
import { startServerProcess } from '../../../support/server-process.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { respond, startFaultServer } from './fault-server.ts';

const missing = requireOrSkip('fetch-config behind a proxy of OpenBao', canUseBao() ?? canMount());

const folder = memoryFolders();

/** An AppRole with its credentials in files, as an agent and initbox read them. */
async function approle(
  bao: Bao,
  role: string,
  place: string,
): Promise<{ idFile: string; secretFile: string; id: string }> {
  await bao.must('POST', `auth/approle/role/${role}`, { token_policies: 'app', token_ttl: '10m' });
  const id = (await bao.must('GET', `auth/approle/role/${role}/role-id`)) as { data: { role_id: string } };
  const secret = (await bao.must('POST', `auth/approle/role/${role}/secret-id`)) as {
    data: { secret_id: string };
  };
  const files = { idFile: join(place, `.${role}-id`), secretFile: join(place, `.${role}-secret`) };
  writeFileSync(files.idFile, id.data.role_id);
  writeFileSync(files.secretFile, secret.data.secret_id);
  return { ...files, id: id.data.role_id };
}

/** `bao proxy` with a token of its own, and where that token is written. */
async function startBaoProxy(bao: Bao, place: string, useToken: string) {
  const { idFile, secretFile } = await approle(bao, 'agent', place);
  const port = await freePort();
  const sink = join(place, '.agent-token');
  const configuration = join(place, 'proxy.hcl');
  writeFileSync(
    configuration,
    `vault { address = "${bao.address}" }
auto_auth {
  method "approle" {
    config = {
      role_id_file_path = "${idFile}"
      secret_id_file_path = "${secretFile}"
      remove_secret_id_file_after_reading = false
    }
  }
  sink "file" { config = { path = "${sink}" } }
}
api_proxy { use_auto_auth_token = ${useToken} }
listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
}
`,
  );
  const address = `http://127.0.0.1:${port}`;
  const server = await startServerProcess({
    command: [await baoBinary(), 'proxy', `-config=${configuration}`],
    env: { HOME: place },
    logFile: join(place, 'proxy.log'),
    ready: async () => {
      try {
        readFileSync(sink);
        return (await fetch(`${address}/v1/sys/health`, { headers: { 'X-Vault-Request': 'true' } })).ok;
      } catch {
        return false;
      }
    },
  });
  return {
    address,
    token: readFileSync(sink, 'utf8').trim(),
    [Symbol.asyncDispose]: () => server.stop('SIGTERM', 3_000),
  };
}

const alive = async (bao: Bao, token: string): Promise<boolean> =>
  (await bao.request('GET', 'auth/token/lookup-self', undefined, { token })).status === 200;

describe.skipIf(missing)('behind a proxy with a token of its own', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startBao();
    await bao.must('POST', 'secret/data/a', { data: { key: 'value' } });
    await bao.must('PUT', 'sys/policies/acl/app', {
      policy: 'path "secret/data/*" { capabilities = ["read"] }',
    });
    await bao.must('POST', 'sys/auth/approle', { type: 'approle' });
  });
  afterAll(() => bao.stop());

  test.each([
    ['that it puts in the place of ours: neither is revoked, and a warning says so', '"force"', false],
    ['for requests without one: ours is revoked, its own lives', 'true', true],
  ])('%s', async (_what, useToken, revoked) => {
    const place = folder();
    await using proxy = await startBaoProxy(bao, place, useToken);
    const { secretFile, id } = await approle(bao, 'ours', place);
    const accessors = async () =>
      ((await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } }).data.keys.length;
    const before = await accessors();
    const target = join(place, 'f');
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        'vault:secret/a#key',
        '--to',
        target,
        '--vault-role-id',
        id,
        '--vault-secret-id-file',
        secretFile,
        '--log-level',
        'debug',
      ],
      { env: { VAULT_ADDR: proxy.address } },
    );
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('value');
    expect(await alive(bao, proxy.token)).toBe(true);
    if (revoked) {
      expect(stderr).toContain('the token of this run is revoked');
      expect(await accessors()).toBe(before);
    } else {
      expect(stderr).not.toContain('is revoked');
      expect(stderr).toMatch(/warn .*the token of this run is not revoked: .*another token/);
    }
    expect(stderr).not.toContain(proxy.token);
  });
});

describe.skipIf(missing)('without proof that the token is ours nothing is revoked', () => {
  const json = { 'Content-Type': 'application/json' };
  const login = (auth: Record<string, unknown>) =>
    respond(200, JSON.stringify({ auth: { client_token: 'token-canary', ...auth } }), json);
  test.each([
    [
      'another accessor',
      { accessor: 'ours' },
      respond(200, '{"data":{"accessor":"other-canary"}}', json),
      'another token',
    ],
    ['no accessor in the answer', { accessor: 'ours' }, respond(200, '{"data":{}}', json), 'another token'],
    [
      'a refused question',
      { accessor: 'ours' },
      respond(403, '{"errors":["permission denied"]}', json),
      '403',
    ],
    [
      'an empty accessor on both sides',
      { accessor: '' },
      respond(200, '{"data":{"accessor":""}}', json),
      'no accessor',
    ],
    ['a login without accessor', {}, respond(200, '{"data":{}}', json), 'no accessor'],
    ['silence', { accessor: 'ours' }, () => undefined, 'could not be revoked'],
  ])('%s', async (_what, auth, lookup, words) => {
    await using server = await startFaultServer({
      '/v1/auth/approle/login': login(auth),
      '/v1/sys/internal/ui/mounts/secret/a': respond(
        200,
        JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '1' } } }),
        json,
      ),
      '/v1/secret/a': respond(200, JSON.stringify({ data: { key: 'v' } }), json),
      '/v1/auth/token/lookup-self': lookup,
      '/v1/auth/token/revoke-self': respond(204, ''),
    });
    const target = join(folder(), 'f');
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', target, '--vault-role-id', 'r'],
      { env: { VAULT_ADDR: server.url } },
    );
    expect(status).toBe(0);
    expect(server.requests.map(({ line }) => line).filter((line) => line.includes('revoke'))).toEqual([]);
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('canary');
  });

  test('the question and the revocation go over one connection, with one token', async () => {
    const sockets: unknown[] = [];
    const noting =
      (then: ReturnType<typeof respond>): ReturnType<typeof respond> =>
      (socket, request) => {
        sockets.push(socket);
        then(socket, request);
      };
    await using server = await startFaultServer({
      '/v1/auth/approle/login': login({ accessor: 'ours' }),
      '/v1/sys/internal/ui/mounts/secret/a': respond(
        200,
        JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '1' } } }),
        json,
      ),
      '/v1/secret/a': respond(200, JSON.stringify({ data: { key: 'v' } }), json),
      '/v1/auth/token/lookup-self': noting(respond(200, '{"data":{"accessor":"ours"}}', json)),
      '/v1/auth/token/revoke-self': noting(respond(204, '')),
    });
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'f'), '--vault-role-id', 'r'],
      { env: { VAULT_ADDR: server.url } },
    );
    expect(status).toBe(0);
    expect(sockets).toHaveLength(2);
    expect(sockets[0]).toBe(sockets[1]);
    for (const { headers } of server.requests.slice(-2))
      expect(headers).toContain('x-vault-token: token-canary');
  });
});
