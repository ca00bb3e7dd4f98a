import { createServer, get as httpsGet } from 'node:https';
import type { AddressInfo } from 'node:net';

import { Client } from 'pg';
import { describe, expect, test } from 'vitest';

import { canUseMoto, startMoto } from './moto.ts';
import { canUseBao, startBao, startBaoStandby, startBaoWithConfig } from './openbao.ts';
import { canUsePgBouncer, startPgBouncer } from './pgbouncer.ts';
import { preparePostgres, startPostgres, startStandby } from './postgres.ts';
import { processesIn } from './process-table.ts';
import { createCertificateAuthority } from './tls.ts';
import { requireOrSkip } from './tools.ts';

async function ask(url: string, text: string): Promise<unknown> {
  const client = new Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = await client.query<{ answer: unknown }>(text);
    return result.rows[0]?.answer;
  } finally {
    await client.end();
  }
}

describe('postgres', () => {
  test('takes the role with its password and nobody with another', async () => {
    await using server = await startPostgres();
    expect(await ask(server.url(), 'SELECT current_user AS answer')).toBe('app');
    await expect(ask(server.url().replace('app-password', 'wrong'), 'SELECT 1')).rejects.toMatchObject({
      code: '28P01',
    });
  });

  test('refuses connections before it is started, and keeps port and data across a crash', async () => {
    await using server = await preparePostgres();
    await expect(ask(server.url(), 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.start();
    const { port } = server;
    await server.sql('CREATE TABLE kept AS SELECT 1 AS answer');
    await server.kill();
    expect(processesIn(server.dataDirectory)).toEqual([]);
    await server.start();
    expect(server.port).toBe(port);
    expect(await server.sql('SELECT answer FROM kept')).toEqual([{ answer: 1 }]);
  });

  test('two servers at once, and a fresh cluster has a system identifier of its own', async () => {
    const all = await Promise.all([startPostgres(), startPostgres(), startPostgres({ freshCluster: true })]);
    const identifiers = await Promise.all(
      all.map(async (server) => (await server.sql('SELECT system_identifier FROM pg_control_system()'))[0]),
    );
    expect(identifiers[0]).toEqual(identifiers[1]);
    expect(identifiers[2]).not.toEqual(identifiers[0]);
    await Promise.all(all.map((server) => server.remove()));
  });

  test('a standby follows its primary until it is promoted', async () => {
    await using primary = await startPostgres();
    await primary.sql('CREATE TABLE copied AS SELECT 1 AS answer');
    await using standby = await startStandby(primary);
    expect(await standby.sql('SELECT pg_is_in_recovery() AS answer')).toEqual([{ answer: true }]);
    expect(await standby.sql('SELECT answer FROM copied')).toEqual([{ answer: 1 }]);
    await standby.promote();
    await standby.sql('INSERT INTO copied VALUES (2)');
    expect(await primary.sql('SELECT pg_is_in_recovery() AS answer')).toEqual([{ answer: false }]);
  });
});

describe.skipIf(requireOrSkip('pgbouncer', canUsePgBouncer()))('pgbouncer', () => {
  test('gives the client another process id than the backend has', async () => {
    await using server = await startPostgres();
    await using pool = await startPgBouncer({ upstream: server, poolMode: 'transaction' });
    const client = new Client(pool.url());
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    expect(rows[0]?.pid).not.toBe((client as unknown as { processID: number }).processID);
    await client.end();
  });
});

test('tls: a client of the authority is served, an expired server is refused', async () => {
  using authority = await createCertificateAuthority();
  const client = await authority.client('somebody');
  const answers: string[] = [];
  for (const days of [2, -1]) {
    const own = await authority.server(['localhost'], { days });
    const server = createServer(
      {
        key: own.key,
        cert: own.certificate,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
      (_, response) => response.end('served'),
    );
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    answers.push(
      await new Promise<string>((resolve) => {
        httpsGet(
          {
            host: '127.0.0.1',
            port,
            servername: 'localhost',
            agent: false,
            ca: authority.certificate,
            key: client.key,
            cert: client.certificate,
          },
          (response) => response.setEncoding('utf8').on('data', resolve),
        ).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      }),
    );
    server.close();
  }
  expect(answers).toEqual(['served', 'CERT_HAS_EXPIRED']);
});

describe.skipIf(requireOrSkip('OpenBao', canUseBao()))('openbao', () => {
  test('development server: KV version 2 at secret/', async () => {
    await using bao = await startBao();
    await bao.must('POST', 'secret/data/api', { data: { config: 'x' } });
    const reply = await bao.must('GET', 'secret/data/api');
    expect(reply).toMatchObject({ data: { data: { config: 'x' }, metadata: { version: 1 } } });
    expect((await bao.request('GET', 'secret/data/api', undefined, { token: '' })).status).toBe(403);
  });

  test('from a file: https, sealed and unsealed, audited', async () => {
    using authority = await createCertificateAuthority();
    const tls = { ...(await authority.server()), authority: authority.certificate };
    await using bao = await startBaoWithConfig({ tls, sealed: true, audit: true });
    expect((await bao.request('GET', 'sys/health')).status).toBe(503);
    await bao.unseal();
    expect((await bao.request('GET', 'sys/health')).status).toBe(200);
    await bao.request('GET', 'auth/token/lookup-self');
    expect(bao.auditLog()).toContainEqual(
      expect.objectContaining({ request: expect.objectContaining({ path: 'auth/token/lookup-self' }) }),
    );
  });

  test('a standby answers 429 beside its leader', async () => {
    await using leader = await startBaoWithConfig({ storage: 'raft' });
    await using standby = await startBaoStandby(leader);
    expect((await leader.request('GET', 'sys/health')).status).toBe(200);
    expect((await standby.request('GET', 'sys/health')).status).toBe(429);
  });
});

describe.skipIf(requireOrSkip('moto', canUseMoto()))('moto', () => {
  test('keeps a secret until it is reset', async () => {
    await using moto = await startMoto();
    await moto.secretsManager('CreateSecret', { Name: 'prod/api', SecretString: 'x' });
    expect(await moto.secretsManager('GetSecretValue', { SecretId: 'prod/api' })).toMatchObject({
      status: 200,
      body: { SecretString: 'x' },
    });
    await moto.reset();
    expect((await moto.secretsManager('GetSecretValue', { SecretId: 'prod/api' })).status).toBe(404);
  });
});
