// A URL and the PG* variables name to us what they name to libpq, or are refused: asked of libpq itself.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

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
  /** What was asked for beside that; empty for libpq's default. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Parameters that are obeyed here and are not those above, with libpq's default. */
const obeyed: Readonly<Record<string, string>> = {
  sslmode: 'prefer',
  sslnegotiation: 'postgres',
  channel_binding: 'prefer',
  target_session_attrs: 'any',
  application_name: '',
  options: '',
  connect_timeout: '',
};

let library: string;
const folder = temporaryDirectory('libpq');
const passfile = join(folder.path, 'pgpass');
beforeAll(async () => {
  library = join(await packagedPostgres(), '..', 'lib', 'libpq.so.5');
  for (const [index, content] of passfiles(seeded(seed + 1)).entries())
    writeFileSync(`${passfile}-${index}`, content, { mode: 0o600 });
  // Whoever names a service is refused, whatever its file says.
  writeFileSync(
    join(folder.path, '.pg_service.conf'),
    '# services\n[main]\nhost=127.0.0.9\nport = 7\n\n[other]\nuser=u\n',
  );
  writeFileSync(join(folder.path, 'services'), '[main]\nhost=127.0.0.8\n');
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
  const all = JSON.parse(stdout) as (Meaning & { readonly problem: string })[];
  return all.map((answer) => ({
    ...answer,
    // prefer-standby goes through the list a second time, where there was no standby.
    tried:
      answer.parameters['target_session_attrs'] === 'prefer-standby'
        ? answer.tried.slice(0, answer.tried.length / 2)
        : answer.tried,
    parameters: Object.fromEntries(
      Object.entries(obeyed).map(([name, usual]) => [
        name,
        name === 'connect_timeout' ? secondsOf(answer.parameters[name]) : answer.parameters[name] || usual,
      ]),
    ),
  }));
}

/** None and less are the default here, which a server that refuses at once does not show. */
function secondsOf(text = ''): string {
  return Number(text) > 0 && text.trim() !== '5' ? String(Number(text)) : 'unset';
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
    parameters: {
      sslmode: settings.tls.mode,
      sslnegotiation: settings.tls.direct ? 'direct' : 'postgres',
      channel_binding: settings.channelBinding,
      target_session_attrs: settings.attributes,
      application_name: settings.applicationName ?? '',
      options: settings.options ?? '',
      connect_timeout: settings.connectTimeoutGiven ? String(settings.connectTimeout / 1000) : 'unset',
    },
  };
}

/** Files of passwords with all that their syntax has, and some that it has not. */
function passfiles(random: Random): string[] {
  const some = (from: readonly string[]): string => random.pick(from) ?? '';
  const line = (): string =>
    some([
      `${some(['127.0.0.1', '127.0.0.2', '*', '\\:\\:1', 'localhost', '/no/folder', '/tmp/no folder', ''])}:${some(['*', '7', '8', '5432', ''])}:${some(['*', 'd', 'e', 'a b/c', 'a%b', 'host=x', ''])}:${some(['*', 'u', 'v', 'a b', 'o+p', 'x\\:y', 'a\\\\b'])}:${some(['one', 'a\\:b', 'a:b', 'a\\\\b', 'a\\', ' b ', '%41', 'ü', '', '*'])}`,
      '# a comment',
      '#127.0.0.1:*:*:*:commented',
      '',
      '127.0.0.1:7:d',
      ' 127.0.0.1:*:*:*:after-a-blank',
      'no colon at all',
      '*:*:*:*',
    ]);
  return Array.from({ length: 12 }, () =>
    Array.from({ length: Math.floor(random.between(1, 9)) }, line).join(some(['\n', '\n', '\r\n'])),
  );
}

const usualHosts = ['127.0.0.1', '127.0.0.2', '/no/folder', '/tmp/no folder', '::1'];
const hosts = [
  ...Array.from({ length: 8 }, () => usualHosts).flat(),
  '',
  '',
  '',
  '',
  '@abstract',
  '127.0.0.1%lo',
  'a b',
];

function list(random: Random, from: readonly string[]): string {
  const count = random.next() < 0.7 ? 1 : Math.floor(random.between(0, 4));
  return Array.from({ length: count }, () => random.pick(from)).join(',');
}

const encoded = (random: Random, text: string): string =>
  text
    .split('')
    .map((letter) =>
      !/[\w.,:-]/.test(letter) || random.next() < 0.05
        ? encodeURIComponent(letter).replace(/^[^%]$/, (one) => `%${one.charCodeAt(0).toString(16)}`)
        : letter,
    )
    .join('');

/** As people forget to encode it. */
const careless = (random: Random, text: string): string =>
  random.next() < 0.04
    ? `${text}${random.pick(['%', '%4', '%zz', '/', '?', '#', '@', ':', '&', '=', ' '])}`
    : text;

/** Its variable, and values of each, right and wrong; an empty variable has none. */
const others: Readonly<Record<string, readonly [string, ...string[]]>> = {
  application_name: ['PGAPPNAME', 'x', 'a b', ''],
  sslmode: [
    'PGSSLMODE',
    'disable',
    'allow',
    'prefer',
    'require',
    'verify-ca',
    'verify-full',
    'Require',
    'no',
    '',
  ],
  sslnegotiation: ['PGSSLNEGOTIATION', 'postgres', 'direct', 'none', ''],
  channel_binding: ['PGCHANNELBINDING', 'disable', 'prefer', 'require', 'no', ''],
  target_session_attrs: [
    'PGTARGETSESSIONATTRS',
    'any',
    'read-write',
    'primary',
    'standby',
    'prefer-standby',
    'master',
    '',
  ],
  connect_timeout: ['PGCONNECT_TIMEOUT', '7', ' 7 ', '0', '-1', '+3', '1.5', 'x', ''],
  options: ['PGOPTIONS', '-c a=b', '-c%20x=y', ''],
  gssencmode: ['PGGSSENCMODE', 'disable', 'prefer', 'require', 'no', ''],
  require_auth: ['PGREQUIREAUTH', 'scram-sha-256', 'none', 'x', ''],
  sslcertmode: ['PGSSLCERTMODE', 'allow', 'require', 'disable', 'x', ''],
  requiressl: ['PGREQUIRESSL', '0', '1', ''],
  service: ['PGSERVICE', 'main', 'other', 'no such', ''],
  client_encoding: ['', 'UTF8', 'auto', ''],
  keepalives: ['', '0', '1', ''],
  keepalives_idle: ['', '5', ''],
  tcp_user_timeout: ['', '5000', ''],
  fallback_application_name: ['', 'f', ''],
  load_balance_hosts: ['', 'disable', ''],
  sslcompression: ['', '0', '1'],
  sslsni: ['PGSSLSNI', '1', '0', ''],
  ssl_min_protocol_version: ['PGSSLMINPROTOCOLVERSION', 'TLSv1.2', 'x', ''],
  max_protocol_version: ['PGMAXPROTOCOLVERSION', '3.0', '3.2', 'latest', '9', ''],
  replication: ['', 'false', 'database', 'off', ''],
};

function randomCase(random: Random): Case {
  const some = (chance: number): boolean => random.next() < chance;
  const user = (): string => random.pick(['u', 'v', 'a b', 'o+p', 'x:y', 'a\\b', 'a%b', 'ü', '']) ?? '';
  const database = (): string =>
    random.pick(['d', 'e', 'a b/c', 'host=x', 'postgres://x/y', 'a%b', '日本', '']) ?? '';
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
  set('PGPASSFILE', 0.4, () =>
    some(0.5) ? passfile : some(0.05) ? '/no/file' : `${passfile}-${Math.floor(random.between(0, 12))}`,
  );
  for (const [name, [variable, ...choices]] of Object.entries(others))
    if (variable !== undefined && variable !== '')
      set(variable, name === 'service' || name === 'sslmode' ? 0.03 : 0.02, () => random.pick(choices) ?? '');
  set('PGSERVICEFILE', 0.05, () => join(folder.path, 'services'));
  if (some(0.1)) return { url: '', environment };
  const authority = Array.from({ length: some(0.7) ? 1 : Math.floor(random.between(0, 4)) }, () => {
    const host = random.pick(hosts) ?? '';
    const port = some(0.5) ? '' : `:${random.pick(ports)}`;
    return `${host.includes(':') ? `[${host}]` : encoded(random, host)}${port}`;
  }).join(',');
  const login = some(0.7)
    ? `${careless(random, encoded(random, user()))}${some(0.4) ? `:${careless(random, random.pick(['secret', 's%25t', '', 'a%20b']) ?? '')}` : ''}@`
    : '';
  const path = some(0.7) ? `/${careless(random, encoded(random, database()))}` : '';
  const usual = ['host', 'port', 'user', 'dbname', 'password', 'passfile', 'application_name', 'options'];
  const values: Record<string, () => string> = {
    host: () => list(random, hosts),
    port: () => list(random, ports),
    user,
    dbname: database,
    password: () => random.pick(['q', '']) ?? '',
    hostaddr: () => list(random, ['127.0.0.5', '']),
    passfile: () => (some(0.2) ? '' : `${passfile}-${Math.floor(random.between(0, 12))}`),
    ...Object.fromEntries(
      Object.entries(others).map(([name, [, ...choices]]) => [name, () => random.pick(choices) ?? '']),
    ),
  };
  const pairs = Array.from({ length: some(0.4) ? 0 : Math.floor(random.between(1, 5)) }, () => {
    const name = random.pick(some(0.7) ? usual : Object.keys(values)) ?? 'host';
    return `${encoded(random, name)}${some(0.02) ? '' : `=${careless(random, encoded(random, values[name]?.() ?? ''))}`}`;
  });
  // The last one of a name counts.
  if (some(0.1)) pairs.push(...pairs.slice(0, 1), `host=${encoded(random, random.pick(hosts) ?? '')}`);
  return {
    url: `postgres${some(0.5) ? 'ql' : ''}://${login}${authority}${path}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`,
    environment,
  };
}

/** What libpq takes a default of its own for, which a container does not have, or another address. */
const refusals = new RegExp(
  [
    'names no host',
    'no user is named',
    'is the folder of a Unix socket, and hostaddr is an address',
    // What libpq takes, and most likely was not meant.
    'has more than one',
    'is not a name',
    'has a character that no host has',
    'has a /, \\? or # in its user or password',
    'has a #',
    'begins or ends with a space',
    'has a space',
    // An abstract socket, and what is no number, are for libpq to find when it connects.
    'is not a whole number of seconds',
    'has a value that libpq does not take',
    'is neither 0 nor 1',
    // Safer than what is here.
    '(require_auth|sslcertmode|sslsni|ssl_min_protocol_version|replication)\\b.* is not supported here',
    '(PGREQUIREAUTH|PGSSLMINPROTOCOLVERSION|PGSSLSNI|PGSSLCERTMODE)\\b.* is not supported here',
    'names a service file, which is not read here',
    'needs the authorities to trust',
    'channel_binding=require needs TLS, and sslmode is disable',
  ].join('|'),
);

const count = Number(process.env['INITBOX_FUZZ_CASES'] ?? 5_000);
const seed = Number(process.env['INITBOX_FUZZ_SEED'] ?? 1);

test(
  `${count} random URLs and variables, from seed ${seed}: what libpq connects to, or refused`,
  () => {
    const random = seeded(seed);
    const cases = Array.from({ length: count }, () => randomCase(random));
    const answers = libpq(cases);
    let equal = 0;
    let refused = 0;
    const wrongs: string[] = [];
    for (const [index, one] of cases.entries()) {
      const { problem, ...theirs } = answers[index] as Meaning & { readonly problem: string };
      const mine = ours(one);
      const what = JSON.stringify(one);
      if (mine instanceof UsageError) {
        if (problem === '') refused++;
        if (problem === '' && !refusals.test(mine.message)) wrongs.push(`${mine.message}: ${what}`);
      } else if (problem !== '') {
        wrongs.push(`taken, where libpq says ${problem}: ${what}`);
      } else if (!isDeepStrictEqual(mine, theirs)) {
        wrongs.push(`${what}\n  is ${JSON.stringify(mine)}\n  and ${JSON.stringify(theirs)} to libpq`);
      } else {
        equal++;
      }
    }
    expect(wrongs.slice(0, 20).join('\n'), `${wrongs.length} of them`).toBe('');
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
