import { closeSync, fchmodSync, fchownSync, mkdirSync, fstatSync, lstatSync, type Stats } from 'node:fs';

import { UsageError } from '../../core/outcome.ts';
import { below, type RawName, rawOf, shownName } from '../../fs/directory/file-name.ts';
import { refusedDirectory, refusedPath } from '../../fs/directory/forbidden-places.ts';
import { notOnVolumeHint, whyNotMade } from '../../fs/directory/missing-folders.ts';
import { isEmptyDirectory, openDirectory } from '../../fs/directory/open-directory.ts';
import { absolutePath, LinkInPath, MissingPath, openPlace } from '../../fs/directory/pinned-path.ts';
import { isInside, placeOf } from '../../fs/directory/place.ts';
import { dropInheritedAcl } from '../../fs/inherited-acl.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import { isSameDirectory } from './same-place.ts';
import { rootsOf, type SourceRoot } from './sources.ts';

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
 * there are several sources, or a pattern, else it becomes DEST.
 * @throws UsageError where they do not fit together
 */
export function openDestination(
  text: string,
  sources: readonly SourceRoot[],
  { script, deletes, several }: DestinationRules & { readonly several: boolean },
): Destination {
  const whole = checkDestination(text, { script, deletes });
  const found = look(whole);
  // One descriptor, under both names of a destination: whatever goes wrong here, it is closed once.
  try {
    checkKinds(text, found, sources, several);
    const becomesFile =
      !several && sources[0]?.stat.isDirectory() === false && !isDirectory(found) && !text.endsWith('/');
    const destination = becomesFile ? asFile(whole, found) : asDirectory(whole, found);
    for (const source of sources) checkApart(text, destination, source);
    checkPlace(destination, { script, deletes });
    return destination;
  } catch (error) {
    closeSync(found.nearest);
    throw error;
  }
}

/**
 * Checks sources that were opened anew against a destination that is known.
 * @throws UsageError where they do not fit together any more
 */
export function checkSourcesAnew(
  text: string,
  destination: Destination,
  sources: readonly SourceRoot[],
): void {
  const directory = sources.find(({ stat }) => stat.isDirectory());
  if (destination.file !== undefined && directory !== undefined)
    throw new UsageError(`${directory.text} was a file when the copy began, and is a directory now`);
  for (const source of sources) checkApart(text, destination, source);
}

/** What decides whether a place is one to copy to. */
export interface DestinationRules {
  /** The running program's own file. */
  readonly script: string;
  /** With --delete: what is below DEST may be removed. */
  readonly deletes: boolean;
}

/**
 * @returns the destination as an absolute path
 * @throws UsageError where nothing can be copied to it, as it is written
 */
export function checkDestination(text: string, { script, deletes }: DestinationRules): string {
  if (text === '') throw new UsageError('DEST is empty; write a path such as /plugins');
  const refused = refusedPath(text, script, deletes ? 'tree' : 'names');
  if (refused !== undefined) throw new UsageError(refused);
  return absolutePath(text);
}

/** @throws UsageError where nothing is written to the directory, by whatever name, or made in it */
function checkPlace({ path, nearest, missing }: Destination, { script, deletes }: DestinationRules): void {
  const there = missing.length === 0 ? path : path.split('/').slice(0, -missing.length).join('/') || '/';
  if (missing.length > 0) {
    const why = whyNotMade(nearest, there, shownName(missing[0] ?? ''));
    if (why !== undefined) throw new UsageError(`${why}; ${notOnVolumeHint}`);
  }
  const extent = deletes && missing.length === 0 ? 'tree' : 'names';
  const refused = refusedDirectory(nearest, there, script, extent);
  if (refused !== undefined) throw new UsageError(refused);
}

function isDirectory({ stat }: Found): boolean {
  return stat?.isDirectory() === true;
}

/** @throws UsageError where DEST is a file and the sources are not one file */
function checkKinds(text: string, found: Found, sources: readonly SourceRoot[], several: boolean): void {
  if (found.stat === undefined || isDirectory(found)) return;
  const directory = sources.find(({ stat }) => stat.isDirectory());
  if (directory !== undefined)
    throw new UsageError(
      `${text} is a file and ${directory.text} a directory: its content needs a directory`,
    );
  if (several)
    throw new UsageError(
      sources.length > 1
        ? `${text} is a file, and ${sources.length} sources cannot go into one file`
        : `${text} is a file, and several sources, or a pattern, need a directory`,
    );
  if (text.endsWith('/')) throw new UsageError(`${text} ends in a slash and is a file`);
}

export function closeDestination({ descriptor, nearest }: Destination): void {
  if (descriptor !== undefined) closeSync(descriptor);
  if (nearest !== descriptor) closeSync(nearest);
}

/**
 * Makes the missing directories: anybody may enter them, as mkdir -p leaves them.
 * @param owner of what is made; unset, whoever runs this
 */
export function makeDestination(destination: Destination, owner: FileOwner | undefined): number {
  if (destination.descriptor !== undefined) return destination.descriptor;
  let at = openDirectory('.', destination.nearest);
  try {
    for (const raw of destination.missing) {
      const next = makeOne(at, raw, owner);
      closeSync(at);
      at = next;
    }
  } catch (error) {
    closeSync(at);
    throw error;
  }
  destination.descriptor = at;
  return at;
}

function makeOne(parent: number, raw: RawName, owner: FileOwner | undefined): number {
  let made = true;
  try {
    mkdirSync(below(parent, raw), { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    made = false;
  }
  const descriptor = openDirectory(raw, parent);
  try {
    const { mode } = fstatSync(descriptor);
    // Whoever may write to the parent may have put another there: what is not empty is not what was made.
    const isNew = made && isEmptyDirectory(descriptor);
    if (isNew) dropInheritedAcl(descriptor, shownName(raw));
    if (isNew && (mode & 0o755) !== 0o755) fchmodSync(descriptor, (mode & 0o7000) | 0o755);
    if (isNew && owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
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
        try {
          const nearest = openDirectory(place.name, place.parent);
          return { nearest, missing, stat: missing.length === 0 ? place.stat : undefined };
        } finally {
          closeSync(place.parent);
        }
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
          `${error.message}; links in DEST are not followed: write the real path, without links`,
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
  const roots = rootsOf(source);
  const top = fstatSync(nearest);
  if (missing.length === 0 && roots.some((root) => isSameDirectory(top, fstatSync(root))))
    throw new UsageError(`${source.text} and ${text} are the same directory`);
  const at = placeOf(nearest, missing);
  if (roots.some((root) => isInside(at, placeOf(root))))
    throw new UsageError(`${text} is inside ${source.text}: the copy would copy itself`);
}
