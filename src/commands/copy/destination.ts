import { closeSync, fchmodSync, mkdirSync, fstatSync, lstatSync, type Stats } from 'node:fs';
import { UsageError } from '../../kernel/outcome.ts';
import { isWithin } from '../../kernel/tree/mounts.ts';
import { below, type RawName, rawOf, shownName } from '../../kernel/tree/name.ts';
import { absolutePath, LinkInPath, MissingPath, openDirectory, openPlace } from '../../kernel/tree/open.ts';
import type { SourceRoot } from './sources.ts';

/** Where a copy goes, held open. */
export interface Destination {
  /** The directory that takes it: absolute, for people. */
  readonly path: string;
  /** That directory; undefined where it is to be made. */
  descriptor: number | undefined;
  /** The deepest directory that is there, and what is to be made below it. */
  readonly nearest: number;
  readonly missing: readonly RawName[];
  /** The name of the one file that is copied, where DEST names a file. */
  readonly file: RawName | undefined;
}

/**
 * Finds where the sources go. A directory's content goes into DEST; a file goes into DEST where that is a directory or
 * there are several sources, else it becomes DEST.
 * @throws UsageError where they do not fit together
 */
export function openDestination(text: string, sources: readonly SourceRoot[]): Destination {
  if (text === '') throw new UsageError('the last word, DEST, is empty; write a path such as /plugins');
  const whole = absolutePath(text);
  if (whole === '/') throw new UsageError(`${text} is the root directory; name the volume, such as /plugins`);
  const found = look(whole);
  const directory = sources.find(({ stat }) => stat.isDirectory());
  if (found.stat !== undefined && !found.stat.isDirectory()) {
    closeSync(found.nearest);
    if (directory !== undefined)
      throw new UsageError(
        `${text} is a file and ${directory.text} a directory: its content needs a directory`,
      );
    if (sources.length > 1)
      throw new UsageError(`${text} is a file, and ${sources.length} sources cannot go into one file`);
    if (text.endsWith('/')) throw new UsageError(`${text} ends in a slash and is a file`);
  }
  const becomesFile =
    directory === undefined && sources.length === 1 && !found.stat?.isDirectory() && !text.endsWith('/');
  const destination = becomesFile ? asFile(whole, found) : asDirectory(whole, found);
  try {
    for (const source of sources) checkApart(text, destination, source);
  } catch (error) {
    closeDestination(destination);
    throw error;
  }
  return destination;
}

export function closeDestination({ descriptor, nearest }: Destination): void {
  if (descriptor !== undefined) closeSync(descriptor);
  if (nearest !== descriptor) closeSync(nearest);
}

/** Makes the missing directories: anybody may enter them, as mkdir -p leaves them. */
export function makeMissing(destination: Destination): number {
  if (destination.descriptor !== undefined) return destination.descriptor;
  let at = openDirectory('.', destination.nearest);
  for (const raw of destination.missing) {
    let made = false;
    try {
      mkdirSync(below(at, raw), { mode: 0o755 });
      made = true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const next = openDirectory(raw, at);
    closeSync(at);
    at = next;
    const { mode } = fstatSync(at);
    if (made && (mode & 0o755) !== 0o755) fchmodSync(at, (mode & 0o7000) | 0o755);
  }
  destination.descriptor = at;
  return at;
}

interface Found {
  readonly nearest: number;
  readonly missing: readonly RawName[];
  readonly stat: Stats | undefined;
}

/** The path, or what there is of it. */
function look(whole: string): Found {
  const missing: RawName[] = [];
  for (let path = whole; ;) {
    try {
      const place = openPlace(path);
      if (place.stat?.isDirectory()) {
        const nearest = openDirectory(place.name, place.parent);
        closeSync(place.parent);
        return { nearest, missing, stat: missing.length === 0 ? place.stat : undefined };
      }
      if (place.stat !== undefined && missing.length > 0) {
        closeSync(place.parent);
        throw new UsageError(`${whole} cannot be made: ${path} is a file`);
      }
      if (place.stat !== undefined) return { nearest: place.parent, missing: [], stat: place.stat };
      closeSync(place.parent);
    } catch (error) {
      if (error instanceof LinkInPath)
        throw new UsageError(
          `${error.message}; links in DEST are not followed: write the path that is meant, without links`,
        );
      if (error instanceof MissingPath && error.code === 'ENOTDIR')
        throw new UsageError(`${whole} cannot be made: ${error.nearest} is not a directory`);
      if (error instanceof UsageError) throw error;
      if (!(error instanceof MissingPath))
        throw new UsageError(
          `${whole} cannot be reached (${(error as NodeJS.ErrnoException).code}); look at runAsUser and the modes of the directories above it`,
        );
    }
    missing.unshift(rawOf(path.slice(path.lastIndexOf('/') + 1)));
    path = path.slice(0, path.lastIndexOf('/')) || '/';
  }
}

function asDirectory(path: string, { nearest, missing, stat }: Found): Destination {
  return { path, nearest, missing, descriptor: stat === undefined ? undefined : nearest, file: undefined };
}

function asFile(whole: string, { nearest, missing, stat }: Found): Destination {
  const slash = whole.lastIndexOf('/');
  const path = whole.slice(0, slash) || '/';
  const file = rawOf(whole.slice(slash + 1));
  const above = missing.slice(0, -1);
  const there = stat !== undefined || above.length === 0;
  return { path, nearest, missing: above, descriptor: there ? nearest : undefined, file };
}

/** Neither inside of the other where that would be endless, nor the same. */
function checkApart(text: string, destination: Destination, source: SourceRoot): void {
  const { path, nearest, missing } = destination;
  if (source.stat.isFile()) {
    if (destination.descriptor === undefined) return;
    const name = destination.file ?? source.name;
    const there = lstatSync(below(destination.descriptor, name), { throwIfNoEntry: false });
    if (there?.ino === source.stat.ino && there.dev === source.stat.dev)
      throw new UsageError(`${source.text} and ${path}/${shownName(name)} are the same file`);
    return;
  }
  const top = fstatSync(nearest);
  if (missing.length === 0 && top.ino === source.stat.ino && top.dev === source.stat.dev)
    throw new UsageError(`${source.text} and ${text} are the same directory`);
  if (isWithin(path, source.real))
    throw new UsageError(`${text} is inside of ${source.text}: the copy would copy itself`);
}
