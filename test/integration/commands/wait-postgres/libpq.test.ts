// A URL and the PG* variables name to us what they name to libpq, or are refused: asked of libpq itself.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import {
  readConnection,
  type ConnectionSettings,
} from '../../../../src/clients/postgres/connection-string.ts';
import { UsageError } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { seeded, type Random } from '../../../chaos/random.ts';
import { packagedPostgres } from '../../../support/postgres-binaries.ts';
import { startPostgres } from '../../../support/postgres.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { needTool } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

interface Case {
  readonly url: string;
  readonly environment: Record<string, string>;
}

interface Meaning {
  /** Each server in the order in which it is tried. */
  readonly tried: readonly string[];
  readonly user: string;
  readonly database: string;
  /** Of the last server. */
  readonly password: string;
}

let library: string;
const folder = temporaryDirectory('libpq');
const passfile = join(folder.path, 'pgpass');
beforeAll(async () => {
  library = join(await packagedPostgres(), '..', 'lib', 'libpq.so.5');
  writeFileSync(
    passfile,
    [
      '127.0.0.1:*:*:*:of-first',
      '127.0.0.2:7:d:u:of-second',
      // Looked up where hostaddr stands alone; beside a host that one counts.
      '127.0.0.3:*:*:*:of-variable',
      '127.0.0.5:*:*:*:of-address',
      '/no/folder:*:*:*:of-folder',
      '/tmp/no folder:*:*:v:of-other',
      'localhost:*:*:*:of-localhost',
    ].join('\n'),
    { mode: 0o600 },
  );
  return () => folder.remove();
});

function libpq(cases: readonly Case[]): (Meaning & { readonly problem: string })[] {
  const { stdout, stderr, status } = spawnSync(
    needTool('python3', 'python3'),
    [join(import.meta.dirname, 'libpq.py'), library],
    {
      input: JSON.stringify(cases),
      encoding: 'utf8',
      maxBuffer: 2 ** 27,
      env: { PATH: process.env['PATH'], HOME: folder.path, PGCONNECT_TIMEOUT: '5' },
    },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as (Meaning & { readonly problem: string })[];
}

function ours({ url, environment }: Case): Meaning | UsageError {
  const redactor = createRedactor();
  let settings: ConnectionSettings;
  try {
    settings = readConnection(
      url === '' ? undefined : { url: redactor.secret(url), origin: 'DATABASE_URL' },
      { ...environment, HOME: folder.path },
      redactor,
    );
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  return {
    tried: settings.hosts.map(({ host, address, port }) =>
      host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${address || host}:${port}`,
    ),
    user: settings.user,
    database: settings.database,
    password: settings.hosts.at(-1)?.password?.reveal() ?? '',
  };
}

const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.1', '/no/folder', '/tmp/no folder', '', '::1'];

function list(random: Random, from: readonly string[]): string {
  const count = random.next() < 0.7 ? 1 : Math.floor(random.between(0, 4));
  return Array.from({ length: count }, () => random.pick(from)).join(',');
}

const encoded = (random: Random, text: string): string =>
  text
    .split('')
    .map((letter) =>
      !/[\w.,:-]/.test(letter) || random.next() < 0.05
        ? `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`
        : letter,
    )
    .join('');

function randomCase(random: Random): Case {
  const some = (chance: number): boolean => random.next() < chance;
  const user = (): string => random.pick(['u', 'v', 'a b', 'o+p', '']) ?? '';
  const database = (): string => random.pick(['d', 'e', 'a b/c', 'host=x', 'postgres://x/y', '']) ?? '';
  const ports = ['7', '8', '9', ''];
  const environment: Record<string, string> = {};
  const set = (name: string, chance: number, value: () => string): void => {
    if (some(chance)) environment[name] = value();
  };
  set('PGHOST', 0.3, () => list(random, hosts));
  set('PGPORT', 0.3, () => list(random, ports));
  set('PGUSER', 0.5, user);
  set('PGDATABASE', 0.3, database);
  set('PGHOSTADDR', 0.1, () => list(random, ['127.0.0.3', '127.0.0.4', '']));
  set('PGPASSWORD', 0.1, () => random.pick(['p', '']) ?? '');
  set('PGPASSFILE', 0.4, () => passfile);
  if (some(0.1)) return { url: '', environment };
  const authority = Array.from({ length: some(0.7) ? 1 : Math.floor(random.between(0, 4)) }, () => {
    const host = random.pick(hosts) ?? '';
    const port = some(0.5) ? '' : `:${random.pick(ports)}`;
    return `${host.includes(':') ? `[${host}]` : encoded(random, host)}${port}`;
  }).join(',');
  const login = some(0.7) ? `${encoded(random, user())}${some(0.4) ? ':secret' : ''}@` : '';
  const path = some(0.7) ? `/${encoded(random, database())}` : '';
  const values: Record<string, () => string> = {
    host: () => list(random, hosts),
    port: () => list(random, ports),
    user,
    dbname: database,
    password: () => random.pick(['q', '']) ?? '',
    hostaddr: () => list(random, ['127.0.0.5', '']),
    application_name: () => 'x',
  };
  const pairs = Array.from({ length: some(0.4) ? 0 : Math.floor(random.between(1, 5)) }, () => {
    const name = random.pick(['host', 'host', 'port', 'user', 'dbname', ...Object.keys(values)]) ?? 'host';
    return `${encoded(random, name)}=${encoded(random, values[name]?.() ?? '')}`;
  });
  return {
    url: `postgres${some(0.5) ? 'ql' : ''}://${login}${authority}${path}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`,
    environment,
  };
}

/** What libpq takes a default of its own for, which a container does not have, or another address. */
const refusals =
  /names no host|no user is named|is the folder of a Unix socket, and hostaddr is an address|has more than one/;

const count = Number(process.env['INITBOX_FUZZ_CASES'] ?? 3_000);
const seed = Number(process.env['INITBOX_FUZZ_SEED'] ?? 1);

test(
  `${count} random URLs and variables, from seed ${seed}: what libpq connects to, or refused`,
  () => {
    const random = seeded(seed);
    const cases = Array.from({ length: count }, () => randomCase(random));
    const answers = libpq(cases);
    let equal = 0;
    let refused = 0;
    for (const [index, one] of cases.entries()) {
      const { problem, ...theirs } = answers[index] as Meaning & { readonly problem: string };
      const mine = ours(one);
      const what = JSON.stringify(one);
      if (problem !== '') expect(mine, `${what}: ${problem}`).toBeInstanceOf(UsageError);
      else if (mine instanceof UsageError) {
        expect(mine.message, what).toMatch(refusals);
        refused++;
      } else {
        expect(mine, what).toEqual(theirs);
        equal++;
      }
    }
    expect(equal).toBeGreaterThan(count / 4);
    expect(refused).toBeLessThan(count * 0.6);
  },
  60_000 + count * 20,
);

describe('what real deployments write', () => {
  test.each<[string, Record<string, string>, string]>([
    ['postgres://app@127.0.0.1:7/app?host=/no/folder', {}, '/no/folder/.s.PGSQL.7'],
    ['postgresql://u@localhost/d?host=%2Fno%2Ffolder', {}, '/no/folder/.s.PGSQL.5432'],
    ['postgres://u@127.0.0.1:7/d?port=8', {}, '127.0.0.1:8'],
    ['postgres://u@127.0.0.1/d?host=127.0.0.1,127.0.0.2&port=7,8', {}, '127.0.0.1:7 127.0.0.2:8'],
    ['postgres://u@127.0.0.1,127.0.0.2/d', { PGPORT: '7' }, '127.0.0.1:5432 127.0.0.2:5432'],
    ['postgres://u@127.0.0.1:7/d?port=', { PGPORT: '9' }, '127.0.0.1:5432'],
    ['postgres://u@127.0.0.1:7/d?host=127.0.0.2&host=127.0.0.3', {}, '127.0.0.3:7'],
    ['postgres:///d?user=u', { PGHOST: '127.0.0.2', PGPORT: '9' }, '127.0.0.2:9'],
    ['postgres://u@/d?hostaddr=127.0.0.5', {}, '127.0.0.5:5432'],
    ['postgres://u@/d?hostaddr=127.0.0.5', { PGHOST: 'localhost' }, '127.0.0.5:5432'],
    ['postgres://u@127.0.0.2:7/d?hostaddr=127.0.0.5', {}, '127.0.0.5:7'],
  ])('%s', (url, given, tried) => {
    const one = { url, environment: { ...given, PGPASSFILE: passfile } };
    const [theirs] = libpq([one]);
    expect(theirs?.tried.join(' ')).toBe(tried);
    expect((ours(one) as Meaning).tried?.join(' ')).toBe(tried);
    expect((ours(one) as Meaning).password).toBe(theirs?.password);
  });
});

test('a lock is taken in the server that ?host= names, not in the one before it', async () => {
  await using before = await startPostgres();
  await using named = await startPostgres();
  const url = `${before.url()}?host=${encodeURIComponent(named.socketDirectory)}&port=${named.port}`;
  const env = { DATABASE_URL: url, HOME: folder.path };
  const holder = await startInitbox(['migrate-with-lock', '--', 'sh', '-c', 'echo locked; exec sleep 30'], {
    env,
  });
  await holder.waitForStdout(/locked/);
  const locks = async (server: typeof named): Promise<unknown> =>
    (await server.sql("SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'"))[0]?.['n'];
  expect(await locks(named)).toBe(1);
  expect(await locks(before)).toBe(0);
  holder.kill('SIGTERM');
  await holder.exit;
  const waited = await runInitbox(['wait-postgres'], { env });
  expect(waited.stderr).toContain(`answers queries (${named.socketDirectory}/.s.PGSQL.${named.port})`);
  const tcp = await runInitbox(['wait-tcp', url], { env });
  expect(tcp.status).toBe(0);
  expect(tcp.stderr).toContain(`unix:${named.socketDirectory}/.s.PGSQL.${named.port}`);
});
