// MariaDB, as Debian has it, in a temporary folder.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from './build-cache.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';

export interface MariadbOptions {
  port?: number;
  /** Run as the administrator before it takes connections, one statement a line. */
  sql?: readonly string[];
  /** More of its arguments. */
  settings?: readonly string[];
}

export interface Mariadb extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  logs(): string;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseMariadb(): string | undefined {
  return whyMissing('mariadbd', 'mariadb-server');
}

/** Starts a server on 127.0.0.1 whose user `app` (password `hunter2`) has all rights on the database `app`. */
export async function startMariadb({
  port: given,
  sql = [],
  settings = [],
}: MariadbOptions = {}): Promise<Mariadb> {
  const binary = needTool('mariadbd', 'mariadb-server');
  const port = given ?? (await freePort());
  const folder = temporaryDirectory('mariadb');
  chmodSync(folder.path, 0o755);
  const data = join(folder.path, 'data');
  // In a folder that servers share, each removes the temporary tables of the others as it starts.
  const temporary = join(folder.path, 'tmp');
  const account = serverAccount();
  for (const own of [data, temporary]) {
    mkdirSync(own);
    if (account !== undefined) chownSync(own, account.uid, account.gid);
  }
  await run([
    ...dropTo(account),
    needTool('mariadb-install-db', 'mariadb-server'),
    '--no-defaults',
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=4M',
  ]);
  const statements = [
    'CREATE DATABASE app;',
    "CREATE USER app@'%' IDENTIFIED BY 'hunter2';",
    "GRANT ALL ON app.* TO app@'%';",
    ...sql,
  ];
  const first = join(folder.path, 'init.sql');
  writeFileSync(first, `${statements.join('\n')}\n`, { mode: 0o644 });
  const server = await startServerProcess({
    command: [
      ...dropTo(account),
      binary,
      '--no-defaults',
      `--datadir=${data}`,
      `--tmpdir=${temporary}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(data, 's')}`,
      `--pid-file=${join(data, 'pid')}`,
      `--init-file=${first}`,
      '--innodb-log-file-size=4M',
      '--innodb-buffer-pool-size=16M',
      ...settings,
    ],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('ready for connections'),
    timeout: 120_000,
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGTERM', 10_000);
    folder.remove();
  };
  return { port, pid: server.pid, logs: server.logs, stop, [Symbol.asyncDispose]: stop };
}
