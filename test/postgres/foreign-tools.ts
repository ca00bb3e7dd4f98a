// Other tools that migrate PostgreSQL, run as their users run them: each makes the table `a`, and keeps its record of that.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory, run } from '../support/build-cache.ts';
import { goBinary } from '../support/go.ts';
import { pythonPackage } from '../support/python-packages.ts';
import { nodePath, needTool } from '../support/tools.ts';
import { quote } from '../support/undo.ts';

/** Where a tool is run, and on what. */
export interface Ground {
  /** An empty folder of its own, which holds `files`. */
  readonly folder: string;
  readonly url: string;
}

export interface ForeignTool {
  /** As initbox names it. */
  readonly tool: string;
  readonly packages: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly migrate: (ground: Ground) => Promise<unknown>;
  /** The same migrations as files for `--sql`, where they are not the tool's own. */
  readonly directory?: Readonly<Record<string, string>>;
}

/** What a tool made: statements that make it again. */
export interface RecordedTool {
  readonly tool: string;
  readonly packages: readonly string[];
  readonly made: readonly string[];
  readonly directory: Readonly<Record<string, string>>;
}

const up = 'CREATE TABLE a (id integer);\n';
const one = { '1_a.sql': up } as const;

/** Runs a program in JavaScript beside the packages; it finds the URL in DATABASE_URL. */
function npm(
  tool: string,
  packages: readonly string[],
  program: string,
  files: Readonly<Record<string, string>> = {},
  directory: Readonly<Record<string, string>> = one,
): ForeignTool {
  return {
    tool,
    packages,
    files,
    directory,
    async migrate({ folder, url }) {
      const name = packages.join('-').replaceAll(/[^\w.-]+/g, '-');
      const installed = await makeOnce(
        join(projectCacheDirectory(), `npm-${name}`),
        `cd "$OUT"; echo '{"private":true}' > package.json; ${quote(needTool('npm', 'npm'))} install --no-audit --no-fund --ignore-scripts --legacy-peer-deps ${packages.map(quote).join(' ')} >&2`,
      );
      const path = join(installed, `run-${process.pid}.cjs`);
      writeFileSync(path, `(async () => {${program}})().then(() => process.exit(0));`);
      await run([nodePath(), path], { cwd: folder, env: { DATABASE_URL: url } });
    },
  };
}

function python(
  tool: string,
  packages: readonly string[],
  script: string,
  files: Readonly<Record<string, string>>,
  directory: Readonly<Record<string, string>> = one,
): ForeignTool {
  return {
    tool,
    packages,
    files,
    directory,
    async migrate({ folder, url }) {
      const installed = [];
      for (const each of packages) installed.push(await pythonPackage(each));
      const path = [...installed.map((each) => each.folder), folder].join(':');
      await run(['/bin/sh', '-euc', script], {
        cwd: folder,
        env: {
          DATABASE_URL: url,
          PYTHON: installed[0]?.python ?? 'python3',
          PYTHONPATH: path,
        },
      });
    },
  };
}

function go(
  tool: string,
  module: string,
  build: string,
  script: string,
  files: Readonly<Record<string, string>>,
  directory: Readonly<Record<string, string>> = files,
): ForeignTool {
  return {
    tool,
    packages: [module],
    files,
    directory,
    async migrate({ folder, url }) {
      const name = module.replaceAll(/[^\w.-]+/g, '-');
      const cache = join(projectCacheDirectory(), 'go-modules');
      const built = await makeOnce(
        join(projectCacheDirectory(), `go-${name}`),
        `GOBIN="$OUT" "$GO" install ${build} ${quote(module)} >&2`,
        { GO: await goBinary(), GOMODCACHE: cache, GOFLAGS: '-modcacherw', GOTOOLCHAIN: 'local' },
      );
      await run(['/bin/sh', '-euc', script], {
        cwd: folder,
        env: { DATABASE_URL: url, PATH: `${built}:${process.env['PATH'] ?? ''}` },
      });
    },
  };
}

function maven(
  tool: string,
  packages: readonly string[],
  program: string,
  files: Readonly<Record<string, string>>,
  directory: Readonly<Record<string, string>> = files,
): ForeignTool {
  const dependencies = packages
    .map((each) => each.split(':'))
    .map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
    );
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>${dependencies.join('')}</dependencies></project>`;
  return {
    tool,
    packages,
    files: { ...files, 'Run.java': program },
    directory,
    async migrate({ folder, url }) {
      const name = (packages[0] ?? '').replaceAll(/[^\w.-]+/g, '-');
      const jars = await makeOnce(
        join(projectCacheDirectory(), `maven-${name}`),
        `printf %s "$POM" > "$OUT/pom.xml"; "$MVN" -q -B -f "$OUT/pom.xml" dependency:copy-dependencies -DoutputDirectory="$OUT/lib" >&2`,
        { POM: pom, MVN: needTool('mvn', 'maven') },
      );
      const { username, password, host, pathname } = new URL(url);
      await run([needTool('java', 'default-jre-headless'), '-cp', join(jars, 'lib', '*'), 'Run.java'], {
        cwd: folder,
        env: { JDBC: `jdbc:postgresql://${host}${pathname}`, PGUSER: username, PGPASSWORD: password },
      });
    },
  };
}

const pg = 'pg@8.23.1';

export const foreignTools: readonly ForeignTool[] = [
  npm(
    'Drizzle',
    ['drizzle-orm@0.45.4', pg],
    `const { Client } = require('pg'); const { drizzle } = require('drizzle-orm/node-postgres');
     const client = new Client(process.env.DATABASE_URL); await client.connect();
     await require('drizzle-orm/node-postgres/migrator').migrate(drizzle(client), { migrationsFolder: 'drizzle' });`,
    {
      'drizzle/0000_a.sql': up,
      'drizzle/meta/_journal.json': JSON.stringify({
        version: '7',
        dialect: 'postgresql',
        entries: [{ idx: 0, version: '7', when: 1_700_000_000_000, tag: '0000_a', breakpoints: true }],
      }),
    },
    { '0000_a.sql': up },
  ),
  npm(
    'Knex',
    ['knex@3.3.0', pg],
    `await require('knex')({ client: 'pg', connection: process.env.DATABASE_URL, migrations: { directory: process.cwd() + '/m' } }).migrate.latest();`,
    { 'm/20240101000000_a.js': `exports.up = (k) => k.raw('${up.trim()}'); exports.down = () => {};` },
  ),
  npm(
    'Sequelize',
    ['sequelize@6.37.8', 'umzug@3.8.3', pg],
    `const { Sequelize } = require('sequelize'); const { Umzug, SequelizeStorage } = require('umzug');
     const sequelize = new Sequelize(process.env.DATABASE_URL, { logging: false });
     await new Umzug({ migrations: [{ name: '1_a.sql', up: () => sequelize.query('${up.trim()}') }], storage: new SequelizeStorage({ sequelize }), logger: undefined }).up();`,
  ),
  npm(
    'TypeORM',
    ['typeorm@1.1.1', 'reflect-metadata@0.2.2', pg],
    `require('reflect-metadata'); const { DataSource } = require('typeorm');
     class A1700000000000 { name = 'A1700000000000'; up(q) { return q.query('${up.trim()}'); } down() {} }
     const source = await new DataSource({ type: 'postgres', url: process.env.DATABASE_URL, migrations: [A1700000000000] }).initialize();
     await source.runMigrations();`,
  ),
  npm(
    'node-pg-migrate',
    ['node-pg-migrate@9.0.0', pg],
    `const { runner } = await import(require.resolve('node-pg-migrate'));
     await runner({ databaseUrl: process.env.DATABASE_URL, dir: 'm', direction: 'up', migrationsTable: 'pgmigrations', log() {} });`,
    { 'm/1700000000000_a.sql': `-- Up Migration\n${up}-- Down Migration\nDROP TABLE a;\n` },
    { '1700000000000_a.sql': `-- Up Migration\n${up}-- Down Migration\nDROP TABLE a;\n` },
  ),
  npm(
    'db-migrate',
    ['db-migrate@0.11.14', 'db-migrate-pg@1.5.2', pg],
    `const instance = require('db-migrate').getInstance(true, { cwd: process.cwd(), config: { dev: process.env.DATABASE_URL } });
     instance.silence(true); await instance.up();`,
    {
      'migrations/20240101000000-a.js': `exports.up = (db) => db.runSql('${up.trim()}'); exports.down = () => null; exports._meta = { version: 1 };`,
    },
  ),
  npm(
    'Postgrator',
    ['postgrator@8.0.0', pg],
    `const { default: Postgrator } = await import(require.resolve('postgrator')); const { Client } = require('pg');
     const client = new Client(process.env.DATABASE_URL); await client.connect();
     await new Postgrator({ migrationPattern: process.cwd() + '/m/*', driver: 'pg', database: 'app', execQuery: (q) => client.query(q) }).migrate();`,
    { 'm/1.do.a.sql': up, 'm/1.undo.a.sql': 'DROP TABLE a;\n' },
    { '1.do.a.sql': up, '1.undo.a.sql': 'DROP TABLE a;\n' },
  ),
  npm(
    'MikroORM',
    ['@mikro-orm/core@6.6.16', '@mikro-orm/postgresql@6.6.16', '@mikro-orm/migrations@6.6.16'],
    `const { MikroORM, EntitySchema } = require('@mikro-orm/postgresql'); const { Migrator, Migration } = require('@mikro-orm/migrations');
     class Migration20240101000000 extends Migration { async up() { this.addSql('${up.trim()}'); } }
     const orm = await MikroORM.init({ clientUrl: process.env.DATABASE_URL, entities: [new EntitySchema({ name: 'A', properties: { id: { type: 'number', primary: true } } })], extensions: [Migrator],
       migrations: { snapshot: false, migrationsList: [{ name: 'Migration20240101000000', class: Migration20240101000000 }] } });
     await orm.getMigrator().up();`,
  ),
  npm(
    'Kysely',
    ['kysely@0.29.9', pg],
    `const { Kysely, PostgresDialect, sql } = require('kysely'); const { Pool } = require('pg');
     const { Migrator } = require('kysely/migration');
     const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: process.env.DATABASE_URL }) }) });
     const { error } = await new Migrator({ db, provider: { getMigrations: async () => ({ '1_a': { up: (d) => sql\`${up.trim().replace(';', '')}\`.execute(d) } }) } }).migrateToLatest();
     if (error) throw error;`,
  ),
  npm(
    'postgres-migrations',
    ['postgres-migrations@5.3.0', pg],
    `const { Client } = require('pg'); const client = new Client(process.env.DATABASE_URL); await client.connect();
     await require('postgres-migrations').migrate({ client }, 'm');`,
    { 'm/1_a.sql': up },
  ),
  npm(
    'graphile-migrate',
    ['graphile-migrate@1.4.1'],
    `const { migrate } = require('graphile-migrate'); await migrate({ connectionString: process.env.DATABASE_URL, migrationsFolder: process.cwd() + '/m' });`,
    { 'm/committed/.keep': '' },
  ),
  python('Alembic', ['alembic==1.20.1', 'psycopg2-binary==2.9.10'], '"$PYTHON" -m alembic upgrade head', {
    'alembic.ini': '[alembic]\nscript_location = s\n',
    's/env.py':
      "import os, sqlalchemy\nfrom alembic import context\ne = sqlalchemy.create_engine(os.environ['DATABASE_URL'].replace('postgres:', 'postgresql:'))\nwith e.connect() as c:\n    context.configure(connection=c)\n    with context.begin_transaction():\n        context.run_migrations()\n",
    's/versions/1_a.py': `from alembic import op\nrevision = 'ae1027a6acf1'\ndown_revision = None\ndef upgrade(): op.execute('${up.trim()}')\n`,
  }),
  python(
    'yoyo',
    ['yoyo-migrations==9.0.0', 'psycopg2-binary==2.9.10', 'setuptools==75.8.0'],
    '"$PYTHON" -c "import sys; from yoyo.scripts.main import main; sys.exit(main())" apply --batch --database "$(echo "$DATABASE_URL" | sed s/postgres:/postgresql:/)" m',
    { 'm/1_a.sql': up, 'm/1_a.rollback.sql': 'DROP TABLE a;\n' },
    { '1_a.sql': up, '1_a.rollback.sql': 'DROP TABLE a;\n' },
  ),
  python(
    'Django',
    ['django==5.2.19', 'psycopg2-binary==2.9.10'],
    '"$PYTHON" -m django migrate --settings settings -v 0',
    {
      'settings.py':
        "import os\nfrom urllib.parse import urlparse\nu = urlparse(os.environ['DATABASE_URL'])\nSECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': u.path[1:], 'USER': u.username, 'PASSWORD': u.password, 'HOST': u.hostname, 'PORT': u.port}}\n",
      'shop/__init__.py': '',
      'shop/migrations/__init__.py': '',
      'shop/migrations/0001_a.py': `from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = []\n    operations = [migrations.RunSQL('${up.trim()}')]\n`,
    },
  ),
  python('Piccolo', ['piccolo[postgres]==1.38.0'], '"$PYTHON" -m piccolo.main migrations forwards shop', {
    'piccolo_conf.py':
      "import os\nfrom piccolo.engine.postgres import PostgresEngine\nfrom piccolo.conf.apps import AppRegistry\nDB = PostgresEngine(config={'dsn': os.environ['DATABASE_URL']})\nAPP_REGISTRY = AppRegistry(apps=['shop.piccolo_app'])\n",
    'shop/__init__.py': '',
    'shop/piccolo_app.py':
      "import os\nfrom piccolo.conf.apps import AppConfig\nAPP_CONFIG = AppConfig(app_name='shop', migrations_folder_path=os.path.join(os.path.dirname(__file__), 'm'), table_classes=[], migration_dependencies=[], commands=[])\n",
    'shop/m/__init__.py': '',
    'shop/m/a.py': `from piccolo.apps.migrations.auto.migration_manager import MigrationManager\nfrom piccolo.engine import engine_finder\nID = '2024-01-01T00:00:00:000000'\nVERSION = '1.38.0'\nDESCRIPTION = ''\nasync def forwards():\n    manager = MigrationManager(migration_id=ID, app_name='shop', description='')\n    async def run():\n        await engine_finder()._run_in_new_connection('${up.trim()}')\n    manager.add_raw(run)\n    return manager\n`,
  }),
  go(
    'golang-migrate',
    'github.com/golang-migrate/migrate/v4/cmd/migrate@v4.18.1',
    '-tags postgres',
    'migrate -path . -database "$DATABASE_URL?sslmode=disable" up',
    { '1_a.up.sql': up, '1_a.down.sql': 'DROP TABLE a;\n' },
  ),
  go(
    'goose',
    'github.com/pressly/goose/v3/cmd/goose@v3.30.0',
    '-tags "no_clickhouse no_libsql no_mssql no_mysql no_sqlite3 no_vertica no_ydb"',
    'goose -dir . postgres "$DATABASE_URL?sslmode=disable" up',
    { '1_a.sql': `-- +goose Up\n${up}-- +goose Down\nDROP TABLE a;\n` },
  ),
  go(
    'tern',
    'github.com/jackc/tern/v2@v2.3.4',
    '',
    'tern migrate -m . --conn-string "$DATABASE_URL?sslmode=disable"',
    { '1_a.sql': `${up}---- create above / drop below ----\nDROP TABLE a;\n` },
  ),
  go(
    'sql-migrate',
    'github.com/rubenv/sql-migrate/sql-migrate@v1.8.1',
    '',
    'printf "development:\\n  dialect: postgres\\n  datasource: %s?sslmode=disable\\n  dir: m\\n" "$DATABASE_URL" > dbconfig.yml; sql-migrate up',
    { 'm/1_a.sql': `-- +migrate Up\n${up}-- +migrate Down\nDROP TABLE a;\n` },
    { '1_a.sql': `-- +migrate Up\n${up}-- +migrate Down\nDROP TABLE a;\n` },
  ),
  {
    tool: 'dbmate',
    packages: ['dbmate, of this project'],
    files: { 'm/1_a.sql': `-- migrate:up\n${up}-- migrate:down\nDROP TABLE a;\n` },
    directory: { '1_a.sql': `-- migrate:up\n${up}-- migrate:down\nDROP TABLE a;\n` },
    migrate: ({ folder, url }) =>
      run(
        [
          join(import.meta.dirname, '../../node_modules/.bin/dbmate'),
          '-d',
          'm',
          '--no-dump-schema',
          'migrate',
        ],
        {
          cwd: folder,
          env: { DATABASE_URL: `${url}?sslmode=disable` },
        },
      ),
  },
  maven(
    'Flyway',
    [
      'org.flywaydb:flyway-core:11.14.0',
      'org.flywaydb:flyway-database-postgresql:11.14.0',
      'org.postgresql:postgresql:42.7.7',
    ],
    `class Run { public static void main(String[] a) { org.flywaydb.core.Flyway.configure().locations("filesystem:m").dataSource(System.getenv("JDBC"), System.getenv("PGUSER"), System.getenv("PGPASSWORD")).load().migrate(); } }`,
    { 'm/V1__a.sql': up },
    { 'V1__a.sql': up },
  ),
  maven(
    'Liquibase',
    ['org.liquibase:liquibase-core:4.33.0', 'org.postgresql:postgresql:42.7.7', 'info.picocli:picocli:4.7.7'],
    `class Run { public static void main(String[] a) throws Exception { try (var c = java.sql.DriverManager.getConnection(System.getenv("JDBC"), System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
       var d = liquibase.database.DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new liquibase.database.jvm.JdbcConnection(c));
       new liquibase.Liquibase("1_a.sql", new liquibase.resource.DirectoryResourceAccessor(new java.io.File("m")), d).update(""); } } }`,
    { 'm/1_a.sql': `--liquibase formatted sql\n--changeset me:1\n${up}` },
    { '1_a.sql': `--liquibase formatted sql\n--changeset me:1\n${up}` },
  ),
];
