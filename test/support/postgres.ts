// A real PostgreSQL server in a temporary folder, as a primary or as a streaming standby.
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from 'pg';

import { run } from './build-cache.ts';
import { freePort } from './ports.ts';
import { appRole, newCluster, packagedPostgres, superuser } from './postgres-binaries.ts';
import { processesIn } from './process-table.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { quote, temporaryDirectory } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';
import { waitUntil } from './wait-until.ts';

export { appRole, debianPostgres, superuser } from './postgres-binaries.ts';

/** fast: SIGINT, clients are cut off; immediate: SIGQUIT, as in a crash; smart: SIGTERM, waits for the clients. */
export type StopMode = 'fast' | 'immediate' | 'smart';

export interface PostgresOptions {
  /** A free one unless given. */
  port?: number;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string | number>;
  /** Existing cluster to serve; a new one in a temporary folder unless given. */
  dataDirectory?: string;
  /** Addresses to listen on; 127.0.0.1 unless given. The first is the host of the URLs. */
  listen?: string[];
  /** Lines put before the defaults of pg_hba.conf (passwords over TCP, trust on the Unix socket). */
  hba?: string[];
  /** Folder of the binaries; the packaged PostgreSQL 18 unless given. See debianPostgres(). */
  binaries?: string;
  /** Command prefix that execs, such as a network namespace's. */
  prefix?: readonly string[];
  /** A new system identifier, at the price of an initdb (1 s). */
  freshCluster?: boolean;
}

export interface Postgres extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The postmaster's. Throws while the server is down. */
  readonly pid: number;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly binaries: string;
  readonly options: PostgresOptions;
  /** `postgres://user:password@host:port/database`, of the role and database `app` unless given. */
  url(database?: string, user?: string): string;
  superuserUrl(database?: string): string;
  /** Runs SQL as the superuser over the Unix socket (no network in it) and returns the rows. */
  sql(text: string, parameters?: unknown[], database?: string): Promise<Record<string, unknown>[]>;
  /** A superuser's connection over the Unix socket; the caller ends it. */
  connect(database?: string): Promise<Client>;
  start(): Promise<void>;
  /** Stops the server; its data stay for start(). */
  stop(mode?: StopMode): Promise<void>;
  restart(mode?: StopMode): Promise<void>;
  /** SIGKILL to the postmaster and to all of its processes. */
  kill(): Promise<void>;
  running(): boolean;
  logs(): string;
  /** Stops it at once and removes its folders. */
  remove(): Promise<void>;
}

export interface Standby extends Postgres {
  /** Makes it a primary and returns once it takes writes. The old primary goes on. */
  promote(): Promise<void>;
}

const signalOf: Record<StopMode, NodeJS.Signals> = { fast: 'SIGINT', immediate: 'SIGQUIT', smart: 'SIGTERM' };

/** Prepares a server without starting it: its port is known, and nothing listens there until start(). */
export async function preparePostgres(options: PostgresOptions = {}): Promise<Postgres> {
  return prepare(options, async (binaries, directory) =>
    newCluster(binaries, directory, options.freshCluster ?? false),
  );
}

/** Starts a server and returns once it takes connections. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const server = await preparePostgres(options);
  await server.start();
  return server;
}

/**
 * Starts a hot standby that streams from the primary over the primary's Unix socket. Its files are copied under the
 * backup functions of SQL (https://www.postgresql.org/docs/current/continuous-archiving.html), since the packaged
 * binaries hold no pg_basebackup.
 */
export async function startStandby(primary: Postgres, options: PostgresOptions = {}): Promise<Standby> {
  const source = `host='${primary.socketDirectory}' port=${primary.port} user=${superuser.user}`;
  const server = await prepare(
    {
      binaries: primary.binaries,
      ...options,
      settings: { ...primary.options.settings, primary_conninfo: source, ...options.settings },
    },
    (_, directory) => copyRunning(primary, directory),
  );
  await server.start();
  return Object.assign(server, {
    async promote() {
      await server.sql('SELECT pg_promote(true, 30)');
    },
  });
}

async function copyRunning(primary: Postgres, directory: string): Promise<void> {
  const client = await primary.connect('postgres');
  try {
    await client.query("SELECT pg_backup_start('standby', true)");
    const left = [
      'postmaster.pid',
      'postmaster.opts',
      'pg_wal/*',
      'pg_replslot/*',
      'pg_dynshmem/*',
      'pg_stat_tmp/*',
    ];
    const excludes = left.map((name) => `--exclude=${quote(`./${name}`)}`).join(' ');
    // tar leaves with 1 when a file changed under it, which the WAL repairs; only 2 is a failure.
    await run([
      '/bin/sh',
      '-euc',
      `mkdir "$1"; { tar -C "$0" ${excludes} -cf - . || [ $? = 1 ]; } | tar -C "$1" -xpf -`,
      primary.dataDirectory,
      directory,
    ]);
    const label = await client.query('SELECT labelfile FROM pg_backup_stop(false)');
    writeOwned(join(directory, 'backup_label'), (label.rows[0] as { labelfile: string }).labelfile);
    writeOwned(join(directory, 'standby.signal'), '');
  } finally {
    await client.end();
  }
}

function writeOwned(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  const account = serverAccount();
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

async function prepare(
  options: PostgresOptions,
  fill: (binaries: string, directory: string) => Promise<void>,
): Promise<Postgres> {
  const binaries = options.binaries ?? (await packagedPostgres());
  const account = serverAccount();
  const folder = temporaryDirectory('postgres');
  // The socket's folder is the server's own; the data folder stands in it, so that one removal takes both.
  if (account !== undefined) chownSync(folder.path, account.uid, account.gid);
  const dataDirectory = options.dataDirectory ?? join(folder.path, 'data');
  if (!existsSync(dataDirectory)) await fill(binaries, dataDirectory);
  const authentication = [
    ...(options.hba ?? []),
    'local all all trust',
    'local replication all trust',
    'host all all all scram-sha-256',
    'host replication all all scram-sha-256',
  ];
  writeOwned(join(dataDirectory, 'pg_hba.conf'), `${authentication.join('\n')}\n`);

  const listen = options.listen ?? ['127.0.0.1'];
  const host = listen[0] ?? '127.0.0.1';
  const logFile = join(folder.path, 'log');
  let port = options.port ?? (await freePort());
  let running: ServerProcess | undefined;
  const version = Number(readFileSync(join(dataDirectory, 'PG_VERSION'), 'utf8'));

  function commandLine(): string[] {
    const settings: Record<string, string | number> = {
      listen_addresses: listen.join(','),
      port,
      unix_socket_directories: folder.path,
      // Durable against kill -9, as the page cache survives that; not against a power cut, which no test makes.
      fsync: 'off',
      full_page_writes: 'off',
      shared_buffers: '16MB',
      // In the data folder rather than in /dev/shm, so that a killed server leaves nothing there.
      dynamic_shared_memory_type: 'mmap',
      ...(version >= 18 ? { io_method: 'sync' } : {}),
      ...options.settings,
    };
    return [
      ...(options.prefix ?? []),
      ...dropTo(account),
      join(binaries, 'postgres'),
      '-D',
      dataDirectory,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
  }

  async function start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        running = await startServerProcess({
          command: commandLine(),
          logFile,
          env: { LC_ALL: 'C' },
          ready: (log) => log.includes('database system is ready to accept'),
          // Backends are in sessions of their own and may be stopped: what they share is the working directory.
          undo: (pid) =>
            `kill -CONT ${pid}; kill -QUIT ${pid}; sleep 0.3; kill_in_directory ${quote(dataDirectory)}`,
        });
        return;
      } catch (error) {
        const taken = String(error).includes('Address already in use');
        if (!taken || options.port !== undefined || attempt === 5) throw error;
        port = await freePort();
      }
    }
  }

  async function allGone(): Promise<void> {
    await waitUntil(() => processesIn(dataDirectory).length === 0, { what: 'the end of all backends' });
  }

  const server: Postgres = {
    host,
    dataDirectory,
    socketDirectory: folder.path,
    binaries,
    options,
    get port() {
      return port;
    },
    get pid() {
      if (running === undefined || !running.running()) throw new Error('this Postgres is not running');
      return running.pid;
    },
    url(database = appRole.database, user = appRole.user) {
      const password = user === superuser.user ? superuser.password : appRole.password;
      const shownHost = host.includes(':') ? `[${host}]` : host;
      return `postgres://${user}:${password}@${shownHost}:${port}/${database}`;
    },
    superuserUrl: (database = appRole.database) => server.url(database, superuser.user),
    async connect(database = appRole.database) {
      const client = new Client({ host: folder.path, port, user: superuser.user, database });
      // A server that goes away under an idle client is what many tests do.
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    async sql(text, parameters, database) {
      const client = await server.connect(database);
      try {
        const result = await client.query(text, parameters);
        return result.rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
    start,
    async stop(mode = 'fast') {
      await running?.stop(signalOf[mode], 30_000);
      await allGone();
    },
    async restart(mode = 'fast') {
      await server.stop(mode);
      await start();
    },
    async kill() {
      const stopped = running?.stop('SIGKILL');
      for (const pid of processesIn(dataDirectory)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // ended meanwhile
        }
      }
      await stopped;
      await allGone();
    },
    running: () => running?.running() ?? false,
    logs: () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''),
    async remove() {
      await running?.stop('SIGQUIT', 2_000);
      await server.kill();
      if (options.dataDirectory === undefined) rmSync(dataDirectory, { recursive: true, force: true });
      folder.remove();
    },
    [Symbol.asyncDispose]: () => server.remove(),
  };
  return server;
}
