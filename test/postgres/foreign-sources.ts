// Public repositories with migrations in SQL, taken from the Go module proxy by version and sum; nothing of them is kept here.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

import { projectCacheDirectory } from '../support/build-cache.ts';
import { goBinary } from '../support/go.ts';

export interface Source {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** Of the module's zip, as in a go.sum. */
  readonly sum: string;
  readonly licence: string;
  readonly folder: string;
  /** The order of the files, by path below the folder. */
  readonly order?: (path: string) => string;
}

/** By the numbers of folder and file: `3/02_iam.up.sql`. */
const byNumbers = (path: string): string => path.replaceAll(/\d+/g, (digits) => digits.padStart(20, '0'));

export const sources: readonly Source[] = [
  {
    name: 'boundary',
    module: 'github.com/hashicorp/boundary',
    version: 'v0.15.0',
    sum: 'h1:np75Igvt9ICQN3ZXJsXw91P5QFsvGDsNYoBNMFGeRcw=',
    licence: 'BUSL-1.1',
    folder: 'internal/db/schema/migrations/oss/postgres',
    order: byNumbers,
  },
  {
    name: 'kratos',
    module: 'github.com/ory/kratos',
    version: 'v1.3.1',
    sum: 'h1:XOw84ToAxLDb5K5Xv/Qspk0vzlBq+6zgz2TufVg4kkU=',
    licence: 'Apache-2.0',
    folder: 'persistence/sql/migrations/sql',
  },
  {
    name: 'hydra',
    module: 'github.com/ory/hydra/v2',
    version: 'v2.3.0',
    sum: 'h1:bPs5MOWmYLZ9C3oQFhhjnaBrExUgF/zf3u1AJVlR//4=',
    licence: 'Apache-2.0',
    folder: 'persistence/sql/migrations',
  },
  {
    name: 'keto',
    module: 'github.com/ory/keto',
    version: 'v0.11.0-alpha.0',
    sum: 'h1:4mRRZ+tk4Kv/DUqRjNNAvOQS3GbmMFhBmy6XUog2Woo=',
    licence: 'Apache-2.0',
    folder: 'internal/persistence/sql/migrations/sql',
  },
];

/** The source's folder of migrations, with the sum of the module checked. */
export async function fetchSource({ module, version, sum, folder }: Source): Promise<string> {
  const cache = join(projectCacheDirectory(), 'go-modules');
  mkdirSync(cache, { recursive: true });
  const { stdout, stderr } = spawnSync(
    await goBinary(),
    ['mod', 'download', '-json', `${module}@${version}`],
    {
      cwd: cache,
      encoding: 'utf8',
      // The sum stands above, and old versions are not in every mirror of the checksum database.
      env: {
        ...process.env,
        GOMODCACHE: cache,
        GOFLAGS: '-modcacherw',
        GONOSUMDB: '*',
        GOTOOLCHAIN: 'local',
      },
    },
  );
  let told: { readonly Dir?: string; readonly Sum?: string; readonly Error?: string };
  try {
    told = JSON.parse(stdout) as typeof told;
  } catch {
    throw new Error(`${module}@${version} could not be fetched: ${stderr}`);
  }
  if (told.Dir === undefined) throw new Error(`${module}@${version} could not be fetched: ${told.Error}`);
  if (told.Sum !== sum) throw new Error(`${module}@${version} has the sum ${told.Sum}, not ${sum}`);
  return join(told.Dir, folder);
}

/** The files that migrate forward on PostgreSQL, in order: of those for one version the one for PostgreSQL. */
export function forwardFiles(folder: string, order: Source['order']): string[] {
  const all = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.up.sql'))
    .filter((path) => !/\.(mysql|sqlite3?|cockroach)\b/.test(basename(path)));
  const versionOf = (path: string): string => path.replace(/(\d+)_[^/]*$/, '$1');
  const special = new Set(all.filter((path) => /\.postgres\b/.test(path)).map(versionOf));
  const key = order ?? ((path: string) => path);
  return all
    .filter((path) => /\.postgres\b/.test(path) || !special.has(versionOf(path)))
    .toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
