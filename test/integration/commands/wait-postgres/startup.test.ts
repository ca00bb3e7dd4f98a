// What a login begins with, beside what psql sends for the same URL and variables.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { debianPostgres } from '../../../support/postgres-binaries.ts';
import { startPostgres } from '../../../support/postgres.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { startHostile } from '../../clients/postgres/server.ts';

/** The parameters of each login to a server that hangs up then. */
async function logins(
  use: (port: number, heard: () => boolean) => Promise<unknown>,
): Promise<Record<string, string>> {
  const heard: Record<string, string>[] = [];
  await using server = await startHostile(() => (_, said) => {
    // Length and version, then names and values, each with a zero byte after it.
    const words = said.toString('utf8', 8).split('\0');
    heard.push(
      Object.fromEntries(
        words.flatMap((word, index) =>
          index % 2 === 0 && word !== '' ? [[word, words[index + 1] ?? '']] : [],
        ),
      ),
    );
    return undefined;
  });
  await use(server.port, () => heard.length > 0);
  return heard[0] ?? {};
}

const urlOf = (port: number, parameters: string): string =>
  `postgres://app@127.0.0.1:${port}/app?sslmode=disable&gssencmode=disable${parameters}`;

function psql(parameters: string, environment: Record<string, string>) {
  const program = join(debianPostgres(), 'psql');
  return logins(async (port) => {
    const child = spawn(program, ['-X', '-c', 'SELECT true', urlOf(port, parameters)], {
      env: { PATH: process.env['PATH'], PGCLIENTENCODING: 'UTF8', ...environment },
      stdio: 'ignore',
    });
    await once(child, 'exit');
  });
}

const ours = (parameters: string, env: Record<string, string>, ...args: string[]) =>
  logins(async (port, heard) => {
    const program = await startInitbox(['wait-postgres', urlOf(port, parameters), ...args], { env });
    await waitUntil(heard);
    program.kill('SIGTERM');
    await program.exit;
  });

/** The names that each client has for itself. */
const named = ({ application_name: name = '', ...others }: Record<string, string>) => ({
  ...others,
  application_name: ['psql', 'initbox'].includes(name) ? 'its own' : name,
});

const all = {
  PGDATESTYLE: 'German',
  PGTZ: 'Asia/Tokyo',
  PGGEQO: 'off',
  PGOPTIONS: '-c work_mem=5MB',
  PGAPPNAME: 'billing',
};

test.each<[string, Record<string, string>]>([
  ['', all],
  ['', { PGDATESTYLE: '', PGTZ: '', PGGEQO: '' }],
  ['', { PGDATESTYLE: 'default', PGTZ: 'Default', PGGEQO: 'DEFAULT' }],
  ['&options=', all],
  ['&application_name=', all],
  ['&options=&application_name=', { ...all, PGTZ: 'default' }],
  ['&options=-c%20geqo%3Don', all],
  ['', {}],
])('%s with %j', async (parameters, environment) => {
  const query = ['--query', 'SELECT true'];
  expect(named(await ours(parameters, environment, ...query))).toEqual(
    named(await psql(parameters, environment)),
  );
});

test('where no statement of the user runs, a login goes without settings for it', async () => {
  const sent = await ours('', all);
  expect(sent).toMatchObject({ options: all.PGOPTIONS, application_name: 'billing' });
  expect(Object.keys(sent)).not.toContain('datestyle');
  expect(Object.keys(sent)).not.toContain('timezone');
  expect(Object.keys(sent)).not.toContain('geqo');
});

test('migrations run under them, and what is cut off is found and ended under them', async () => {
  await using postgres = await startPostgres();
  const folder = temporaryDirectory('startup').path;
  const write = (name: string, text: string): void => {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, '1_a.sql'), text);
  };
  write(
    'settings',
    "CREATE TABLE seen AS SELECT current_setting('datestyle') || ' ' || current_setting('timezone') || ' ' || current_setting('geqo') AS it, '01.02.2024'::date AS day",
  );
  const env = { ...all, DATABASE_URL: postgres.url() };
  const ran = await runInitbox(['migrate-with-lock', '--sql', join(folder, 'settings')], { env });
  expect(ran.status, ran.stderr).toBe(0);
  expect(await postgres.sql("SELECT it, to_char(day, 'MM') AS month FROM seen")).toEqual([
    { it: 'German, DMY Asia/Tokyo off', month: '02' },
  ]);
  write('slow', 'SELECT pg_sleep(300)');
  const asleep = async (): Promise<unknown> =>
    (
      await postgres.sql(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
      )
    )[0]?.['n'];
  const slow = await startInitbox(
    ['migrate-with-lock', '--lock-name', 'slow', '--sql', join(folder, 'slow')],
    { env },
  );
  await waitUntil(async () => (await asleep()) === 1);
  slow.kill('SIGTERM');
  const { status, stderr } = await slow.exit;
  expect(status, stderr).toBe(143);
  expect(await asleep()).toBe(0);
});
