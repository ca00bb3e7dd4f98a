// vitest's global set-up of the integration tests: builds the program when a source is newer than the bundle.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { run } from './build-cache.ts';
import { needTool, nodePath, projectDirectory } from './tools.ts';

function newest(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  // A folder's own time tells of files that were removed.
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** True when dist/ is older than what it is made from. */
export function isStale(): boolean {
  const built = newest(join(projectDirectory, 'dist', 'initbox.js'));
  const sources = ['src', 'scripts', 'package.json', 'package-lock.json'];
  return built === 0 || sources.some((name) => newest(join(projectDirectory, name)) > built);
}

export async function setup(): Promise<void> {
  if (!isStale()) return;
  // Two runs at once build one after the other rather than into each other's files.
  await run(
    [
      needTool('flock', 'util-linux'),
      join(projectDirectory, 'node_modules', '.initbox-build.lock'),
      nodePath(),
      join('scripts', 'build.ts'),
    ],
    { cwd: projectDirectory },
  );
}
