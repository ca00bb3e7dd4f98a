import { createServer } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freeze, thaw } from '../../../support/faults.ts';
import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { freePort } from '../../../support/ports.ts';
import { preparePostgres, startPostgres, type Postgres } from '../../../support/postgres.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ hba: ['host all refused 127.0.0.1/32 reject'] });
});
afterAll(async () => postgres?.remove());

const address = (): string => new URL(postgres.url()).host;
const accepting = (url: string, ...more: string[]) =>
  runInitbox(['wait-postgres', url, '--accepting', '--timeout', '2s', ...more], { env: {} });

/** A server without TLS that gives one answer to the beginning of a login. */
async function answering(answer: Buffer): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('N');
      socket.once('data', () => socket.end(answer));
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  return { port, [Symbol.asyncDispose]: async () => void server.close() };
}

function errorMessage(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5, 'E');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

describe('wait-postgres --accepting', () => {
  test('needs neither user nor password, and the server finds nothing to complain about', async () => {
    const before = postgres.logs().length;
    const result = await accepting(`postgres://${address()}`);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toContain(`accepts connections (${address()})`);
    expect(postgres.logs().slice(before)).not.toMatch(/ERROR|FATAL|unexpected/);
  });

  test('the place from PGHOST and PGPORT', async () => {
    const { hostname, port } = new URL(postgres.url());
    const result = await runInitbox(['wait-postgres', '--accepting'], {
      env: { PGHOST: hostname, PGPORT: port },
    });
    expect(result.status).toBe(0);
  });

  test.each([
    ['a role that may not log in', (place: string) => `postgres://refused@${place}/app`],
    ['a database that is not there', (place: string) => `postgres://app@${place}/nowhere`],
    ['a wrong password, which is not sent', (place: string) => `postgres://app:wrong@${place}/app`],
  ])('says yes to %s, as pg_isready does', async (_, url) => {
    expect((await accepting(url(address()))).status).toBe(0);
  });

  test('waits for a server that starts', async () => {
    await using later = await preparePostgres();
    const waiting = await startInitbox(
      ['wait-postgres', `postgres://${new URL(later.url()).host}`, '--accepting', '--timeout', '30s'],
      { env: {} },
    );
    await waiting.waitForStderr(/connection refused/);
    await later.start();
    expect((await waiting.exit).status).toBe(0);
  });

  test.each(['--primary', '--table=users', '--query=SELECT true', '--migrated=1'])(
    '%s needs a login',
    async (option) => {
      const result = await accepting(`postgres://${address()}`, option);
      expect(result.status).toBe(2);
      expect(result.stderr).toContain(`${option.split('=')[0]} needs a login, and --accepting makes none`);
    },
  );

  const version = Buffer.from([0x76, 0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0]);
  const password = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);

  test('hears what follows a word on the version of the protocol', async () => {
    await using server = await answering(Buffer.concat([version, password]));
    expect((await accepting(`postgres://127.0.0.1:${server.port}`)).status).toBe(0);
  });

  test.each([
    ['says a word on the version of the protocol and no more', version, 'connection closed'],
    [
      'says that, and still starts up',
      Buffer.concat([version, errorMessage('57P03', 'the database system is starting up')]),
      'the database system is starting up (57P03',
    ],
    ['sends an error of nothing', Buffer.from([0x45, 0, 0, 0, 5, 0]), 'is not a PostgreSQL server'],
    ['sends an error without a SQLSTATE', errorMessage('', 'no'), 'is not a PostgreSQL server'],
    ['begins a request for a password', password.subarray(0, 6), 'connection closed'],
    ['requests what nobody knows', Buffer.from([0x52, 0, 0, 0, 8, 1, 0, 0, 3]), 'is not a PostgreSQL server'],
    [
      'still starts up',
      errorMessage('57P03', 'the database system is starting up'),
      'the database system is starting up (57P03',
    ],
    ['speaks another protocol', Buffer.from('+OK ready\r\n'), 'is not a PostgreSQL server'],
    ['ends the connection', Buffer.alloc(0), 'connection closed'],
  ])('waits for a server that %s', async (_, answer, said) => {
    await using server = await answering(answer);
    const result = await accepting(`postgres://127.0.0.1:${server.port}`);
    expect(result.status).toBe(124);
    expect(result.stderr).toContain(said);
  });
});

describe('an address that is silent', () => {
  test('that accepts and says nothing leaves time for the next host', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}));
    const port = await freePort();
    await new Promise<void>((resolve) => void silent.listen(port, '127.0.0.1', resolve));
    const url = new URL(postgres.url());
    const places = `127.0.0.1:${port},${url.host}`;
    const result = await runInitbox(['wait-postgres', '--timeout', '30s'], {
      env: { DATABASE_URL: `postgres://${url.username}:${url.password}@${places}/app` },
    });
    silent.close();
    expect(result.status).toBe(0);
  });
});

describe.skipIf(requireOrSkip('PgBouncer', canUsePgBouncer()))('behind PgBouncer', () => {
  test('a login that the pooler has begun is not cut again and again while its server is silent', async () => {
    await using pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: 'session',
      // Few places for clients, which three that cut their logins would soon fill.
      settings: { max_client_conn: 8, server_connect_timeout: 60, server_login_retry: 1 },
    });
    // Its server is let in by the kernel, and says nothing.
    await freeze(postgres.pid);
    try {
      const waits = await Promise.all(
        [0, 1, 2].map(() =>
          startInitbox(['wait-postgres', '--timeout', '60s', '--attempt-timeout', '1s'], {
            env: { DATABASE_URL: pooler.url() },
          }),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 8000));
      expect(pooler.logs()).not.toMatch(/no more connections allowed/);
      thaw(postgres.pid);
      for (const each of waits) expect((await each.exit).status).toBe(0);
    } finally {
      thaw(postgres.pid);
    }
  });
});
