import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** The list of the runtime's files, made with the image; paths are relative to the runtime's folder. */
export interface Manifest {
  readonly version: string;
  /** A digest over the list of files: two runtimes of one build are the same. */
  readonly build: string;
  readonly files: readonly RuntimeFile[];
}

export interface RuntimeFile {
  readonly path: string;
  readonly size: number;
  /** Octal permissions: `0755`. */
  readonly mode: string;
  readonly sha256: string;
}

export const installManifestName = 'manifest.json';

/** The manifest in a folder; undefined where there is none that can be read. */
export function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, installManifestName), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

/** What is wrong with a copy of a file; undefined where it is right. Reads the content only where `thorough`. */
export async function problemOf(
  folder: string,
  file: RuntimeFile,
  thorough: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = join(folder, file.path);
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return `${file.path} is not a file`;
    if (stat.size !== file.size) return `${file.path} has ${stat.size} bytes instead of ${file.size}`;
    if ((stat.mode & 0o111) !== (Number.parseInt(file.mode, 8) & 0o111))
      return `${file.path} has the wrong mode`;
    if (thorough && (await sha256Of(path, signal)) !== file.sha256) return `${file.path} has other content`;
    return undefined;
  } catch (error) {
    if (signal.aborted) throw error;
    return `${file.path} is missing or unreadable (${(error as NodeJS.ErrnoException).code})`;
  }
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
  return hash.digest('hex');
}
