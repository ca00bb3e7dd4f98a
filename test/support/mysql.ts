// MySQL, of which no stable Debian has a server: that of Debian's unstable with the libraries that it is linked to, fetched by
// apt with lists of its own and unpacked into a folder; nothing of it is installed.
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, run, sharedCacheDirectory } from './build-cache.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { findInPath } from './tools.ts';
import { temporaryDirectory } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';

/** Uses the machine's own mirror and keys. */
const fetched = `
site="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)"
apt="$OUT/apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$OUT/root"
: > "$apt/status"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s sid main\\n' "$site" > "$apt/sources.list"
cat > "$apt/apt.conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
APT::Install-Recommends "0";
Acquire::Languages "none";
END
export APT_CONFIG="$apt/apt.conf"
apt-get -q update
apt-get -q -y --download-only install mysql-server-core
for package in "$apt"/cache/archives/*.deb; do
  case "$package" in */perl*|*/libperl*) ;; *) dpkg-deb -x "$package" "$OUT/root" ;; esac
done
rm -rf "$apt"`;

/** The folder that MySQL is unpacked in, or why it cannot be had: unstable may be on the way from one version to the next. */
export async function fetchMysql(): Promise<{ readonly root: string } | { readonly missing: string }> {
  if (process.arch !== 'x64' || findInPath('apt-get') === undefined)
    return { missing: 'MySQL is fetched by apt-get for x86-64 alone' };
  const folder = join(sharedCacheDirectory(), 'mysql-of-unstable');
  try {
    if (!existsSync(folder)) await makeOnce(folder, fetched);
  } catch (error) {
    return { missing: `MySQL of Debian’s unstable cannot be fetched: ${(error as Error).message}` };
  }
  return { root: join(folder, 'root') };
}

export interface Mysql extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a server on 127.0.0.1. @param sql run as the administrator before it takes connections, one statement a line */
export async function startMysql(
  root: string,
  { sql, settings = [] }: { sql: readonly string[]; settings?: readonly string[] },
): Promise<Mysql> {
  const port = await freePort();
  const folder = temporaryDirectory('mysql');
  chmodSync(folder.path, 0o755);
  const at = (name: string): string => join(folder.path, name);
  const account = serverAccount();
  for (const name of ['data', 'run', 'tmp']) {
    mkdirSync(at(name));
    if (account !== undefined) chownSync(at(name), account.uid, account.gid);
  }
  writeFileSync(at('init.sql'), `${sql.join('\n')}\n`, { mode: 0o644 });
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const command = [
    ...dropTo(account),
    join(root, 'usr/lib64/ld-linux-x86-64.so.2'),
    '--library-path',
    `${libraries}:${libraries}/mysql/private`,
    join(root, 'usr/sbin/mysqld'),
    '--no-defaults',
    `--basedir=${join(root, 'usr')}`,
    `--datadir=${at('data')}`,
    `--tmpdir=${at('tmp')}`,
    `--lc-messages-dir=${join(root, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(root, 'usr/share/mysql/charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    '--mysqlx=OFF',
    '--secure-file-priv=NULL',
    '--innodb-buffer-pool-size=32M',
  ];
  await run([...command, '--initialize-insecure']);
  const server = await startServerProcess({
    command: [
      ...command,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${at('run/s')}`,
      `--pid-file=${at('run/pid')}`,
      `--init-file=${at('init.sql')}`,
      ...settings,
    ],
    logFile: at('log'),
    ready: (log) => log.includes('ready for connections'),
    timeout: 120_000,
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGTERM', 10_000);
    folder.remove();
  };
  return { port, pid: server.pid, stop, [Symbol.asyncDispose]: stop };
}
