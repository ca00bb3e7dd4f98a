// Real sessions with a real server, recorded for their answers to be made wrong.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startPostgres } from '../support/postgres.ts';
import { runInitbox } from '../support/program.ts';
import type { Session } from './replay.ts';
import { startRecorder } from './turns.ts';

/** In the place of the folder of migrations. */
export const migrations = 'MIGRATIONS';

/** The environment of each run but for the database's URL. */
export const surroundings = { HOSTNAME: 'pod', HOME: '/nonexistent' };

/** Writes the migrations that the sessions carry out. */
export function writeMigrations(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, '001_items.sql'),
    'CREATE TABLE items (id int PRIMARY KEY);\nINSERT INTO items VALUES (1);\n',
  );
  writeFileSync(join(folder, '002_index.sql'), 'CREATE INDEX CONCURRENTLY items_id ON items (id);\n');
  writeFileSync(join(folder, '003_note.sql'), "DO $$ BEGIN RAISE NOTICE 'note'; END $$;\n");
}

/** What is recorded, in this order: one changes what the next one finds. The second word is the role. */
const scripts: readonly (readonly [name: string, role: string, ...args: string[]])[] = [
  ['a first command', 'app', 'migrate-with-lock', '--', 'true'],
  ['a command that fails', 'app', 'migrate-with-lock', '--', 'false'],
  ['a command once', 'app', 'migrate-with-lock', '--once', 'v1', '--', 'true'],
  ['done already', 'app', 'migrate-with-lock', '--once', 'v1', '--', 'true'],
  ['another command', 'app', 'migrate-with-lock', '--once', 'v1', '--', 'false'],
  ['the status', 'app', 'migrate-with-lock', '--status'],
  ['a key forgotten', 'app', 'migrate-with-lock', '--forget', 'v1'],
  ['files, looked at', 'app', 'migrate-with-lock', '--sql', migrations, '--dry-run'],
  ['files', 'app', 'migrate-with-lock', '--sql', migrations],
  ['files, done already', 'app', 'migrate-with-lock', '--sql', migrations],
  ['files once', 'app', 'migrate-with-lock', '--sql', migrations, '--once', 'v2'],
  ['no rights', 'poor', 'migrate-with-lock', '--heartbeat', '1s', '--grace', '100ms', '--', 'true'],
  ['no rights, files', 'poor', 'migrate-with-lock', '--sql', migrations],
  ['a plain wait', 'app', 'wait-postgres'],
  [
    'a wait for much',
    'app',
    'wait-postgres',
    '--primary',
    '--table',
    'public.items',
    '--query',
    'SELECT 1 = 1',
  ],
  ['a wait for a migration', 'app', 'wait-postgres', '--migrated', 'v2'],
  ['a wait without a login', 'app', 'wait-postgres', '--accepting'],
  ['no such role', 'nobody', 'wait-postgres'],
];

/** @param folder where the migrations are written to */
export async function recordSessions(folder: string): Promise<Session[]> {
  await using postgres = await startPostgres({
    // One that asks for no password, so that answers after the login do not depend on a client's nonce.
    hba: ['local all nobody reject'],
  });
  await postgres.sql('CREATE ROLE poor LOGIN; CREATE ROLE nobody LOGIN', [], 'postgres');
  writeMigrations(folder);
  const sessions: Session[] = [];
  for (const [name, role, ...args] of scripts) {
    await using recorder = await startRecorder(`${postgres.socketDirectory}/.s.PGSQL.${postgres.port}`);
    const url = `postgres://${role}@127.0.0.1:${recorder.port}/app`;
    const given = args.map((word) => (word === migrations ? folder : word));
    const { status } = await runInitbox(given, { env: { ...surroundings, DATABASE_URL: url } });
    if (recorder.connections.every(({ length }) => length === 0))
      throw new Error(`nothing was said in ${name}`);
    sessions.push({
      name,
      arguments: args,
      connections: recorder.connections.filter(({ length }) => length > 0),
      url: `postgres://${role}@127.0.0.1:PORT/app`,
      status: status ?? -1,
    });
  }
  return sessions;
}
