import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

import { codeAmong, type Directory } from '../directory/directory.ts';
import { checkNew, makeDirectory } from '../directory/new-directory.ts';
import { isAbsent } from '../directory/open-directory.ts';
import { checkRelativePath, manifestName } from './file-names.ts';
import { isOwnIn } from './own-files.ts';

/**
 * Which publication owns which paths of a generation, by the publication's name: two init containers that fill one
 * directory must each remove only what they themselves left behind.
 */
export type Sets = ReadonlyMap<string, readonly string[]>;

/** A manifest larger than this is not ours, in bytes. */
const largest = 64 << 20;

/** The sets of a generation; none where they cannot be read, or where somebody else could have made them up. */
export function readSets(target: Directory, generation: Directory): Sets {
  if (!hasNote(target, generation, true)) return new Map();
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = openSync(generation.at(manifestName), flags);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > largest) return new Map();
      const { sets } = JSON.parse(readFileSync(fd, 'utf8')) as { sets?: unknown };
      return new Map(Object.entries(sets ?? {}).map(([set, paths]) => [set, pathsOf(paths)]));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // A note that cannot be read says nothing of the sets: they would be hidden.
    if (!isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return new Map();
  }
}

/** Those that can be files of a set: the volume's other users can write such a note too. */
function pathsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string' && isRelativePath(item)) : [];
}

function isRelativePath(path: string): boolean {
  try {
    checkRelativePath(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes a generation, with a note in it from the first: whoever can only rename another's folder to look like one puts
 * no note into it.
 */
export function makeGeneration(target: Directory, name: string): Directory {
  makeDirectory(target, name);
  const generation = target.child(name, manifestName);
  try {
    checkNew(target, name, generation.fd);
    putNote(generation);
    return generation;
  } catch (error) {
    generation[Symbol.dispose]();
    removeEmpty(target, name);
    throw error;
  }
}

function removeEmpty(parent: Directory, name: string): void {
  try {
    rmdirSync(parent.at(name));
  } catch {
    // what led here says more
  }
}

/** Puts a note into a new directory, which the caller has checked to be the one that it made. */
export function putNote(directory: Directory): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(directory.at(manifestName), flags, 0o600);
  try {
    writeSync(fd, formatSets(new Map()));
  } catch (error) {
    unlinkSync(directory.at(manifestName));
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** With what each note begins. */
const noteStart = '{"sets":';

/**
 * Did a run of ours make it? A name says nothing: whoever may write to the parent can give it to any folder there. So the
 * folder and the note must belong to root or to this user, and the note must have no other name.
 * @param directory opened, in `parent`
 * @param strict throws where the note cannot be opened though it may be there
 */
export function hasNote(parent: Directory, directory: Directory, strict = false): boolean {
  if (!isOwnIn(parent, fstatSync(directory.fd))) return false;
  let fd: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    fd = openSync(directory.at(manifestName), flags);
  } catch (error) {
    if (strict && !isAbsent(error)) codeAmong(error, ['EACCES', 'EPERM']);
    return false;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1 || stat.size > largest || !isOwnIn(parent, stat)) return false;
    // A run was killed before it wrote the note: then it put nothing else there.
    if (stat.size === 0) return directory.names().every((entry) => entry.toString() === manifestName);
    return readFileSync(fd, 'latin1').startsWith(noteStart);
  } finally {
    closeSync(fd);
  }
}

export function formatSets(sets: Sets): Uint8Array {
  return Buffer.from(`${JSON.stringify({ sets: Object.fromEntries(sets) })}\n`);
}

/** The names in the directory itself that paths begin with: `conf.d` of `conf.d/a.yaml`. */
export function topNames(paths: Iterable<string>): Set<string> {
  return new Set([...paths].map((path) => path.split('/', 1)[0] ?? path));
}
