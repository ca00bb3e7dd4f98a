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
      "CREATE TABLE flyway_schema_history (installed_rank int, version varchar, success boolean); INSERT INTO flyway_schema_history VALUES (1, '1', true), (2, '2', true), (3, NULL, true);",
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
    expect(words(outcome)).toMatch(/up to version 1[^]*version 1 is dirty/);
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
