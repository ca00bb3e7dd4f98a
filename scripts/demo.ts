/**
 * What initbox is for, on this machine and without Docker: a whole init phase as one plan. A Postgres that is started
 * late, a name that appears late, a Vault, a volume of another owner, a migration, and an application that takes over.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, getgid, getuid } from 'node:process';

import { startDnsServer } from '../test/support/dns-server.ts';
import { startBao } from '../test/support/openbao.ts';
import { freePort } from '../test/support/ports.ts';
import { preparePostgres } from '../test/support/postgres.ts';
import { programCommand } from '../test/support/program.ts';

/** Milliseconds after which the name is there, and the database. */
const nameLate = 1_500;
const databaseLate = 3_000;

const folder = mkdtempSync(join(tmpdir(), 'initbox-demo-'));
const memory = mkdtempSync('/dev/shm/initbox-demo-');
try {
  await demo();
} finally {
  for (const made of [folder, memory]) rmSync(made, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  await using postgres = await preparePostgres({ port: await freePort() });
  await using dns = await startDnsServer();
  await using bao = await startBao();
  await bao.must('POST', 'secret/data/api-server', { data: { config: 'listen: 8080\nsecret: kept\n' } });
  writeFileSync(join(folder, 'vault-token'), bao.token);
  mkdirSync(join(folder, 'data', 'uploads'), { recursive: true });
  mkdirSync(join(folder, 'migrations'));
  writeFileSync(join(folder, 'migrations', '1_users.sql'), 'create table users (id int primary key)');
  writeFileSync(join(folder, 'migrations', '2_names.sql'), 'alter table users add column name text');

  const plan = join(folder, 'plan.yaml');
  writeFileSync(plan, planText(dns.server));
  // Root gives the volume to another user, as an init container would; others have nothing to give away.
  const owner = getuid?.() === 0 ? '1000:1000' : `${getuid?.()}:${getgid?.()}`;
  const variables = {
    DATABASE_URL: postgres.url(),
    VAULT_ADDR: bao.address,
    OWNER: owner,
    DEMO: folder,
    MEMORY: memory,
  };
  const app = `echo "the application runs as process $$ with $(grep -c . "$MEMORY/app.conf") lines of configuration"`;
  console.log(`$ cat plan.yaml\n${readFileSync(plan, 'utf8')}`);
  console.log(`$ initbox run plan.yaml -- ./server`);
  console.log(
    `(the name appears after ${nameLate / 1_000} s, the database after ${databaseLate / 1_000} s)\n`,
  );
  const [file = '', ...program] = programCommand();
  const args = [...program, 'run', plan, '--timeout', '1m', '--', '/bin/sh', '-c', app];
  const running = spawn(file, args, { stdio: 'inherit', env: { PATH: env['PATH'] ?? '', ...variables } });
  const ended = new Promise<number>((resolve, reject) => {
    running.once('error', reject);
    running.once('exit', (status) => resolve(status ?? 1));
  });
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  await pause(nameLate);
  dns.answer('postgres-service.default.svc.cluster.local', 'A', ['10.96.12.7']);
  await pause(databaseLate - nameLate);
  await postgres.start();
  const status = await ended;
  console.log(`\nexit status ${status}; initbox was process ${running.pid}`);
  if (status !== 0) throw new Error('the demo failed');
  const rows = await postgres.sql(
    'select count(*)::int as columns from information_schema.columns where table_name = $1',
    ['users'],
    'app',
  );
  console.log(`columns of the migrated table: ${String(rows[0]?.['columns'])}`);
}

function planText(server: string): string {
  return `steps:
  - name: name
    uses: wait-dns
    names: postgres-service.default.svc.cluster.local
    server: ${server}
  - name: database
    uses: wait-postgres
    timeout: 2m
  - name: config
    uses: fetch-config
    sources: vault:secret/api-server#config
    vault-token-file: $(DEMO)/vault-token
    to: $(MEMORY)/app.conf
    owner: $(OWNER)
  - name: volume
    uses: chown
    owner: $(OWNER)
    paths: $(DEMO)/data
  - name: migrate
    uses: migrate-with-lock
    sql: $(DEMO)/migrations
    needs: [name, database]
`;
}
