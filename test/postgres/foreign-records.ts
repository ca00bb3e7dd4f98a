/**
 * `npm run foreign-records -- --tool Knex,goose --record`: other tools migrate a database, as pinned versions of them do it, and
 * `migrate-with-lock --sql` must then recognise their record. With --record what they made is written to
 * foreign-records.json, which the integration tests go by.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { setup as buildOnce } from '../support/build-once.ts';
import { startPostgres } from '../support/postgres.ts';
import { runInitbox } from '../support/program.ts';
import { temporaryDirectory } from '../support/undo.ts';
import { foreignTools, type ForeignTool, type RecordedTool } from './foreign-tools.ts';

const { values } = parseArgs({
  options: {
    /** Names with commas; all unless given. */
    tool: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const names = values.tool?.split(',');
const chosen = foreignTools.filter(({ tool }) => names?.includes(tool) ?? true);
if (chosen.length === 0) throw new Error(`--tool takes ${foreignTools.map(({ tool }) => tool).join(', ')}`);

const recordFile = join(import.meta.dirname, 'foreign-records.json');
const recorded = new Map(
  (JSON.parse(readFileSync(recordFile, 'utf8')) as RecordedTool[]).map((each) => [each.tool, each]),
);

await buildOnce();
await using postgres = await startPostgres();
let wrong = 0;
for (const [index, tool] of chosen.entries()) {
  try {
    console.log(`${tool.tool}: ${await judge(tool, `foreign${index}`)}`);
  } catch (error) {
    wrong++;
    console.log(`${tool.tool}: WRONG: ${(error as Error).message}`);
  }
}
if (values.record)
  writeFileSync(
    recordFile,
    `${JSON.stringify(
      [...recorded.values()].toSorted((a, b) => (a.tool < b.tool ? -1 : 1)),
      null,
      2,
    )}\n`,
  );
console.log(`${chosen.length} tools, ${wrong} wrong`);
process.exitCode = wrong === 0 ? 0 : 1;

async function judge(tool: ForeignTool, database: string): Promise<string> {
  await postgres.sql(`CREATE DATABASE ${database} OWNER app`, [], 'postgres');
  const ground = temporaryDirectory('foreign-tool');
  try {
    write(ground.path, tool.files);
    await tool.migrate({ folder: ground.path, url: postgres.url(database) });
    const made = await statementsOf(database);
    const directory = tool.directory ?? tool.files;
    const before = recorded.get(tool.tool);
    recorded.set(tool.tool, { tool: tool.tool, packages: tool.packages, made, directory });
    write(join(ground.path, 'sql'), directory);
    const { status, stderr } = await runInitbox(['migrate-with-lock', '--sql', join(ground.path, 'sql')], {
      env: { DATABASE_URL: postgres.url(database) },
    });
    if (status !== 69 || !stderr.includes(`${tool.tool} has migrated this database`))
      throw new Error(`not recognised (status ${status}):\n${stderr}\n${made.join('\n')}`);
    if (!values.record && JSON.stringify(before?.made.filter(isDdl)) !== JSON.stringify(made.filter(isDdl)))
      throw new Error(`what it makes is not as recorded (--record):\n${made.join('\n')}`);
    return `recognised: ${/\w+ has migrated this database[^;]*?\)/.exec(stderr)?.[0] ?? stderr}`;
  } finally {
    ground.remove();
  }
}

/** Rows hold times. */
function isDdl(statement: string): boolean {
  return !statement.startsWith('INSERT');
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** The schemas, tables and rows of the records: columns, nullability and primary keys tell them apart. */
async function statementsOf(database: string): Promise<string[]> {
  const schemas = await postgres.sql(
    `SELECT format('CREATE SCHEMA %I', nspname) AS text FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema') ORDER BY nspname`,
    [],
    database,
  );
  const tables = await postgres.sql(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum) AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname <> 'a'
     GROUP BY 1, c.oid ORDER BY 1`,
    [],
    database,
  );
  const statements = schemas.map((row) => String(row['text']));
  for (const { name, columns } of tables) {
    statements.push(`CREATE TABLE ${String(name)} (${String(columns)})`);
    const rows = await postgres.sql(`SELECT to_json(t)::text AS row FROM ${String(name)} AS t`, [], database);
    for (const { row } of rows)
      statements.push(
        `INSERT INTO ${String(name)} SELECT * FROM json_populate_record(NULL::${String(name)}, '${String(row).replaceAll("'", "''")}')`,
      );
  }
  return statements;
}
