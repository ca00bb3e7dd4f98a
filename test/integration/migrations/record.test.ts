import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { RecordedTool } from '../../postgres/foreign-tools.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { migrate, newDatabase, status, words, type Place } from './harness.ts';

let server: Postgres;
let place: Place;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => server?.remove());
beforeEach(async () => {
  place = await newDatabase(server);
});

const three = {
  '1_a.sql': 'CREATE TABLE a (id int);',
  '2_b.sql': 'CREATE TABLE b (id int);',
  '4_d.sql': 'CREATE TABLE d (id int);',
};

async function tables(): Promise<string> {
  const rows = await place.sql(
    "SELECT string_agg(relname, ' ' ORDER BY oid) AS names FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
  );
  return String(rows[0]?.['names']);
}

describe('a directory that no longer fits the record', () => {
  beforeEach(async () => {
    place.write(three);
    expect(status((await migrate(place)).outcome)).toBe(0);
  });

  test('a changed file is drift; accepted, it is recorded as it is now', async () => {
    place.write({ '2_b.sql': 'CREATE TABLE b (id bigint);', '5_e.sql': 'CREATE TABLE e (id int);' });
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toMatch(/^2_b\.sql has changed since it ran[\s\S]*--accept changed:2/);
    expect(await tables()).toBe('a b d');
    expect(status((await migrate(place, { accept: [{ kind: 'changed', version: '2' }] })).outcome)).toBe(0);
    expect(await tables()).toBe('a b d e');
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });

  test('a file in between is late; accepted, it runs', async () => {
    place.write({ '3_c.sql': 'CREATE TABLE c (id int);' });
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toMatch(/^3_c\.sql has not run, but version 4,[\s\S]*late:3/);
    expect(status((await migrate(place, { accept: [{ kind: 'late', version: 'all' }] })).outcome)).toBe(0);
    expect(await tables()).toBe('a b d c');
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });

  test('a file that is gone is a hole; accepted, it is retired', async () => {
    place.remove('2_b.sql');
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toMatch(/^2_b\.sql has run, but its file is gone[\s\S]*missing:2/);
    expect(status((await migrate(place, { accept: [{ kind: 'missing', version: '2' }] })).outcome)).toBe(0);
    expect(status((await migrate(place)).outcome)).toBe(0);
    expect(await place.records()).toContain('2 retired 1');
  });

  test('an older release starts on the newer database', async () => {
    place.remove('4_d.sql');
    const { outcome, log } = await migrate(place);
    expect(status(outcome)).toBe(0);
    expect(log).toMatch(/warn .*ahead of this directory: 4_d\.sql/);
  });

  test('another lock name over the same files is refused', async () => {
    const { outcome } = await migrate(place, { lockName: 'other' });
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toMatch(/have run under the lock name "migrate"[\s\S]*--lock-name migrate/);
  });

  test('several differences are told at once, and nothing runs', async () => {
    place.write({ '1_a.sql': 'SELECT 1', '3_c.sql': 'SELECT 1', '9_z.sql': 'CREATE TABLE z ();' });
    place.remove('2_b.sql');
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/1_a\.sql has changed[\s\S]*3_c\.sql has not run[\s\S]*2_b\.sql has run/);
    expect(await tables()).toBe('a b d');
  });
});

describe('a database that another tool has migrated', () => {
  test.each<[string, string, Record<string, string>]>([
    [
      'golang-migrate',
      'CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (2, false);',
      {
        '1_a.up.sql': 'CREATE TABLE a ();',
        '2_b.up.sql': 'CREATE TABLE b ();',
        '3_c.up.sql': 'CREATE TABLE c ();',
      },
    ],
    [
      'dbmate',
      "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1'), ('2');",
      {
        '1_a.sql': '-- migrate:up\nCREATE TABLE a ();',
        '2_b.sql': '-- migrate:up\nCREATE TABLE b ();',
        '3_c.sql': '-- migrate:up\nCREATE TABLE c ();',
      },
    ],
    [
      'goose',
      'CREATE TABLE goose_db_version (id serial, version_id bigint, is_applied boolean, tstamp timestamp); INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true);',
      {
        '1_a.sql': '-- +goose Up\nCREATE TABLE a ();',
        '2_b.sql': '-- +goose Up\nCREATE TABLE b ();',
        '3_c.sql': '-- +goose Up\nCREATE TABLE c ();',
      },
    ],
    [
      'Flyway',
      "CREATE TABLE flyway_schema_history (installed_rank int, version varchar, type varchar, script varchar, success boolean); INSERT INTO flyway_schema_history VALUES (1, '1', 'SQL', 'a', true), (2, '2', 'SQL', 'b', true), (3, NULL, 'SQL', 'c', true);",
      {
        'V1__a.sql': 'CREATE TABLE a ();',
        'V2__b.sql': 'CREATE TABLE b ();',
        'V3__c.sql': 'CREATE TABLE c ();',
      },
    ],
    [
      'node-pg-migrate',
      "CREATE TABLE pgmigrations (id serial, name varchar, run_on timestamp); INSERT INTO pgmigrations (name) VALUES ('1_a'), ('2_b');",
      { '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'CREATE TABLE b ();', '3_c.sql': 'CREATE TABLE c ();' },
    ],
    ...(
      [
        [
          'Drizzle',
          "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint); INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('ab', 1700000000000);",
        ],
        [
          'Supabase',
          "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text); INSERT INTO supabase_migrations.schema_migrations VALUES ('1', '{}', 'a'), ('2', '{}', 'b');",
        ],
        [
          'sqlx',
          "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text, installed_on timestamptz, success boolean, checksum bytea, execution_time bigint); INSERT INTO _sqlx_migrations VALUES (2, 'b', now(), true, '', 1);",
        ],
        [
          'refinery',
          "CREATE TABLE refinery_schema_history (version int PRIMARY KEY, name varchar, applied_on varchar, checksum varchar); INSERT INTO refinery_schema_history VALUES (2, 'b', '', '');",
        ],
        [
          'Atlas',
          "CREATE SCHEMA atlas_schema_revisions; CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (version varchar PRIMARY KEY, description varchar); INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('2', 'b');",
        ],
        [
          'Diesel',
          "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp); INSERT INTO __diesel_schema_migrations VALUES ('2', now());",
        ],
        [
          'postgres-migrations',
          "CREATE TABLE migrations (id int PRIMARY KEY, name varchar(100), hash varchar(40), executed_at timestamp); INSERT INTO migrations VALUES (2, 'b', '', now());",
        ],
        [
          'Rambler',
          "CREATE TABLE migrations (migration varchar(255)); INSERT INTO migrations VALUES ('2_b.sql');",
        ],
        [
          'Liquibase',
          "CREATE TABLE databasechangelog (id varchar, author varchar, filename varchar, dateexecuted timestamp, orderexecuted int); INSERT INTO databasechangelog VALUES ('b', 'me', '2_b.sql', now(), 2);",
        ],
        [
          'yoyo',
          "CREATE TABLE _yoyo_migration (migration_hash varchar(64), migration_id varchar(255), applied_at_utc timestamp); INSERT INTO _yoyo_migration VALUES ('ab', '2_b', now());",
        ],
        [
          'DbUp',
          "CREATE TABLE schemaversions (schemaversionsid serial, scriptname varchar(255), applied timestamp); INSERT INTO schemaversions (scriptname) VALUES ('2_b.sql');",
        ],
      ] as const
    ).map(([tool, made]): [string, string, Record<string, string>] => [
      tool,
      made,
      { '1_a.sql': 'CREATE TABLE a ();', '2_b.sql': 'CREATE TABLE b ();', '3_c.sql': 'CREATE TABLE c ();' },
    ]),
  ])('%s: refused without a baseline, taken over with it', async (tool, foreign, files) => {
    await place.sql(foreign);
    place.write(files);
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toContain(`${tool} has migrated this database`);
    expect(words(outcome)).toContain('--baseline');
    const taken = await migrate(place, { baseline: '2' });
    expect(words(taken.outcome)).toMatch(/3_?_c[^ ]* ran/);
    expect((await place.records()).slice(-3)).toEqual(['1 baseline 0', '2 baseline 0', '3 done 1']);
    // As a manifest has it: forever.
    expect(words((await migrate(place, { baseline: '2' })).outcome)).toMatch(/^nothing to migrate/);
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });

  // As the tools themselves made them: npm run foreign-records -- --record.
  test.each(
    (
      JSON.parse(
        readFileSync(join(import.meta.dirname, '../../postgres/foreign-records.json'), 'utf8'),
      ) as RecordedTool[]
    ).map((each) => [each.tool, each] as const),
  )('%s, as the tool itself wrote its record', async (tool, { made, directory }) => {
    for (const statement of made) await place.sql(statement);
    place.write(directory);
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toContain(`${tool} has migrated this database`);
    expect(words(outcome)).toMatch(/--baseline \w+ takes over from there/);
    expect(await place.records().catch(() => [])).toEqual([]);
  });

  test.each<[string, string]>([
    [
      'Prisma',
      `CREATE TABLE "_prisma_migrations" (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0); INSERT INTO "_prisma_migrations" (id, checksum, finished_at, migration_name) VALUES ('x', '', now(), '1_init')`,
    ],
    [
      'Rails or dbmate',
      "CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240101000000')",
    ],
    [
      'Ecto',
      'CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0)); INSERT INTO schema_migrations VALUES (20240101000000, now())',
    ],
    [
      'Laravel',
      "CREATE TABLE migrations (id serial PRIMARY KEY, migration varchar(255) NOT NULL, batch integer NOT NULL); INSERT INTO migrations (migration, batch) VALUES ('2014_10_12_000000_create_users_table', 1)",
    ],
    [
      'Sqitch',
      "CREATE SCHEMA sqitch; CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, change text, project text, note text, committed_at timestamptz, planner_name text, planner_email text); INSERT INTO sqitch.changes (change_id) VALUES ('ab')",
    ],
    [
      'graphile-migrate',
      "CREATE SCHEMA graphile_migrate; CREATE TABLE graphile_migrate.migrations (hash text PRIMARY KEY, previous_hash text, filename text NOT NULL, date timestamptz NOT NULL DEFAULT now()); INSERT INTO graphile_migrate.migrations VALUES ('sha1:a', NULL, '000001.sql')",
    ],
    [
      'bun',
      "CREATE TABLE bun_migrations (id bigserial PRIMARY KEY, name varchar, group_id bigint, migrated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO bun_migrations (name, group_id) VALUES ('20240101000000', 1)",
    ],
    [
      'EF Core',
      'CREATE TABLE "__EFMigrationsHistory" ("MigrationId" varchar(150) PRIMARY KEY, "ProductVersion" varchar(32) NOT NULL); INSERT INTO "__EFMigrationsHistory" VALUES (\'20240101000000_Init\', \'8.0.0\')',
    ],
    [
      'Doctrine',
      "CREATE TABLE doctrine_migration_versions (version varchar(191) PRIMARY KEY, executed_at timestamp(0), execution_time int); INSERT INTO doctrine_migration_versions VALUES ('DoctrineMigrations\\Version20240101000000', now(), 1)",
    ],
    [
      'Phinx',
      "CREATE TABLE phinxlog (version bigint PRIMARY KEY, migration_name varchar(100), start_time timestamp, end_time timestamp, breakpoint boolean NOT NULL DEFAULT false); INSERT INTO phinxlog VALUES (20240101000000, 'Init', now(), now())",
    ],
    [
      'Aerich',
      "CREATE TABLE aerich (id serial PRIMARY KEY, version varchar(255) NOT NULL, app varchar(100) NOT NULL, content jsonb NOT NULL); INSERT INTO aerich (version, app, content) VALUES ('0_20240101000000_init.py', 'models', '{}')",
    ],
    [
      'gormigrate',
      "CREATE TABLE migrations (id varchar(255) PRIMARY KEY); INSERT INTO migrations VALUES ('201608301400')",
    ],
    [
      'Liquibase',
      'CREATE TABLE "DATABASECHANGELOG" ("ID" varchar(255), "AUTHOR" varchar(255), "FILENAME" varchar(255), "DATEEXECUTED" timestamp, "ORDEREXECUTED" int, "EXECTYPE" varchar(10), "MD5SUM" varchar(35)); INSERT INTO "DATABASECHANGELOG" ("ID", "ORDEREXECUTED") VALUES (\'1\', 1)',
    ],
    [
      'Liquibase',
      'CREATE TABLE "DATABASECHANGELOG" (id varchar(255), orderexecuted int, exectype varchar(10), md5sum varchar(35)); INSERT INTO "DATABASECHANGELOG" VALUES (\'1\', 1)',
    ],
    [
      'pop',
      "CREATE TABLE schema_migration (version varchar(14) PRIMARY KEY); INSERT INTO schema_migration VALUES ('20240101000000')",
    ],
  ])('%s, by its own sources', async (tool, made) => {
    await place.sql(made);
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toContain(`${tool} has migrated this database`);
    expect(status((await migrate(place, { baseline: '0' })).outcome)).toBe(0);
  });

  test.each([
    'CREATE TABLE migrations (id int, what text)',
    "CREATE TABLE changelog (id int, version text, description text); INSERT INTO changelog VALUES (1, '1', 'x')",
    "CREATE TABLE phinxlog (id int, line text); INSERT INTO phinxlog VALUES (1, 'x')",
    "CREATE TABLE changes (id int, change text); INSERT INTO changes VALUES (1, 'x')",
    "CREATE TABLE migration (id int, name text); INSERT INTO migration VALUES (1, 'birds')",
    'CREATE TABLE schema_version (major int, minor int); INSERT INTO schema_version VALUES (1, 2)',
    "CREATE VIEW knex_migrations AS SELECT 1 AS batch, now() AS migration_time, 'a' AS name",
    'CREATE TABLE "SequelizeMeta" (name varchar(255) PRIMARY KEY); GRANT SELECT ON "SequelizeMeta" TO app',
  ])('is not this one: %s', async (made) => {
    await place.sql(made);
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    expect(status((await migrate(place)).outcome)).toBe(0);
  });

  test('a record that the role may not read counts as one', async () => {
    await place.sql('CREATE TABLE schema_migrations (version bigint, dirty boolean)');
    place.write({ '1_a.up.sql': 'CREATE TABLE a ();' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/golang-migrate has migrated this database \(public\.schema_migrations\)/);
    expect(status((await migrate(place, { baseline: '0' })).outcome)).toBe(0);
    expect(await tables()).toBe('schema_migrations a');
  });

  test('a record that its tool calls dirty is told to be', async () => {
    await place.sql(
      'CREATE TABLE schema_migrations (version bigint, dirty boolean); INSERT INTO schema_migrations VALUES (1, true); GRANT SELECT ON schema_migrations TO app',
    );
    place.write({ '1_a.up.sql': 'CREATE TABLE a ();' });
    const { outcome } = await migrate(place);
    expect(words(outcome)).toMatch(/begun to migrate this database[^]*version 1 is dirty/);
    expect(words(outcome)).toContain('--baseline VERSION');
  });

  const goose = (rows: string): string =>
    `CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT now()); INSERT INTO goose_db_version (version_id, is_applied) VALUES ${rows}`;
  const flyway = (table: string, rows: readonly string[]): string =>
    `CREATE TABLE ${table} (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL DEFAULT '', type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL DEFAULT '', installed_on timestamp DEFAULT now(), execution_time int NOT NULL DEFAULT 0, success boolean NOT NULL); INSERT INTO ${table} (installed_rank, version, type, script, success) VALUES ${rows.map((row, rank) => `(${rank + 1}, ${row})`).join(', ')}`;
  const evolve = (rows: string): string =>
    `CREATE TABLE changelog (id serial PRIMARY KEY, type smallint, version varchar(50), description varchar(200) NOT NULL DEFAULT '', name varchar(300) NOT NULL, checksum varchar(32), installed_by varchar(100) NOT NULL DEFAULT '', installed_on timestamp NOT NULL DEFAULT now(), success boolean NOT NULL); INSERT INTO changelog (type, version, name, success) VALUES ${rows}`;
  const golang = (row: string): string =>
    `CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES ${row}`;
  const prisma = (rows: string): string =>
    `CREATE TABLE _prisma_migrations (id serial PRIMARY KEY, migration_name varchar(255) NOT NULL, finished_at timestamptz, rolled_back_at timestamptz); INSERT INTO _prisma_migrations (migration_name, finished_at, rolled_back_at) VALUES ${rows}`;
  const sqlx = (rows: string): string =>
    `CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text, installed_on timestamptz, success boolean, checksum bytea, execution_time bigint); INSERT INTO _sqlx_migrations (version, success) VALUES ${rows}`;
  const atlas = (rows: string): string =>
    `CREATE TABLE atlas_schema_revisions (version varchar PRIMARY KEY, description varchar, type bigint, applied bigint, total bigint); INSERT INTO atlas_schema_revisions VALUES ${rows}`;
  const play = (rows: string): string =>
    `CREATE TABLE play_evolutions (id int PRIMARY KEY, hash varchar(255), applied_at timestamp, apply_script text, revert_script text, state varchar(255), last_problem text); INSERT INTO play_evolutions (id, state) VALUES ${rows}`;
  const marked = { '1_a.sql': '-- +goose Up\nSELECT 1;', '2_b.sql': '-- +goose Up\nSELECT 2;' };
  const versioned = { 'V1__a.sql': 'SELECT 1;', 'V2__b.sql': 'SELECT 2;' };
  const paired = { '1_a.up.sql': 'SELECT 1;', '2_b.up.sql': 'SELECT 2;' };
  const plain = { '1_a.sql': 'SELECT 1;', '2_b.sql': 'SELECT 2;' };

  // What is applied now, what failed, and what the run says to give as a baseline; nothing where it goes on.
  test.each<
    [string, string, Record<string, string>, version: string, failed: string | undefined, baseline: string]
  >([
    ['goose, the second undone', goose('(0,true),(1,true),(2,true),(2,false)'), marked, '1', undefined, '1'],
    [
      'goose, undone and done again',
      goose('(0,true),(1,true),(2,true),(2,false),(2,true)'),
      marked,
      '2',
      undefined,
      '2',
    ],
    ['goose, all undone', goose('(0,true),(1,true),(1,false)'), marked, '', undefined, ''],
    [
      'Flyway, the second undone',
      flyway('flyway_schema_history', [
        "'1','SQL','a',true",
        "'2','SQL','b',true",
        "'2','UNDO_SQL','u',true",
      ]),
      versioned,
      '1',
      undefined,
      '1',
    ],
    [
      'Flyway, undone and done again',
      flyway('flyway_schema_history', [
        "'2','SQL','b',true",
        "'2','UNDO_SQL','u',true",
        "'2','SQL','b',true",
      ]),
      versioned,
      '2',
      undefined,
      '2',
    ],
    [
      'Flyway, all undone',
      flyway('flyway_schema_history', ["'1','SQL','a',true", "'1','UNDO_SQL','u',true"]),
      versioned,
      '',
      undefined,
      '',
    ],
    [
      'Flyway, the second deleted by repair',
      flyway('flyway_schema_history', ["'1','SQL','a',true", "'2','SQL','b',true", "'2','DELETE','b',true"]),
      versioned,
      '1',
      undefined,
      '1',
    ],
    [
      'Flyway, out of order, by number',
      flyway('flyway_schema_history', ["'1','SQL','a',true", "'10','SQL','c',true", "'9.1','SQL','b',true"]),
      { ...versioned, 'V10__c.sql': 'SELECT 3;' },
      '10',
      undefined,
      '10',
    ],
    [
      'Flyway, the second failed',
      flyway('flyway_schema_history', ["'1','SQL','a',true", "'2','SQL','b',false"]),
      versioned,
      '1',
      '2',
      '1',
    ],
    [
      'Flyway, the first failed',
      flyway('flyway_schema_history', ["'1','SQL','a',false"]),
      versioned,
      '',
      '1',
      'VERSION',
    ],
    [
      'Flyway, a repeatable one failed',
      flyway('flyway_schema_history', ["'1','SQL','a',true", "NULL,'SQL','R__v.sql',false"]),
      versioned,
      '1',
      'R__v.sql',
      '1',
    ],
    [
      'Flyway, a repeatable one failed once',
      flyway('flyway_schema_history', [
        "'1','SQL','a',true",
        "NULL,'SQL','R__v.sql',false",
        "NULL,'SQL','R__v.sql',true",
      ]),
      versioned,
      '1',
      undefined,
      '1',
    ],
    [
      'Flyway, an undo failed',
      flyway('flyway_schema_history', [
        "'1','SQL','a',true",
        "'2','SQL','b',true",
        "'2','UNDO_SQL','u',false",
      ]),
      versioned,
      '1',
      '2',
      '1',
    ],
    [
      'Flyway before version 5',
      flyway('schema_version', ["'1','SQL','a',true", "'2','SQL','b',false"]),
      versioned,
      '1',
      '2',
      '1',
    ],
    [
      'Evolve',
      evolve("(1,'0','new',true),(0,'1','a',true),(0,'10','b',true),(4,'','r',true)"),
      { ...versioned, 'V10__c.sql': 'SELECT 3;' },
      '10',
      undefined,
      '10',
    ],
    ['Evolve, failed', evolve("(0,'1','a',true),(0,'2','b',false)"), versioned, '1', '2', '1'],
    ['Evolve, nothing but its schema', evolve("(1,'0','new',true)"), versioned, '', undefined, ''],
    ['golang-migrate, dirty', golang('(2,true)'), paired, '', '2', 'VERSION'],
    [
      'golang-migrate, dirty on the way down from the first',
      golang('(-1,true)'),
      paired,
      '',
      'before',
      'VERSION',
    ],
    ['golang-migrate, before the first', golang('(-1,false)'), paired, '', undefined, ''],
    [
      'Prisma, the second rolled back',
      prisma("('1_a',now(),NULL),('2_b',NULL,now())"),
      plain,
      '1',
      undefined,
      '1',
    ],
    ['Prisma, the second failed', prisma("('1_a',now(),NULL),('2_b',NULL,NULL)"), plain, '1', '2', '1'],
    ['Prisma, the first failed', prisma("('1_a',NULL,NULL)"), plain, '', '1', 'VERSION'],
    ['Prisma, the tenth', prisma("('9_a',now(),NULL),('10_b',now(),NULL)"), plain, '10', undefined, '10'],
    ['sqlx, the second failed', sqlx('(1,true),(2,false)'), plain, '1', '2', '1'],
    ['sqlx, the first failed', sqlx('(1,false)'), plain, '', '1', 'VERSION'],
    [
      'Atlas, the tenth stopped in the middle',
      atlas("('.atlas_cloud_identifier','',0,0,0),('9','',2,1,1),('10','',2,1,2)"),
      plain,
      '9',
      '10',
      '9',
    ],
    [
      'Atlas, stopped and set right by hand',
      atlas("('9','',2,1,1),('10','',6,1,2)"),
      plain,
      '10',
      undefined,
      '10',
    ],
    ['Atlas, nothing', atlas("('.atlas_cloud_identifier','',0,0,0)"), plain, '', undefined, ''],
    ['Play', play("(1,'applied'),(2,'applied')"), plain, '2', undefined, '2'],
    ['Play, in the middle', play("(1,'applied'),(2,'applying_down')"), plain, '1', '2', '1'],
    [
      'tern, before the first',
      'CREATE TABLE schema_version (version int NOT NULL); INSERT INTO schema_version VALUES (0)',
      {
        '1_a.sql': 'SELECT 1;\n---- create above / drop below ----\nSELECT 2;',
      },
      '',
      undefined,
      '',
    ],
    [
      'sql-migrate, the tenth',
      "CREATE TABLE gorp_migrations (id text PRIMARY KEY, applied_at timestamptz); INSERT INTO gorp_migrations VALUES ('9_a.sql', now()), ('10_b.sql', now())",
      { '9_a.sql': '-- +migrate Up\nSELECT 1;', '10_b.sql': '-- +migrate Up\nSELECT 2;' },
      '10',
      undefined,
      '10',
    ],
  ])('%s: what is applied now counts', async (what, made, files, version, broken, baseline) => {
    await place.sql(made);
    // So that the record is read as its owner reads it.
    for (const { name } of await place.sql(
      "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    ))
      await place.sql(`GRANT SELECT ON "${String(name)}" TO app`);
    place.write(files);
    const { outcome } = await migrate(place);
    const said = words(outcome);
    if (baseline === '') return expect(status(outcome), said).toBe(0);
    expect(status(outcome)).toBe(69);
    expect(said.startsWith(`${/^[\w-]+/.exec(what)?.[0]} has `), said).toBe(true);
    expect(/up to version (\S+)/.exec(said)?.[1] ?? '').toBe(version);
    expect(/it says that (?:version |the state )(\S+)/.exec(said)?.[1]).toBe(broken);
    expect(/--baseline ([\w.-]+)/.exec(said)?.[1]).toBe(baseline);
    return expect(await place.records().catch(() => [])).toEqual([]);
  });

  test('an empty record of another tool is none', async () => {
    await place.sql(
      'CREATE TABLE schema_migrations (version bigint, dirty boolean); GRANT SELECT ON schema_migrations TO app',
    );
    place.write({ '1_a.up.sql': 'CREATE TABLE a ();' });
    expect(status((await migrate(place)).outcome)).toBe(0);
  });
});

describe('--baseline', () => {
  test('must be a version of the directory', async () => {
    place.write(three);
    await expect(migrate(place, { baseline: '3' })).rejects.toThrow(
      /--baseline 3: no file has that version; the files are 1, 2, 4/,
    );
    expect(await tables()).toBe('null');
  });

  test('does not pass over files of a record that has begun', async () => {
    place.write({ '1_a.sql': 'CREATE TABLE a ();' });
    await migrate(place);
    place.write({ '2_b.sql': 'CREATE TABLE b ();', '3_c.sql': 'CREATE TABLE c ();' });
    const { outcome } = await migrate(place, { baseline: '2' });
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toMatch(
      /^2_b\.sql is covered by --baseline 2, but the record has begun without it/,
    );
    expect(await tables()).toBe('a');
  });
});

describe('--dry-run', () => {
  test('reports what would run and leaves nothing behind', async () => {
    place.write({ ...three, '5_i.sql': 'CREATE INDEX CONCURRENTLY i ON a (id);' });
    const { outcome, stdout } = await migrate(place, { dryRun: true, baseline: '1' });
    expect(words(outcome)).toBe('3 of 4 migrations would run');
    expect(JSON.parse(stdout)).toMatchObject({
      convention: 'none',
      files: 4,
      applied: 0,
      record: [{ version: '1', state: 'baseline' }],
      pending: [
        { version: '2', file: '2_b.sql', statements: 1, transaction: true },
        { version: '4', transaction: true },
        { version: '5', transaction: false, reason: expect.stringContaining('CREATE INDEX CONCURRENTLY') },
      ],
      problems: [],
    });
    expect(await tables()).toBe('null');
    expect(await place.sql("SELECT to_regnamespace('initbox') AS schema")).toEqual([{ schema: null }]);
  });

  test('fails where the run would', async () => {
    place.write(three);
    await migrate(place);
    place.write({ '1_a.sql': 'SELECT 2' });
    const { outcome, stdout } = await migrate(place, { dryRun: true });
    expect(status(outcome)).toBe(69);
    expect(JSON.parse(stdout)).toMatchObject({ problems: [{ kind: 'changed', version: '1' }] });
  });
});

describe('rights', () => {
  test('a role that may not make the record: 69 and the GRANT', async () => {
    place = await newDatabase(server);
    await server.sql(`ALTER DATABASE ${place.name} OWNER TO postgres`, [], 'postgres');
    place.write(three);
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    expect(words(outcome)).toContain(`GRANT CREATE ON DATABASE ${place.name} TO app`);
    await place.sql(`GRANT CREATE ON DATABASE ${place.name} TO app; GRANT CREATE ON SCHEMA public TO app`);
    expect(status((await migrate(place)).outcome)).toBe(0);
  });

  test('a record of another role: 69 and the GRANT', async () => {
    place.write(three);
    await migrate(place, { url: server.superuserUrl(place.name) });
    const { outcome } = await migrate(place);
    expect(status(outcome)).toBe(69);
    const grant = /runs: (GRANT .*)/.exec(words(outcome))?.[1] ?? '';
    await place.sql(grant);
    expect(words((await migrate(place)).outcome)).toMatch(/^nothing to migrate/);
  });
});
