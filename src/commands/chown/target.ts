import { closeSync, fstatSync, mkdirSync, rmdirSync, type Stats } from 'node:fs';

import { UsageError } from '../../core/outcome.ts';
import { doAtOnce } from '../../fs/calls.ts';
import { below, type RawName, rawOf, shownName } from '../../fs/directory/file-name.ts';
import { refusedDirectory, refusedPath } from '../../fs/directory/forbidden-places.ts';
import { notOnVolumeHint, whyNotMade } from '../../fs/directory/missing-folders.ts';
import { isEmptyDirectory, openDirectory, openPinned } from '../../fs/directory/open-directory.ts';
import {
  absolutePath,
  ClosedPath,
  LinkInPath,
  MissingPath,
  openPlace,
  openPlaceDirectory,
  type PinnedPath,
} from '../../fs/directory/pinned-path.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { dropInheritedAcl } from '../../fs/inherited-acl.ts';
import type { Modes } from '../../fs/tree/mode.ts';
import { changeDirectory } from './change.ts';
import { belongsTo, type NewOwner } from './owner.ts';

/** A path to work on, whose place nobody can lead elsewhere. */
export interface ChownTarget {
  /** For people. */
  readonly shown: string;
  /** What it is; where components are missing, the nearest directory above that is there. */
  readonly place: PinnedPath;
  /** Open where it is a directory. */
  readonly descriptor: number | undefined;
  /** Open (O_PATH) where it is there and not a directory. */
  readonly pinned: number | undefined;
  /** The components to make, outermost first. */
  readonly missing: readonly RawName[];
}

/**
 * Opens a path and holds it.
 * @returns undefined where it is missing and need not be there
 * @throws UsageError where it is missing (and is not to be made), leads through a link, or is not to be touched;
 *   ClosedPath where it cannot be opened
 */
export function openTarget(
  text: string,
  { create, ifExists }: { readonly create: boolean; readonly ifExists: boolean },
  script: string,
): ChownTarget | undefined {
  checkPath(text, script);
  const shown = absolutePath(text);
  const { place, missing } = nearestPlace(shown, create || ifExists);
  if (ifExists && missing.length > 0) {
    closeSync(place.parent);
    return undefined;
  }
  try {
    return openFound({ text, shown, place, missing, script });
  } catch (error) {
    closeSync(place.parent);
    throw error;
  }
}

function openFound({
  text,
  shown,
  place,
  missing,
  script,
}: Pick<ChownTarget, 'shown' | 'place' | 'missing'> & {
  readonly text: string;
  readonly script: string;
}): ChownTarget {
  const target = { shown, place, missing, descriptor: undefined, pinned: undefined };
  if (missing.length > 0) {
    checkMakeable(place, missing, script);
    return target;
  }
  if (!place.stat?.isDirectory()) {
    if (text.endsWith('/')) throw new UsageError(`${text} ends in a slash and is not a directory`);
    const refused = refusedDirectory(place.parent, shown, script, 'file');
    if (refused !== undefined) throw new UsageError(refused);
    return { ...target, pinned: openFile(place) };
  }
  const { descriptor } = openPlaceDirectory(place);
  const refused = refusedDirectory(descriptor, shown, script, 'tree');
  if (refused === undefined) return { ...target, descriptor };
  closeSync(descriptor);
  throw new UsageError(refused);
}

/** @throws UsageError where a path is not one to change, as it is written */
export function checkPath(text: string, script: string): void {
  const refused = refusedPath(text, script);
  if (refused !== undefined) throw new UsageError(refused);
}

/** @throws UsageError where nothing is made in the nearest directory, ClosedPath */
function checkMakeable(nearest: PinnedPath, [first = '']: readonly RawName[], script: string): void {
  const { descriptor } = openPlaceDirectory(nearest);
  try {
    const shown = shownName(nearest.path);
    const refused = refusedDirectory(descriptor, shown, script, 'names');
    if (refused !== undefined && shown !== '/') throw new UsageError(refused);
    const why = whyNotMade(descriptor, shown, shownName(first));
    if (why !== undefined) throw new UsageError(`${why}; ${notOnVolumeHint}`);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws UsageError, ClosedPath */
function openFile({ path, parent, name }: PinnedPath): number {
  let pinned: number;
  try {
    pinned = openPinned(below(parent, name));
  } catch (error) {
    throw new ClosedPath(shownName(path), systemErrorCode(error) ?? String(error));
  }
  const stat = fstatSync(pinned);
  if (!stat.isSymbolicLink() && !stat.isDirectory()) return pinned;
  closeSync(pinned);
  throw new UsageError(`${shownName(path)} was replaced while initbox looked at it`);
}

export function closeTarget({ place, descriptor, pinned }: ChownTarget): void {
  closeSync(place.parent);
  if (descriptor !== undefined) closeSync(descriptor);
  if (pinned !== undefined) closeSync(pinned);
}

function nearestPlace(shown: string, create: boolean): { place: PinnedPath; missing: RawName[] } {
  const missing: RawName[] = [];
  let path = shown;
  for (;;) {
    try {
      const place = openPlace(path);
      if (place.stat !== undefined) {
        if (missing.length === 0 || place.stat.isDirectory()) return { place, missing };
        closeSync(place.parent);
        throw new UsageError(`${shown} cannot be made: ${path} is not a directory`);
      }
      closeSync(place.parent);
    } catch (error) {
      if (error instanceof LinkInPath)
        throw new UsageError(`${error.message}; links are not followed: write the real path, without links`);
      if (error instanceof ClosedPath && error.code === 'ENAMETOOLONG')
        throw new UsageError(`${shown} cannot exist: a name in it is too long (255 bytes are usual)`);
      if (!(error instanceof MissingPath)) throw error;
      if (error.code === 'ENOTDIR') throw new UsageError(`${shown} does not exist: ${error.message}`);
    }
    if (!create)
      throw new UsageError(
        `${shown} does not exist; is its volume mounted in this container? --create makes a missing directory, --if-exists leaves it out`,
      );
    missing.unshift(rawOf(path.slice(path.lastIndexOf('/') + 1)));
    path = path.slice(0, path.lastIndexOf('/')) || '/';
  }
}

/** A missing directory could not be made; `code` is the system's. */
export class NotMade extends Error {
  readonly code: string;

  constructor(path: string, error: unknown) {
    const code = systemErrorCode(error);
    super(`cannot make ${path} for its owner (${code ?? String(error)})`, { cause: error });
    this.code = code ?? '';
  }
}

/**
 * Makes the missing directories, each with its owner and mode before the next.
 * @throws NotMade
 */
export function makeTarget(target: ChownTarget, owner: NewOwner, modes: Modes, ownGroup: number): void {
  let at = openDirectory(target.place.name, target.place.parent);
  let { path } = target.place;
  try {
    for (const raw of target.missing) {
      path = `${path === '/' ? '' : path}/${raw}`;
      const next = makeOne(at, raw, (made) => {
        const stat = fstatSync(made);
        const mode = modeOfNew(stat, modes);
        if (mode === undefined && belongsTo(stat, owner)) return;
        // Whoever may write to the parent may have put another there: what is not empty is not what was made.
        if (!isEmptyDirectory(made)) throw new Error('it was replaced by something else meanwhile');
        doAtOnce(changeDirectory(made, stat, owner, mode, ownGroup));
      });
      closeSync(at);
      at = next;
    }
  } catch (error) {
    throw new NotMade(shownName(path), error);
  } finally {
    closeSync(at);
  }
}

/** What a directory has that nobody gave a mode, whatever this process's umask. */
const usualMode = 0o755;

/** The mode of a directory that was just made, where it differs; set-group-ID is inherited, and stays. */
function modeOfNew(stat: Stats, modes: Modes): number | undefined {
  const usual = (stat.mode & 0o7000) | usualMode;
  const wanted = modes.directory?.(usual, true) ?? usual;
  return wanted === (stat.mode & 0o7777) ? undefined : wanted;
}

/** Opens a directory that was made and settled; one that cannot be settled is taken away again. */
function makeOne(at: number, raw: RawName, settle: (descriptor: number) => void): number {
  let made = true;
  try {
    mkdirSync(below(at, raw), { mode: usualMode });
  } catch (error) {
    // Somebody else made it meanwhile: two runs at once end in the same state.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    made = false;
  }
  const descriptor = openDirectory(raw, at);
  try {
    if (made && isEmptyDirectory(descriptor)) dropInheritedAcl(descriptor, shownName(raw));
    settle(descriptor);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    if (made) removeEmpty(below(at, raw));
    throw error;
  }
}

function removeEmpty(path: string | Buffer): void {
  try {
    rmdirSync(path);
  } catch {
    // somebody has put something into it: then it is theirs
  }
}
