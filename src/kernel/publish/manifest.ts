import { constants, closeSync, openSync, readFileSync, fstatSync } from 'node:fs';
import type { Directory } from './directory.ts';
import { manifestName } from './names.ts';

/**
 * Which publication owns which paths of a generation, by the publication's name: two init containers that fill one
 * directory must each remove only what they themselves left behind.
 */
export type Sets = ReadonlyMap<string, readonly string[]>;

/** A manifest larger than this is not ours, in bytes. */
const largest = 64 << 20;

/** The sets of a generation; none where it cannot be read. */
export function readSets(generation: Directory): Sets {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = openSync(generation.at(manifestName), flags);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > largest) return new Map();
      const { sets } = JSON.parse(readFileSync(fd, 'utf8')) as { sets?: unknown };
      return new Map(Object.entries(sets ?? {}).map(([set, paths]) => [set, strings(paths)]));
    } finally {
      closeSync(fd);
    }
  } catch {
    return new Map();
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function formatSets(sets: Sets): Uint8Array {
  return Buffer.from(`${JSON.stringify({ sets: Object.fromEntries(sets) })}\n`);
}

/** The names in the directory itself that paths begin with: `conf.d` of `conf.d/a.yaml`. */
export function topNames(paths: Iterable<string>): Set<string> {
  return new Set([...paths].map((path) => path.split('/', 1)[0] ?? path));
}
