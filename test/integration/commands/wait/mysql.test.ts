// mysql:// on a real MariaDB, and on what only says that it is one.
import { createServer, type Server, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { canUseMariadb, startMariadb, type Mariadb } from '../../../support/mariadb.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority, type CertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Says this to whoever connects. */
async function speaker(speak: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    speak(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const notYet = (target: string, said: RegExp, env = {}) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr), env });

describe.skipIf(requireOrSkip('wait for mysql', canUseMariadb()))('wait for mysql', () => {
  let authority: CertificateAuthority;
  let server: Mariadb;
  beforeAll(async () => {
    authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    server = await startMariadb({
      settings: [
        '--plugin-load-add=auth_ed25519',
        '--max-connections=10',
        `--ssl-cert=${certificateFile}`,
        `--ssl-key=${keyFile}`,
        `--ssl-ca=${authority.certificateFile}`,
      ],
      sql: [
        'CREATE TABLE app.users (id INT);',
        'CREATE DATABASE other;',
        'CREATE TABLE other.secrets (id INT);',
        "CREATE USER edward@'%' IDENTIFIED VIA ed25519 USING PASSWORD('another password');",
        "CREATE USER nobody@'%';",
        "CREATE USER away@'10.1.2.3' IDENTIFIED BY 'x';",
        "CREATE USER secured@'%' IDENTIFIED BY 'hunter2' REQUIRE SSL;",
        "CREATE USER locked@'%' IDENTIFIED BY 'hunter2' ACCOUNT LOCK;",
      ],
    });
  });
  afterAll(async () => {
    await server?.stop();
    authority?.remove();
  });
  const at = (user: string, rest = ''): string => `mysql://${user}@127.0.0.1:${server.port}/${rest}`;

  test.each([
    [
      'a native password',
      () => at('app:hunter2', 'app?table=users&table=app.users&primary&query=SELECT%201%3D1'),
    ],
    ['without TLS', () => at('app:hunter2', '?ssl-mode=disabled')],
    ['ed25519', () => at('edward:another%20password')],
    ['no password', () => at('nobody')],
    [
      'verified TLS',
      () => `mariadb://secured:hunter2@localhost:${server.port}/?ca-file=${authority.certificateFile}`,
    ],
    [
      'TLS by its authority',
      () => at('secured:hunter2', `?ssl-mode=VERIFY_CA&ca-file=${authority.certificateFile}`),
    ],
  ])('%s', async (_, target) => {
    const { status, stderr } = await runInitbox(['wait', target()]);
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(
        /answers a query \(10\.[\w.+~-]*MariaDB[\w.+~-]*, (127\.0\.0\.1|localhost):/,
      ),
    });
    expect(stderr).not.toContain('hunter2');
  });

  test('the password of a variable', async () => {
    expect(await runInitbox(['wait', at('app', 'app')], { env: { MYSQL_PWD: 'hunter2' } })).toMatchObject({
      status: 0,
    });
    expect(
      await runInitbox(['wait', at('app', 'app?password-env=DB')], { env: { DB: 'hunter2' } }),
    ).toMatchObject({ status: 0 });
  });

  test.each([
    [
      'a wrong password',
      () => at('app:wrong', 'app'),
      /Access denied for user 'app'@.* \(1045, .*stage login/s,
    ],
    ['a wrong password, ed25519', () => at('edward:wrong'), /Access denied .* \(1045/],
    ['no such database', () => at('app:hunter2', 'nosuch'), /\((1044|1049), /],
    ['TLS is required', () => at('secured:hunter2', '?ssl-mode=disabled'), /Access denied/],
    ['a locked account', () => at('locked:hunter2'), /locked \(4151/],
    [
      'a query that is none',
      () => at('app:hunter2', 'app?query=SELEC'),
      /syntax.* \(1064, .*stage assertion/s,
    ],
    [
      'a query without the right',
      () => at('app:hunter2', 'app?query=SELECT%201%20FROM%20other.secrets'),
      /denied .* \(1142, /,
    ],
    [
      'a query that writes',
      () => at('app:hunter2', 'app?query=INSERT%20INTO%20users%20VALUES%20(7)'),
      /\(1792, .*stage assertion/s,
    ],
    [
      'a query that takes a table away',
      () => at('app:hunter2', 'app?query=DROP%20TABLE%20users'),
      /\(1792, .*stage assertion/s,
    ],
    ['a query that was not filled in', () => at('app:hunter2', 'app?query=SELECT%201%2C'), /\(1064, /],
    ['an unknown authority', () => at('app:hunter2', '?ssl-mode=verify-ca'), /certificate.*stage tls/s],
    [
      'another name',
      () => at('app:hunter2', `?ca-file=${authority.certificateFile}`),
      /certificate.*stage tls/s,
    ],
  ])('%s is final', async (_, target, said) => {
    const { status, stderr } = await runInitbox(['wait', target()]);
    expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
  });

  test.each([
    [
      'a table',
      () => at('app:hunter2', 'app?table=orders'),
      /has no table "app\.orders" .*stage assertion \(passed tcp, protocol, login\)/,
    ],
    [
      'a table of others',
      () => at('app:hunter2', 'app?table=other.secrets'),
      /has no table "other\.secrets"/,
    ],
    ['a query', () => at('app:hunter2', 'app?query=SELECT%200'), /the query gives "0", not 1/],
    ['a query’s table', () => at('app:hunter2', 'app?query=SELECT%201%20FROM%20orders'), /\(1146, /],
  ])('%s that is not there is waited for', async (_, target, said) => {
    const { status, stderr } = await notYet(target(), said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  test('all connections in use', async () => {
    const { port } = server;
    const { connect } = await import('node:net');
    const idle = Array.from({ length: 11 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    try {
      await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
      const waiting = await startInitbox(['wait', at('app:hunter2', 'app')]);
      await waiting.waitForStderr(/Too many connections \(1040, /);
      for (const socket of idle) socket.destroy();
      expect(await waiting.exit).toMatchObject({ status: 0 });
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
});

describe.skipIf(requireOrSkip('a later mysql', canUseMariadb()))('a server that comes up later', () => {
  test('is seen; a replica is no primary', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `mysql://app:hunter2@127.0.0.1:${port}/app`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startMariadb({ port, settings: ['--read-only'] });
    expect(await waiting.exit).toMatchObject({ status: 0 });
    const { status } = await notYet(
      `mysql://app:hunter2@127.0.0.1:${server.port}/app?primary`,
      /takes no writes, where a primary is required/,
    );
    expect(status).toBe(124);
  });
});

describe('what says that it is MySQL', () => {
  const error = (code: number, text: string): Buffer => {
    const said = Buffer.from(text);
    return Buffer.concat([Buffer.from([said.length + 3, 0, 0, 0, 0xff, code & 255, code >> 8]), said]);
  };

  test('a blocked host and one that may not log in are final', async () => {
    for (const [code, text] of [
      [1129, "Host '10.1.2.3' is blocked because of many connection errors"],
      [1130, "Host '10.1.2.3' is not allowed to connect to this MariaDB server"],
    ] as const) {
      const port = await speaker((socket) => socket.end(error(code, text)));
      const { status, stderr } = await runInitbox(['wait', `mysql://app@127.0.0.1:${port}/`]);
      expect({ status, stderr }).toMatchObject({
        status: 69,
        stderr: expect.stringContaining(`${text} (${code}`),
      });
    }
  });

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', /is not MySQL or MariaDB .*stage protocol/],
    ['bytes without end', 'A'.repeat(1_000_000), /is not MySQL or MariaDB/],
    ['a packet of another version', '\x05\x00\x00\x00\x09abcd', /is not MySQL or MariaDB/],
    ['a greeting that ends too soon', '\x05\x00\x00\x00\x0a5.5\x00', /is not MySQL or MariaDB/],
    ['an empty packet', '\x00\x00\x00\x00', /is not MySQL or MariaDB/],
    ['nothing', '', /connection closed/],
  ])('%s', async (_, bytes, said) => {
    const port = await speaker((socket) => socket.end(Buffer.from(bytes, 'latin1')));
    const { status, stderr } = await notYet(`mysql://app:hunter2@127.0.0.1:${port}/`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });

  test('a server that asks for the password itself gets none', async () => {
    const greeting = Buffer.concat([
      Buffer.from([10]),
      Buffer.from('8.4.0\0'),
      Buffer.alloc(4),
      Buffer.from('12345678\0'),
      Buffer.from([0x08, 0xa2, 45, 2, 0, 8, 0, 21]),
      Buffer.alloc(10),
      Buffer.from('123456789012\0caching_sha2_password\0'),
    ]);
    for (const [question, said] of [
      [
        Buffer.from('\xfemysql_clear_password\0', 'latin1'),
        /mysql_clear_password, which sends the password as it is/,
      ],
      [Buffer.from([1, 4]), /needs TLS or the server’s key/],
      [Buffer.from('\xfenosuch\0', 'latin1'), /by nosuch, which is not supported/],
    ] as const) {
      let heard = '';
      const port = await speaker((socket) => {
        socket.write(Buffer.concat([Buffer.from([greeting.length, 0, 0, 0]), greeting]));
        socket.once('data', (answer: Buffer) => {
          heard += answer.toString('latin1');
          socket.write(Buffer.concat([Buffer.from([question.length, 0, 0, 2]), question]));
          socket.on('data', (more: Buffer) => (heard += more.toString('latin1')));
        });
      });
      const { status, stderr } = await runInitbox(['wait', `mysql://app:hunter2@127.0.0.1:${port}/`]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
      expect(heard).toContain('app');
      expect(heard).not.toContain('hunter2');
    }
  });
});
