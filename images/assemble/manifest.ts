import { createHash } from 'node:crypto';
import { glob, lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of the runtime; `path` is relative to its home, `mode` octal. */
interface ManifestFile {
  readonly path: string;
  readonly size: number;
  readonly mode: string;
  readonly sha256: string;
}

/**
 * Lists every file below `home`, for `initbox install` to copy and check. `build` tells two builds apart:
 * the same files have the same one.
 */
export async function manifest(home: string, version: string): Promise<string> {
  const files: ManifestFile[] = [];
  for await (const path of glob('**', { cwd: home })) {
    const stat = await lstat(join(home, path));
    if (stat.isDirectory()) continue;
    if (!stat.isFile()) throw new Error(`${path} is neither a file nor a folder: install would not copy it`);
    const sha256 = sha256Of(await readFile(join(home, path)));
    files.push({ path, size: stat.size, mode: (stat.mode & 0o7777).toString(8).padStart(4, '0'), sha256 });
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const build = sha256Of(JSON.stringify(files));
  return `${JSON.stringify({ version, build, files }, undefined, 2)}\n`;
}

function sha256Of(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}
