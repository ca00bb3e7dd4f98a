// Migration tools as they are, without a lock of their own, 20 replicas at once: right with initbox, wrong without.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startPostgres, type Postgres } from '../../../support/postgres.ts';
import { startInitbox } from '../../../support/program.ts';
import { canInstallPython, pythonPackage } from '../../../support/python-packages.ts';
import { nodePath, projectDirectory, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const replicas = 20;

interface Tool {
  readonly name: string;
  /** Writes three migrations, each slow enough to be met half done. */
  prepare(folder: string): Promise<{ command: string[]; env?: Record<string, string> }>;
  /** Counts what the tool has noted as applied. */
  readonly applied: string;
  readonly expected: number;
}

const bin = (name: string): string => join(projectDirectory, 'node_modules', '.bin', name);
const up = (index: number): string =>
  `CREATE TABLE t${index} (id int); SELECT pg_sleep(1); INSERT INTO t${index} VALUES (1);`;

const tools: Tool[] = [
  {
    name: 'node-pg-migrate --no-lock',
    async prepare(folder) {
      for (const index of [1, 2, 3])
        writeFileSync(
          join(folder, `170000000000${index}_t${index}.sql`),
          `-- Up Migration\n${up(index)}\n-- Down Migration\n`,
        );
      return { command: [nodePath(), bin('node-pg-migrate'), 'up', '--no-lock', '-m', folder] };
    },
    applied: 'SELECT count(*)::int AS count FROM pgmigrations',
    expected: 3,
  },
  {
    name: 'dbmate',
    async prepare(folder) {
      for (const index of [1, 2, 3])
        writeFileSync(
          join(folder, `2026010100000${index}_t${index}.sql`),
          `-- migrate:up\n${up(index)}\n-- migrate:down\n`,
        );
      return {
        command: [nodePath(), bin('dbmate'), '--migrations-dir', folder, '--no-dump-schema', 'migrate'],
        env: { DBMATE_STRICT: 'true' },
      };
    },
    applied: 'SELECT count(*)::int AS count FROM schema_migrations',
    expected: 3,
  },
  {
    name: 'Alembic',
    async prepare(folder) {
      const alembic = await pythonPackage('alembic==1.17.2');
      const driver = await pythonPackage('psycopg[binary]==3.2.13');
      mkdirSync(join(folder, 'versions'));
      writeFileSync(join(folder, 'alembic.ini'), `[alembic]\nscript_location = ${folder}\n`);
      writeFileSync(
        join(folder, 'env.py'),
        [
          'import os',
          'from alembic import context',
          'from sqlalchemy import create_engine',
          'engine = create_engine(os.environ["DATABASE_URL"].split("?")[0].replace("postgres:", "postgresql+psycopg:"))',
          'with engine.connect() as connection:',
          '    context.configure(connection=connection)',
          '    with context.begin_transaction():',
          '        context.run_migrations()',
        ].join('\n'),
      );
      for (const index of [1, 2, 3]) {
        writeFileSync(
          join(folder, 'versions', `v${index}.py`),
          [
            'from alembic import op',
            `revision = "v${index}"`,
            `down_revision = ${index === 1 ? 'None' : `"v${index - 1}"`}`,
            'def upgrade():',
            ...up(index)
              .split('; ')
              .map((statement) => `    op.execute(${JSON.stringify(statement)})`),
          ].join('\n'),
        );
      }
      return {
        command: [
          alembic.python,
          '-c',
          'from alembic.config import main; main()',
          '-c',
          join(folder, 'alembic.ini'),
          'upgrade',
          'head',
        ],
        env: { PYTHONPATH: `${alembic.folder}:${driver.folder}`, PYTHONDONTWRITEBYTECODE: '1' },
      };
    },
    applied: "SELECT count(*)::int AS count FROM alembic_version WHERE version_num = 'v3'",
    expected: 1,
  },
];

let postgres: Postgres;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_connections: 150 } });
});
afterAll(() => postgres.remove());

describe.skipIf(requireOrSkip('Alembic', canInstallPython()))('20 replicas at once', () => {
  test.each(tools)('$name', { timeout: 400_000 }, async (tool) => {
    const folder = temporaryDirectory('migrations');
    const { command, env } = await tool.prepare(folder.path);
    const label = tool.name.replaceAll(/\W+/g, '_').toLowerCase();

    /** All replicas at once on a database of its own; the statuses, and what is in the database afterwards. */
    const migrate = async (database: string, around: readonly string[] | undefined) => {
      await postgres.sql(`CREATE DATABASE ${database} OWNER app`, [], 'postgres');
      const url = `${postgres.url(database)}?sslmode=disable`;
      const started = await Promise.all(
        Array.from({ length: replicas }, () =>
          startInitbox(around === undefined ? [] : ['migrate-with-lock', ...around, '--', ...command], {
            ...(around === undefined ? { program: command } : {}),
            env: { DATABASE_URL: url, ...env },
            timeout: 300_000,
          }),
        ),
      );
      const results = await Promise.all(started.map(({ exit }) => exit));
      const [applied] = await postgres.sql(tool.applied, [], database).catch(() => []);
      const rows = await Promise.all(
        [1, 2, 3].map(async (index) =>
          postgres.sql(`SELECT id FROM t${index}`, [], database).then(
            (found) => found.length,
            () => 0,
          ),
        ),
      );
      return {
        failed: results.filter(({ status }) => status !== 0).length,
        outcome: { applied: applied?.['count'], rows },
        errors: results
          .filter(({ status }) => status !== 0)
          .map(({ stdout, stderr }) => stdout.slice(-500) + stderr.slice(-1500)),
      };
    };

    const right = { applied: tool.expected, rows: [1, 1, 1] };
    const bare = await migrate(`${label}_bare`, undefined);
    // Without a lock replicas fail, or the schema ends wrong: otherwise this test would prove nothing.
    expect({
      failed: bare.failed > 0,
      wrong: JSON.stringify(bare.outcome) !== JSON.stringify(right),
    }).not.toEqual({
      failed: false,
      wrong: false,
    });
    const serial = await migrate(`${label}_serial`, []);
    expect(serial.errors).toEqual([]);
    expect(serial.outcome).toEqual(right);
    const once = await migrate(`${label}_once`, ['--once', 'v3']);
    expect(once.errors).toEqual([]);
    expect(once.outcome).toEqual(right);
    console.log(
      `${tool.name}: without initbox ${bare.failed} of ${replicas} failed; with it 0, and 0 with --once`,
    );
    folder.remove();
  });
});
