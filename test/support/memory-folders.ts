// Folders in memory, as the volumes of Secrets are, for one test file.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll } from 'vitest';

import { mountTmpfs, type Mounted } from './faults.ts';

/** Mounts a tmpfs for the file's tests; the function returned makes an empty folder on it at each call. */
export function memoryFolders(size = '16m'): () => string {
  let volume: Mounted;
  let count = 0;
  beforeAll(() => {
    volume = mountTmpfs({ size });
  });
  afterAll(() => volume[Symbol.dispose]());
  return () => {
    const path = join(volume.path, String(count++));
    mkdirSync(path);
    return path;
  };
}
