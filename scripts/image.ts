/**
 * Builds the image from dist/: IMAGE names it (default initbox:dev), NODE_IMAGE the base (default: the
 * Dockerfile's). Works with the classic builder and with BuildKit.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env, exit } from 'node:process';

const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const settings: Record<string, string | undefined> = {
  VERSION: version,
  REVISION: env['REVISION'] ?? git('rev-parse', 'HEAD'),
  // The commit's date, so that one commit gives one image.
  CREATED: env['CREATED'] ?? git('show', '--no-patch', '--format=%cI', 'HEAD'),
  SOURCE: env['SOURCE'],
  NODE_IMAGE: env['NODE_IMAGE'],
};
const buildArguments = Object.entries(settings).flatMap(([name, value]) =>
  value ? ['--build-arg', `${name}=${value}`] : [],
);

const { status } = spawnSync(
  'docker',
  ['build', '-f', 'images/Dockerfile', '-t', env['IMAGE'] ?? 'initbox:dev', ...buildArguments, '.'],
  { cwd: root, stdio: 'inherit' },
);
exit(status ?? 1);

/** What git says, or nothing where the sources are not a repository. */
function git(...args: string[]): string | undefined {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
