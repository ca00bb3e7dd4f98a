// PgBouncer, as Debian has it, in front of one of the tests' Postgres servers.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { appRole, superuser, type Postgres } from './postgres.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';

export interface PgBouncerOptions {
  upstream: Postgres;
  poolMode: 'transaction' | 'session' | 'statement';
  port?: number;
  /** Address to listen on and host of the URLs; 127.0.0.1 unless given. */
  listen?: string;
  /** More of the [pgbouncer] section. */
  settings?: Record<string, string | number>;
  prefix?: readonly string[];
}

export interface PgBouncer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  url(database?: string, user?: string): string;
  logs(): string;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUsePgBouncer(): string | undefined {
  return whyMissing('pgbouncer', 'pgbouncer');
}

/** Starts a pooler that serves every database of the upstream server; throws MissingTool without PgBouncer. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const { upstream, poolMode, listen = '127.0.0.1' } = options;
  const binary = needTool('pgbouncer', 'pgbouncer');
  const port = options.port ?? (await freePort());
  const folder = temporaryDirectory('pgbouncer');
  const users = join(folder.path, 'users.txt');
  writeFileSync(
    users,
    [appRole, superuser].map(({ user, password }) => `"${user}" "${password}"\n`).join(''),
  );
  const settings = {
    listen_addr: listen,
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    admin_users: superuser.user,
    pool_mode: poolMode,
    ...options.settings,
  };
  const file = join(folder.path, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]\n* = host=${upstream.host} port=${upstream.port}\n[pgbouncer]\n${Object.entries(settings)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`,
  );
  chmodSync(file, 0o644);
  const server = await startServerProcess({
    command: [...(options.prefix ?? []), ...dropTo(serverAccount()), binary, file],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('process up'),
  });
  const stop = async () => {
    await server.stop('SIGINT', 5_000);
    folder.remove();
  };
  return {
    host: listen,
    port,
    pid: server.pid,
    url(database = appRole.database, user = appRole.user) {
      const { password } = user === superuser.user ? superuser : appRole;
      return `postgres://${user}:${password}@${listen}:${port}/${database}`;
    },
    logs: server.logs,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
