import { closeSync, fstatSync, mkdirSync } from 'node:fs';
import { UsageError } from '../../kernel/outcome.ts';
import { below, type RawName, rawOf, shownName } from '../../kernel/tree/name.ts';
import {
  absolutePath,
  LinkInPath,
  MissingPath,
  openDirectory,
  openPlace,
  openPlaceDirectory,
  type Place,
} from '../../kernel/tree/open.ts';
import { changeDirectory, directoryMode } from './change.ts';
import type { Modes } from '../../kernel/tree/mode.ts';
import type { Owner } from './owner.ts';
import { refusedDirectory, refusedPath } from './refused.ts';

/** A path to work on, whose place nobody can lead elsewhere. */
export interface Target {
  /** For people. */
  readonly shown: string;
  /** What it is; where components are missing, the nearest directory above that is there. */
  readonly place: Place;
  /** Open where it is a directory. */
  readonly descriptor: number | undefined;
  /** The components to make, outermost first. */
  readonly missing: readonly RawName[];
}

/**
 * Opens a path and holds it.
 * @throws UsageError where it is missing (and is not to be made), leads through a link, or is not to be touched
 */
export function openTarget(text: string, create: boolean, script: string): Target {
  const refused = refusedPath(text, script);
  if (refused !== undefined) throw new UsageError(refused);
  const shown = absolutePath(text);
  const { place, missing } = nearestPlace(shown, create);
  if (missing.length > 0) return { shown, place, descriptor: undefined, missing };
  if (!place.stat?.isDirectory()) {
    if (!text.endsWith('/')) return { shown, place, descriptor: undefined, missing };
    closeSync(place.parent);
    throw new UsageError(`${text} ends in a slash and is not a directory`);
  }
  const { descriptor } = openPlaceDirectory(place);
  const target = { shown, place, descriptor, missing };
  const kernels = refusedDirectory(descriptor, shown);
  if (kernels === undefined) return target;
  closeTarget(target);
  throw new UsageError(kernels);
}

export function closeTarget({ place, descriptor }: Target): void {
  closeSync(place.parent);
  if (descriptor !== undefined) closeSync(descriptor);
}

function nearestPlace(shown: string, create: boolean): { place: Place; missing: RawName[] } {
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
        throw new UsageError(
          `${error.message}; links are not followed: write the path that is meant, without links`,
        );
      if (!(error instanceof MissingPath)) throw error;
      if (error.code === 'ENOTDIR') throw new UsageError(`${shown} does not exist: ${error.message}`);
    }
    if (!create)
      throw new UsageError(
        `${shown} does not exist; is its volume mounted in this container? --create makes a missing directory`,
      );
    missing.unshift(rawOf(path.slice(path.lastIndexOf('/') + 1)));
    path = path.slice(0, path.lastIndexOf('/')) || '/';
  }
}

/** Makes the missing directories, each with the owner and mode before it is seen by anybody else. */
export function makeMissing(target: Target, owner: Owner, modes: Modes, ownGroup: number): void {
  let at = openDirectory(target.place.name, target.place.parent);
  try {
    for (const raw of target.missing) {
      makeOne(at, raw);
      const next = openDirectory(raw, at);
      closeSync(at);
      at = next;
      const stat = fstatSync(at);
      changeDirectory(at, stat, owner, directoryMode(stat, modes), ownGroup);
    }
  } finally {
    closeSync(at);
  }
}

function makeOne(at: number, raw: RawName): void {
  try {
    mkdirSync(below(at, raw), { mode: 0o755 });
  } catch (error) {
    // Somebody else made it meanwhile: two runs at once end in the same state.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new Error(`${shownName(raw)}: ${(error as Error).message}`, { cause: error });
  }
}
