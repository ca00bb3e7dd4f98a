// A database of MySQL and MariaDB with its user: made, found right, changed, refused, and made by several at once.
import { spawn } from 'node:child_process';
import { writeFileSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../../support/build-cache.ts';
import { freeze, thaw } from '../../../support/faults.ts';
import { canUseMariadb, startMariadb } from '../../../support/mariadb.ts';
import { fetchMysql, startMysql } from '../../../support/mysql.ts';
import { freePort } from '../../../support/ports.ts';
import { type ProgramResult, runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority, type CertificateAuthority } from '../../../support/tls.ts';
import { needTool, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const secret = 'pa$$ wörd\'\\"`';
const adminPassword = 'made-up-1';

/** Statements and binary logs can be read by the administrator. */
const settings = [
  '--log-output=TABLE',
  '--general-log=1',
  '--log-bin=binary',
  '--server-id=1',
  '--max-connections=60',
];
const sql = [
  `CREATE USER admin@'%' IDENTIFIED BY '${adminPassword}';`,
  "GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;",
];

interface Tried extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

/** Debian's own client, so that what is made here is judged by another program. Cells are between tabs. */
function ask(
  { port }: Pick<Tried, 'port'>,
  statement: string,
  { user = 'admin', password = adminPassword, database = '' } = {},
): Promise<string> {
  return run(
    [
      needTool('mariadb', 'mariadb-client'),
      '--no-defaults',
      '--protocol=tcp',
      '--host=127.0.0.1',
      `--port=${port}`,
      `--user=${user}`,
      '--batch',
      '--skip-column-names',
      '--default-character-set=utf8mb4',
      '--ssl',
      ...(database === '' ? [] : [`--database=${database}`]),
      `--execute=${statement}`,
    ],
    { env: { MYSQL_PWD: password } },
  );
}

async function logsIn(
  server: Pick<Tried, 'port'>,
  user: string,
  password: string,
  database: string,
): Promise<boolean> {
  try {
    await ask(server, 'CREATE TABLE IF NOT EXISTS proof (id int)', { user, password, database });
    return true;
  } catch {
    return false;
  }
}

/** Everything that the server has written down of statements. */
async function writtenDown(server: Tried): Promise<string> {
  const general = await ask(server, 'SELECT argument FROM mysql.general_log');
  const logs = (await ask(server, 'SHOW BINARY LOGS')).trim().split('\n');
  const events = logs.map((line) => ask(server, `SHOW BINLOG EVENTS IN '${line.split('\t')[0] ?? ''}'`));
  return [general, ...(await Promise.all(events))].join('\n');
}

const withPassword = ['--owner', 'shop', '--owner-password-env', 'SHOP_PASSWORD'];
const url = ({ port }: Pick<Tried, 'port'>, rest = '', user = `admin:${adminPassword}`): string =>
  `mysql://${user}@127.0.0.1:${port}/${rest}`;

/** @param args after the command's name */
function create(
  server: Pick<Tried, 'port'>,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  return runInitbox(['create-database', '--timeout', '60s', ...args], {
    env: { DATABASE_URL: url(server), SHOP_PASSWORD: secret, ...env },
  });
}

const names = ['shop', 'Shop "x"', 'a`b', 'my_app%', "it's", 'back\\slash', 'Größe', 'other'];
const inBackticks = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

const mysql = await fetchMysql();
if ('missing' in mysql) writeSync(2, `SKIPPED create-database on MySQL: ${mysql.missing}\n`);

const kinds = [
  {
    kind: 'MariaDB',
    skipped: requireOrSkip('create-database on MariaDB', canUseMariadb()),
    start: async (): Promise<Tried> =>
      startMariadb({ sql, settings: [...settings, '--plugin-load-add=auth_ed25519'] }),
  },
  {
    kind: 'MySQL',
    skipped: 'missing' in mysql,
    start: async (): Promise<Tried> => startMysql('root' in mysql ? mysql.root : '', { sql, settings }),
  },
];

describe.each(kinds.filter(({ skipped }) => !skipped))('create-database on $kind', ({ kind, start }) => {
  let server: Tried;
  beforeAll(async () => {
    server = await start();
  }, 180_000);
  afterAll(async () => server?.[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const name of names)
      await ask(
        server,
        `DROP DATABASE IF EXISTS ${inBackticks(name)}; DROP USER IF EXISTS ${inBackticks(name)}@'%'`,
      );
    await ask(
      server,
      "DROP DATABASE IF EXISTS myXappX; DROP USER IF EXISTS weak@'%', reports@'%', shop@'127.%', shop@localhost",
    );
  });

  test('makes user, database and rights; again, nothing is changed; the password is written down nowhere', async () => {
    await ask(server, "CREATE USER reports@'%' IDENTIFIED BY 'made-up-2'");
    const args = ['shop', ...withPassword, '--grant', 'select,show-view=reports'];
    const first = await create(server, args);
    expect(first.stderr).toContain(
      'made the user shop@%, made the database shop, granted all privileges to shop@%, granted select, show view to reports@%',
    );
    expect(first.status).toBe(0);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
    const again = await create(server, args);
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('shop: nothing was changed')]);
    const written = await writtenDown(server);
    expect(written).toMatch(/CREATE USER `shop`@`%` IDENTIFIED/);
    for (const text of [written, first.stderr, again.stderr]) {
      expect(text).not.toContain('pa$$');
      expect(text).not.toContain('wörd');
    }
    await expect(
      ask(server, 'CREATE TABLE shop.other (id int)', { user: 'reports', password: 'made-up-2' }),
    ).rejects.toThrow(/denied/);
  });

  test('a changed password is set again, and only then', async () => {
    expect((await create(server, ['shop', ...withPassword])).status).toBe(0);
    const other = await create(server, ['shop', ...withPassword], { SHOP_PASSWORD: 'another' });
    expect(other.stderr).toMatch(/info .*set the password of shop@%, in/);
    expect(await logsIn(server, 'shop', 'another', 'shop')).toBe(true);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(false);
    // As the server itself stores it.
    await ask(server, "ALTER USER shop@'%' IDENTIFIED BY 'a third'");
    const third = await create(server, ['shop', ...withPassword], { SHOP_PASSWORD: 'a third' });
    expect(third.stderr).toContain('nothing was changed');
  });

  test.each(names.slice(1, -1))('the name %s is a name, and rights on it are on it alone', async (name) => {
    const args = [name, '--owner', name, '--owner-password-env', 'SHOP_PASSWORD'];
    const first = await create(server, args);
    expect(first.status, first.stderr).toBe(0);
    expect((await create(server, args)).stderr).toContain('nothing was changed');
    expect(await logsIn(server, name, secret, name)).toBe(true);
    // What `_` and `%` of its name would stand for in a pattern.
    await ask(server, 'CREATE DATABASE IF NOT EXISTS myXappX');
    expect(await logsIn(server, name, secret, 'myXappX')).toBe(false);
  });

  test('rights that a pattern or all databases give are right', async () => {
    await ask(server, "CREATE USER shop@'%' IDENTIFIED BY 'x'; GRANT ALL ON *.* TO shop@'%'");
    const made = await create(server, ['shop', '--owner', 'shop']);
    expect(made.stderr).toMatch(/info .*: made the database shop, in/);
    await ask(
      server,
      "CREATE USER reports@'%' IDENTIFIED BY 'x'; GRANT SELECT, INSERT ON shop.* TO reports@'%'",
    );
    const more = await create(server, ['shop', '--grant', 'select,delete,insert=reports']);
    expect(more.stderr).toMatch(/info .*: granted delete to reports@%, in/);
    expect((await create(server, ['shop', '--grant', 'select,delete=reports'])).stderr).toContain(
      'nothing was changed',
    );
  });

  test('the host of the account', async () => {
    const args = ['shop', ...withPassword, '--user-host', '127.%'];
    expect((await create(server, args)).stderr).toContain('made the user shop@127.%');
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
    expect((await create(server, args)).stderr).toContain('nothing was changed');
    expect((await ask(server, "SELECT Host FROM mysql.user WHERE User = 'shop'")).trim()).toBe('127.%');
  });

  test('character set and collation of a new one; of one that is there they are told', async () => {
    const args = ['shop', '--encoding', 'latin1', '--collation', 'latin1_bin'];
    expect((await create(server, args)).status).toBe(0);
    const statement =
      "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shop'";
    expect((await ask(server, statement)).trim()).toBe('latin1\tlatin1_bin');
    const other = await create(server, ['shop', '--encoding', 'utf8mb4', '--collation', 'utf8mb4_bin']);
    expect([other.status, other.stderr]).toEqual([
      0,
      expect.stringContaining('has the character set latin1, not utf8mb4: it is left so'),
    ]);
    expect(other.stderr).toContain('has the collation latin1_bin, not utf8mb4_bin');
    const wrong = await create(server, ['other', '--encoding', "x' DROP"]);
    expect([wrong.status, wrong.stderr]).toEqual([69, expect.stringContaining('SHOW CHARACTER SET lists')]);
    const unfit = await create(server, ['other', '--encoding', 'latin1', '--collation', 'utf8mb4_bin']);
    expect([unfit.status, unfit.stderr]).toEqual([
      69,
      expect.stringContaining('a collation is of one character set'),
    ]);
  });

  test('what still keeps the owner out is said, with the statement', async () => {
    expect((await create(server, ['shop', ...withPassword])).status).toBe(0);
    await ask(server, "ALTER USER shop@'%' ACCOUNT LOCK");
    const { status, stderr } = await create(server, ['shop', ...withPassword]);
    expect(status, stderr).toBe(0);
    const [, statement = ''] = /its account is locked \((.*)\)/.exec(stderr) ?? [];
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(false);
    await ask(server, statement);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
    expect((await create(server, ['shop', ...withPassword])).stderr).not.toContain('cannot log in');
    await ask(server, "ALTER USER shop@'%' PASSWORD EXPIRE");
    expect((await create(server, ['shop', '--owner', 'shop'])).stderr).toContain('its password has expired');
  });

  test('a user that may not: one error with the right that is missing and the statement; status 69', async () => {
    await ask(server, "CREATE USER weak@'%' IDENTIFIED BY 'made-up-2'");
    const env = { DATABASE_URL: url(server, '', 'weak:made-up-2') };
    const refused = async (...args: string[]): Promise<string> => {
      const { status, stderr } = await create(server, args, env);
      expect(status, stderr).toBe(69);
      return stderr;
    };
    const database = await refused('shop');
    expect(database).toMatch(/the user weak@% may not do it: .*\(1044/);
    expect(database).toContain('the statement: CREATE DATABASE `shop`');
    expect(database).toContain('it lacks CREATE on that database');
    expect(await refused('shop', ...withPassword)).toContain('it lacks SELECT on mysql.*');
    await ask(server, "GRANT SELECT ON mysql.* TO weak@'%'");
    const user = await refused('shop', ...withPassword);
    expect(user).toContain('it lacks CREATE USER');
    expect(user).toMatch(/the statement: CREATE USER `shop`@`%` IDENTIFIED \w+ \w+ \w+ '…'/);
    await ask(server, "GRANT CREATE USER ON *.* TO weak@'%'; GRANT CREATE ON shop.* TO weak@'%'");
    const grant = await refused('shop', ...withPassword);
    expect(grant).toContain('the statement: GRANT ALL PRIVILEGES ON `shop`.* TO `shop`@`%`');
    expect(grant).toContain('WITH GRANT OPTION');
    // The fewest that suffice, as the page says.
    await ask(server, "GRANT ALL ON shop.* TO weak@'%' WITH GRANT OPTION");
    expect((await create(server, ['shop', ...withPassword], env)).status).toBe(0);
    expect((await create(server, ['shop', ...withPassword], env)).stderr).toContain('nothing was changed');
  });

  test('a user that is missing is made with a password alone, and those of grants are not made', async () => {
    const owner = await create(server, ['shop', '--owner', 'shop']);
    expect([owner.status, owner.stderr]).toEqual([
      69,
      expect.stringContaining('there is no user shop@%, and without a password anybody could log in'),
    ]);
    const grant = await create(server, ['shop', '--grant', 'all=nobody_there']);
    expect([grant.status, grant.stderr]).toEqual([
      69,
      expect.stringContaining('there is no user nobody_there@% for --grant'),
    ]);
    expect(await ask(server, "SHOW DATABASES LIKE 'shop'")).toBe('');
  });

  test('--dry-run prints the statements and changes nothing', async () => {
    const { status, stdout } = await create(server, ['my_app%', ...withPassword, '--dry-run']);
    expect(status).toBe(0);
    const { statements } = JSON.parse(stdout) as { statements: string[] };
    expect(statements).toEqual([
      expect.stringMatching(/^CREATE USER `shop`@`%` IDENTIFIED (?:VIA|WITH) \w+ (?:USING|AS) '…'$/),
      'CREATE DATABASE `my_app%`',
      String.raw`GRANT ALL PRIVILEGES ON ${'`'}my\_app\%${'`'}.* TO ${'`shop`@`%`'}`,
    ]);
    expect(await ask(server, "SELECT 1 FROM mysql.user WHERE User = 'shop'")).toBe('');
  });

  test('eight replicas end in the same state, each with 0', async () => {
    for (let round = 0; round < 2; round++) {
      const all = await Promise.all(
        Array.from({ length: 8 }, () => create(server, ['shop', ...withPassword])),
      );
      expect(
        all.map(({ status }) => status),
        all.map(({ stderr }) => stderr).join(''),
      ).toEqual(all.map(() => 0));
      expect(all.filter(({ stderr }) => stderr.includes('made the database shop'))).toHaveLength(
        round === 0 ? 1 : 0,
      );
    }
  });

  test('eight databases with one owner at once, for which no lock is one', async () => {
    const many = Array.from({ length: 8 }, (_, index) => `other${index}`);
    try {
      const all = await Promise.all(many.map((name) => create(server, [name, ...withPassword])));
      expect(
        all.map(({ status }) => status),
        all.map(({ stderr }) => stderr).join(''),
      ).toEqual(all.map(() => 0));
      for (const name of many) expect(await logsIn(server, 'shop', secret, name)).toBe(true);
    } finally {
      for (const name of many) await ask(server, `DROP DATABASE IF EXISTS ${name}`);
    }
  });

  test('an account with thousands of other rights is read whole', async () => {
    expect((await create(server, ['shop', ...withPassword])).status).toBe(0);
    const columns = Array.from({ length: 1200 }, (_, index) => `GRANT SELECT ON zz${index}.* TO shop@'%'`);
    await ask(server, columns.join(';'));
    expect((await create(server, ['shop', ...withPassword])).stderr).toContain('nothing was changed');
  });

  /** Keeps the server from making users until the client that is returned is gone. */
  async function holdUp() {
    const holder = spawn(
      needTool('mariadb', 'mariadb-client'),
      [
        '--no-defaults',
        '--protocol=tcp',
        '--host=127.0.0.1',
        `--port=${server.port}`,
        '--user=admin',
        '--ssl',
        '--unbuffered',
        '--execute=FLUSH TABLES WITH READ LOCK; SELECT 1; SELECT SLEEP(100)',
      ],
      { env: { ...process.env, MYSQL_PWD: adminPassword }, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    await waitUntil(async () => (await ask(server, 'SHOW PROCESSLIST')).includes('SELECT SLEEP(100)'), {
      what: 'the lock',
    });
    return async () => {
      const [, id = ''] = /^(\d+)\t.*SELECT SLEEP\(100\)/m.exec(await ask(server, 'SHOW PROCESSLIST')) ?? [];
      await ask(server, `KILL ${id}`);
      await ended;
    };
  }

  /** A run that has asked the server for the user, and gets no answer. */
  async function atWork() {
    const running = await startInitbox(['create-database', 'shop', ...withPassword], {
      env: { DATABASE_URL: url(server), SHOP_PASSWORD: secret },
    });
    await waitUntil(async () => (await ask(server, 'SHOW PROCESSLIST')).includes('CREATE USER'), {
      what: 'CREATE USER',
    });
    expect(await ask(server, 'SHOW FULL PROCESSLIST')).not.toContain('wörd');
    return running;
  }

  test('SIGTERM while the server is at work ends at once', async () => {
    const letGo = await holdUp();
    const running = await atWork();
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
    await letGo();
    expect((await create(server, ['shop', ...withPassword])).status).toBe(0);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
  });

  test('SIGKILL while the server is at work: the next run waits its turn, and completes it', async () => {
    const letGo = await holdUp();
    const killed = await atWork();
    killed.kill('SIGKILL');
    await killed.exit;
    const next = await startInitbox(['create-database', 'shop', ...withPassword], {
      env: { DATABASE_URL: url(server), SHOP_PASSWORD: secret },
    });
    // MySQL lets go of the lock once it sees that its client is gone, MariaDB once the statement has ended.
    await waitUntil(
      async () =>
        /another run makes shop/.test(next.stderr) ||
        (await ask(server, 'SHOW PROCESSLIST')).includes('CREATE USER'),
      { what: 'the next run' },
    );
    await letGo();
    const { status, stderr } = await next.exit;
    expect(status, stderr).toBe(0);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
  });

  test('a connection that is ended in the middle is made anew', async () => {
    const letGo = await holdUp();
    const running = await atWork();
    const [, id = ''] = /^(\d+)\t.*CREATE USER/m.exec(await ask(server, 'SHOW PROCESSLIST')) ?? [];
    await ask(server, `KILL ${id}`);
    await running.waitForStderr(/; trying again/);
    await letGo();
    const { status, stderr } = await running.exit;
    expect(status, stderr).toBe(0);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
  });

  test('while another run is at it, and where the server falls silent: the deadline and SIGTERM end it', async () => {
    const { createHash } = await import('node:crypto');
    const lock = `initbox create-database ${createHash('sha256').update('shop').digest('hex').slice(0, 32)}`;
    const held = ask(server, `SELECT GET_LOCK('${lock}', 0); SELECT SLEEP(100)`).catch(() => '');
    await waitUntil(async () => (await ask(server, 'SHOW PROCESSLIST')).includes('SLEEP(100)'), {
      what: 'the lock',
    });
    const env = { DATABASE_URL: url(server) };
    const late = await runToDeadline(['create-database', '--timeout', '2s', 'shop'], {
      env,
      answered: (stderr) => stderr.includes('another run'),
    });
    expect([late.status, late.stderr]).toEqual([124, expect.stringContaining('another run makes shop')]);
    const [, id = ''] = /^(\d+)\t.*SLEEP\(100\)/m.exec(await ask(server, 'SHOW PROCESSLIST')) ?? [];
    await ask(server, `KILL ${id}`);
    await held;
    await freeze(server.pid);
    try {
      const silent = await runInitbox(['create-database', '--timeout', '2s', 'shop'], { env });
      expect([silent.status, silent.stderr]).toEqual([
        124,
        expect.stringContaining('waiting for the greeting'),
      ]);
      const running = await startInitbox(['create-database', 'shop'], { env });
      await running.waitForStderr(/waiting for the greeting/);
      running.kill('SIGTERM');
      expect((await within(promptly, running.exit)).status).toBe(143);
    } finally {
      thaw(server.pid);
    }
  });

  test('a replica takes no writes, and is waited for', async () => {
    await ask(server, 'SET GLOBAL read_only = 1');
    try {
      const said = /takes no writes, where a primary is required/;
      const { status, stderr } = await runToDeadline(['create-database', '--timeout', '2s', 'shop'], {
        env: { DATABASE_URL: url(server) },
        answered: (text) => said.test(text),
      });
      expect([status, stderr]).toEqual([124, expect.stringMatching(said)]);
    } finally {
      await ask(server, 'SET GLOBAL read_only = 0');
    }
  });

  test('how the owner logs in', async () => {
    const plugin = kind === 'MySQL' ? 'caching_sha2_password' : 'mysql_native_password';
    const found = async (): Promise<string> =>
      (await ask(server, "SELECT plugin FROM mysql.user WHERE User = 'shop'")).trim();
    expect((await create(server, ['shop', ...withPassword])).status).toBe(0);
    expect(await found()).toBe(plugin);
    const unloaded = kind === 'MySQL' ? 'mysql_native_password' : 'caching_sha2_password';
    const refused = await create(server, ['shop', ...withPassword, '--auth-plugin', unloaded]);
    expect([refused.status, refused.stderr]).toEqual([
      69,
      expect.stringContaining('the server has not loaded that plugin'),
    ]);
    if (kind === 'MySQL') return;
    const ed25519 = await create(server, ['shop', ...withPassword, '--auth-plugin', 'ed25519']);
    expect(ed25519.stderr).toContain('set the password of shop@%');
    // It stays so without the option.
    expect((await create(server, ['shop', ...withPassword])).stderr).toContain('nothing was changed');
    expect(await found()).toBe('ed25519');
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
    await ask(
      server,
      "ALTER USER shop@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('x')",
    );
    const several = await create(server, ['shop', ...withPassword]);
    expect([several.status, several.stderr]).toEqual([
      69,
      expect.stringContaining(
        'the user shop@% logs in by several plugins, whose passwords are not known here',
      ),
    ]);
  });
});

describe.skipIf(requireOrSkip('create-database on MariaDB', canUseMariadb()))('the server', () => {
  let authority: CertificateAuthority;
  beforeAll(async () => {
    authority = await createCertificateAuthority();
  });
  afterAll(() => authority?.remove());

  test('is waited for; its certificate is verified where that is asked for; URL and password from files', async () => {
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    const port = await freePort();
    const folder = temporaryDirectory('create').path;
    const at = (name: string): string => join(folder, name);
    writeFileSync(at('admin'), `${adminPassword}\n`);
    writeFileSync(at('password'), `${secret}\n`);
    const rest = `ssl-mode=verify-identity&ca-file=${authority.certificateFile}&password-file=${at('admin')}`;
    writeFileSync(at('url'), `mariadb://admin@localhost:${port}/shop?${rest}\n`);
    const files = ['--database-url-file', at('url'), '--owner-password-file', at('password')];
    const running = await startInitbox(['create-database', 'shop', '--owner', 'shop', ...files]);
    await running.waitForStderr(/connection refused/);
    await using server = await startMariadb({
      port,
      sql,
      settings: [`--ssl-cert=${certificateFile}`, `--ssl-key=${keyFile}`, '--require-secure-transport=ON'],
    });
    const { status, stderr } = await running.exit;
    expect(status, stderr).toBe(0);
    expect(await logsIn(server, 'shop', secret, 'shop')).toBe(true);
    const refused = async (env: Record<string, string>): Promise<string> => {
      const result = await create(server, ['shop'], env);
      expect(result.status, result.stderr).toBe(69);
      expect(result.stderr).not.toContain(adminPassword);
      return result.stderr;
    };
    expect(await refused({ DATABASE_URL: url(server, `?ca-file=${authority.certificateFile}`) })).toContain(
      'certificate',
    );
    expect(await refused({ DATABASE_URL: url(server, '', 'admin:wrong') })).toContain('(1045');
  });

  test('that folds names to small letters', async () => {
    await using server = await startMariadb({ sql, settings: ['--lower-case-table-names=1'] });
    const args = ['Shop_X', ...withPassword];
    expect((await create(server, args)).stderr).toContain('made the database Shop_X');
    expect((await create(server, args)).stderr).toContain('nothing was changed');
    expect(await logsIn(server, 'shop', secret, 'shop_x')).toBe(true);
  });

  test.skipIf('missing' in mysql)('with partial_revokes takes names in GRANT as they are', async () => {
    await using server = await startMysql('root' in mysql ? mysql.root : '', {
      sql,
      settings: ['--partial-revokes=ON'],
    });
    const args = ['my_app%', ...withPassword];
    expect((await create(server, args)).stderr).toContain('granted all privileges');
    expect((await create(server, args)).stderr).toContain('nothing was changed');
    expect(await logsIn(server, 'shop', secret, 'my_app%')).toBe(true);
    // Of what is granted everywhere, this database is left out.
    await ask(
      server,
      "CREATE USER reports@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO reports@'%'; REVOKE SELECT ON `my_app%`.* FROM reports@'%'",
    );
    const reports = ['my_app%', '--grant', 'select=reports'];
    expect((await create(server, reports)).stderr).toContain('granted select to reports@%');
    expect((await create(server, reports)).stderr).toContain('nothing was changed');
  });

  test('that checks passwords takes no hash: what to do is said', async () => {
    await using server = await startMariadb({
      sql,
      settings: [
        '--plugin-load-add=simple_password_check',
        '--simple-password-check-minimal-length=1',
        '--simple-password-check-digits=0',
        '--simple-password-check-letters-same-case=0',
        '--simple-password-check-other-characters=0',
      ],
    });
    const { status, stderr } = await create(server, ['shop', ...withPassword]);
    expect([status, stderr]).toEqual([69, expect.stringContaining('takes no hashes')]);
    expect(stderr).toContain("IDENTIFIED VIA mysql_native_password USING '…'");
  });
});

describe('usage', () => {
  const nowhere = { port: 1 };
  test.each([
    [['shop', '--extension', 'pgcrypto'], '--extension is an option for PostgreSQL'],
    [['shop', '--locale', 'C'], '--locale is an option for PostgreSQL'],
    [['shop', '--template', 'x'], '--template is an option for PostgreSQL'],
    [['shop', '--maintenance-database', 'x'], '--maintenance-database is an option for PostgreSQL'],
    [['shop', '--grant', 'connect=reports'], 'is not a right on a database of MySQL'],
    [['shop', '--grant', 'selct=reports'], 'is not a right on a database'],
    [['shop', '--user-host', "%' OR 1"], 'the host of an account is a name'],
    [['shop', '--auth-plugin', 'sha256_password'], 'is not one of mysql_native_password'],
    [['x'.repeat(65)], 'is longer than the 64 characters'],
    [['shop', '--owner', 'x'.repeat(129)], 'is longer than the 128 characters'],
    [['sh\u{1f600}p'], 'has a character beyond U+FFFF'],
    [['shop '], 'ends with a blank'],
    [['MySQL'], 'is the server’s own'],
    [['information_schema'], 'is the server’s own'],
    [['shop', '--owner-password-env', 'SHOP_PASSWORD'], 'no --owner that it is for'],
  ])('%j', async (args, message) => {
    const { status, stderr } = await create(nowhere, args);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each([
    ['mysql://127.0.0.1:1/', 'the mysql URL names no user'],
    ['mysql2://a:hunter-two@h:1/', 'is written mysql://USER:PASSWORD@HOST:PORT'],
    ['jdbc:mysql://h:1/?user=a&password=hunter-two', 'is written mysql://USER:PASSWORD@HOST:PORT'],
    ['mysql://a@h:1/?sslmode=require', 'unknown option sslmode behind the ?; it takes user, password-file'],
    ['mysql://a@h:1/?ssl-mode=yes', 'is not one of disabled'],
    ['mysql://a@h:1/?ca-file=/nowhere&ssl-mode=required', 'ca-file has no effect with ssl-mode=required'],
    ['mysql://a@h:1/?ca-file=/nowhere', 'ca-file'],
    ['mysql://a@h1,h2/', 'names several hosts'],
    ['mysql://a:pa/ss-word-1@h/', 'has a /, ? or # in its user or password'],
    ['mysql://a:hunter-two@h/?password-env=X', 'the password is given by the URL and by password-env'],
  ])('%s', async (given, message) => {
    const { status, stderr } = await create(nowhere, ['shop'], { DATABASE_URL: given });
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).toContain('DATABASE_URL');
    expect(stderr).not.toMatch(/ss-word-1|hunter-two/);
  });

  test.each([
    ['', 'is not set, or empty'],
    ['x'.repeat(257), 'is longer than the 256 bytes'],
  ])('a password of no use', async (password, message) => {
    const { status, stderr } = await create(nowhere, ['shop', ...withPassword], { SHOP_PASSWORD: password });
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test('what is of MySQL alone is refused for PostgreSQL', async () => {
    for (const args of [
      ['--user-host', '%'],
      ['--collation', 'x'],
      ['--auth-plugin', 'ed25519'],
    ]) {
      const { status, stderr } = await create(nowhere, ['shop', ...args], {
        DATABASE_URL: 'postgres://a@h/a',
      });
      expect([status, stderr]).toEqual([2, expect.stringContaining('is an option for MySQL and MariaDB')]);
    }
  });
});

describe('what only says that it is MySQL', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const packet = (sequence: number, payload: Buffer): Buffer =>
    Buffer.concat([Buffer.from([payload.length & 255, payload.length >> 8, 0, sequence]), payload]);
  const greeting = packet(
    0,
    Buffer.concat([
      Buffer.from('\x0a8.4.0\0\0\0\0\x0012345678\0', 'latin1'),
      Buffer.from([0x00, 0xa2, 45, 2, 0, 8, 0, 21]),
      Buffer.alloc(10),
      Buffer.from('123456789012\0mysql_native_password\0'),
    ]),
  );
  const ok = Buffer.from([0, 0, 0, 2, 0, 0, 0]);

  /** Takes each login, and answers each statement so. */
  async function pretender(answer: (statement: string, socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(greeting);
      let first = true;
      socket.on('data', (bytes: Buffer) => {
        if (first) socket.write(packet(2, ok));
        else answer(bytes.subarray(5).toString(), socket);
        first = false;
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as { port: number }).port;
  }

  const row = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text)]);
  const end = Buffer.from([0xfe, 0, 0, 2, 0]);
  const table = (...cells: string[]): Buffer =>
    Buffer.concat([
      packet(1, Buffer.from([cells.length])),
      packet(2, Buffer.from('def')),
      packet(3, end),
      packet(4, Buffer.concat(cells.map(row))),
      packet(5, end),
    ]);

  test.each<[string, (statement: string, socket: Socket) => void, RegExp]>([
    ['a mere OK to everything', (_, socket) => void socket.write(packet(1, ok)), /takes no writes/],
    [
      'a request for a local file',
      (_, socket) => void socket.write(packet(1, Buffer.from('\xfb/etc/passwd', 'latin1'))),
      /is not MySQL or MariaDB/,
    ],
    ['the end', (_, socket) => socket.destroy(), /connection closed|closed|reset/],
    [
      'rows without end',
      (_, socket) => {
        socket.write(
          Buffer.concat([packet(1, Buffer.from([1])), packet(2, Buffer.from('def')), packet(3, end)]),
        );
        // More than an answer may have.
        const many = Buffer.concat(Array.from({ length: 1000 }, () => packet(4, row('x'.repeat(240)))));
        for (let n = 0; n < 20; n += 1) socket.write(many);
      },
      /is not MySQL or MariaDB/,
    ],
  ])('%s is waited for until the deadline', async (_, answer, said) => {
    const port = await pretender(answer);
    const { status, stderr } = await runToDeadline(
      ['create-database', '--timeout', '2s', 'shop', ...withPassword],
      {
        env: { DATABASE_URL: `mysql://a:hunter-two@127.0.0.1:${port}/`, SHOP_PASSWORD: secret },
        answered: (text) => said.test(text),
      },
    );
    expect([status, stderr]).toEqual([124, expect.stringMatching(said)]);
    expect(stderr).not.toContain('hunter-two');
  });

  test('what a server sends back of a password’s hash is not shown', async () => {
    let hash = '';
    const port = await pretender((statement, socket) => {
      const [, made] = /USING '(.*)'$|AS '(.*)'$/.exec(statement) ?? [];
      hash = made ?? /AS '(.*)'$/.exec(statement)?.[1] ?? hash;
      if (statement.includes('read_only')) socket.write(table('0', '0'));
      else if (statement.includes('GET_LOCK')) socket.write(table('1'));
      else if (statement.includes('VERSION()')) socket.write(table('a@%', '8.4.0', '0'));
      else if (statement.startsWith('CREATE USER'))
        socket.write(packet(1, Buffer.from(`\xff\x28\x04#42000near ${statement.slice(-90)}`, 'latin1')));
      else socket.write(packet(1, ok));
    });
    const { status, stderr } = await create({ port }, ['shop', ...withPassword], {
      DATABASE_URL: `mysql://a@127.0.0.1:${port}/`,
    });
    expect([status, hash.length > 40]).toEqual([69, true]);
    expect(stderr).toContain('(1064');
    expect(stderr).not.toContain(hash);
  });
});
