/**
 * `npm run foreign-migrations -- --source kratos --files 60`: migrations of public repositories, each file by psql in one
 * database and by `migrate-with-lock --sql` in another. Both must come to the same state, or the file is refused with the
 * reason; then psql carries it out in both, so that the next ones find what they need.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

import { split } from '../../src/migrations/split.ts';
import { setup as buildOnce } from '../support/build-once.ts';
import { debianPostgres, startPostgres } from '../support/postgres.ts';
import { runInitbox } from '../support/program.ts';
import { needTool } from '../support/tools.ts';
import { temporaryDirectory } from '../support/undo.ts';
import { fetchSource, forwardFiles, sources, type Source } from './foreign-sources.ts';

const { values } = parseArgs({
  options: {
    /** Names with commas; all unless given. */
    source: { type: 'string' },
    /** At most so many files of each. */
    files: { type: 'string', default: '1000' },
  },
});
const chosen = sources.filter(({ name }) => values.source?.split(',').includes(name) ?? true);
const most = Number(values.files);
if (chosen.length === 0 || !(most > 0))
  throw new Error(`--source takes ${sources.map(({ name }) => name).join(', ')}; --files a number`);

await buildOnce();
const ground = temporaryDirectory('foreign');
await using postgres = await startPostgres({ binaries: debianPostgres() });
const psql = needTool('psql', 'postgresql-client');
const dump = needTool('pg_dump', 'postgresql-client');
const wrongs: string[] = [];
const sum = { files: 0, same: 0, refused: 0, failed: 0, statements: 0 };
for (const source of chosen) await compare(source);

console.log(
  `\n${sum.files} files with ${sum.statements} statements: ${sum.same} came to the same state, ${sum.refused} were refused with the reason, ${sum.failed} fail by both`,
);
console.log(wrongs.length === 0 ? 'no difference' : `WRONG:\n${wrongs.join('\n')}`);
ground.remove();
process.exitCode = wrongs.length === 0 ? 0 : 1;

async function compare(source: Source): Promise<void> {
  const folder = await fetchSource(source);
  const files = forwardFiles(folder, source.order).slice(0, most);
  const [theirs, mine] = [`psql_${source.name}`, `own_${source.name}`];
  for (const database of [theirs, mine])
    await postgres.sql(`CREATE DATABASE ${database} OWNER app`, [], 'postgres');
  const counts = { ...sum };
  const reasons = new Map<string, number>();
  for (const [index, file] of files.entries()) {
    const content = readFileSync(join(folder, file));
    const statements = countStatements(content);
    sum.files++;
    sum.statements += statements;
    const at = join(ground.path, 'one');
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at);
    writeFileSync(join(at, nameOf(file, index)), content);
    const path = join(at, nameOf(file, index));
    const byPsql = runPsql(path, content.toString(), theirs);
    // Each under a name of its own: what is compared is the file, not the directory.
    const own = await runInitbox(['migrate-with-lock', '--lock-name', `file${index}`, '--sql', at], {
      env: { DATABASE_URL: postgres.url(mine) },
    });
    const what = `${source.name}, ${file}`;
    if (own.status === 0 && byPsql.status === 0) {
      sum.same++;
    } else if (own.status === 2 || own.status === 69) {
      const reason = /error initbox migrate-with-lock: (.*)/.exec(own.stderr)?.[1] ?? '';
      if (reason === '') wrongs.push(`${what} was refused without a reason`);
      const kind = reason.replaceAll(/\d+/g, 'N').replaceAll(/\S+\.sql\S*/g, 'FILE');
      if (!reasons.has(kind)) console.log(`refused, ${what}: ${reason}`);
      reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
      sum.refused++;
      if (runPsql(path, content.toString(), mine).status !== byPsql.status)
        wrongs.push(`${what} was refused, and psql makes something else of it in that database`);
    } else if (own.status === 1 && byPsql.status !== 0) {
      sum.failed++;
    } else {
      wrongs.push(
        `${what} ended with ${own.status}, psql with ${byPsql.status}:\n${own.stderr}\n${byPsql.stderr}`,
      );
    }
    if (index % 25 === 24 || index === files.length - 1) difference(source, theirs, mine, file);
  }
  console.log(
    `${source.name} ${source.version}: ${sum.files - counts.files} files, ${sum.statements - counts.statements} statements; ${sum.same - counts.same} the same, ${sum.refused - counts.refused} refused, ${sum.failed - counts.failed} fail by both`,
  );
}

/** What the dialect of golang-migrate reads; a database's name in it is of no use here. */
function nameOf(file: string, index: number): string {
  return `${String(index + 1).padStart(4, '0')}_${basename(file).replace(/^\d+_/, '').replace('.postgres', '')}`;
}

function countStatements(content: Buffer): number {
  try {
    return [...split(content.toString('latin1'), 'x.sql')].length;
  } catch {
    return 0;
  }
}

function connection(database: string): string[] {
  return ['-h', postgres.socketDirectory, '-p', String(postgres.port), '-U', 'app', '-d', database];
}

/** In one transaction, unless the file makes its own, or cannot run in one. */
function runPsql(path: string, text: string, database: string): { status: number | null; stderr: string } {
  const alone = /^\s*(begin|start\s+transaction)\b/im.test(text) || /\bconcurrently\b/i.test(text);
  return spawnSync(
    psql,
    ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...(alone ? [] : ['-1']), ...connection(database), '-f', path],
    { encoding: 'utf8' },
  );
}

function dumped(database: string): string[] {
  const { stdout, stderr, status } = spawnSync(
    dump,
    [...connection(database), '--exclude-schema=initbox', '--inserts'],
    { encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (status !== 0) throw new Error(stderr);
  return (
    stdout
      .split('\n')
      .filter((line) => !/^(--|\\(un)?restrict|SELECT pg_catalog.setval)/.test(line))
      // What differs from run to run: times and random identifiers.
      .map((line) =>
        line
          .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+\d\d)?/g, 'TIME')
          .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
          // Boundary's own identifiers of a history's rows.
          .replace(/^(INSERT INTO \S+_hst VALUES .*)'[A-Za-z0-9]{14}'(?=, '\["TIME",\)'\);$)/, "$1'RANDOM'"),
      )
  );
}

function difference(source: Source, theirs: string, mine: string, file: string): void {
  const [one, other] = [dumped(theirs), dumped(mine)];
  const at = one.findIndex((line, index) => line !== other[index]);
  if (at >= 0 || one.length !== other.length)
    wrongs.push(
      `${source.name}, up to ${file}: psql leaves\n  ${one.slice(at - 2, at + 3).join('\n  ')}\nand initbox\n  ${other.slice(at - 2, at + 3).join('\n  ')}`,
    );
}
