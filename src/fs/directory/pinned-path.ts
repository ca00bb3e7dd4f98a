import { closeSync, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { normalize, resolve } from 'node:path';

import { below, rawOf, type RawName, shownName } from './file-name.ts';
import { asDirectory, openDirectory } from './open-directory.ts';

/** A path whose parent is held open: nobody can lead it elsewhere any more. */
export interface PinnedPath {
  /** Absolute, normalised, as raw bytes. */
  readonly path: RawName;
  /** The parent directory; the root directory is its own. */
  readonly parent: number;
  /** The last component; `.` for the root directory. */
  readonly name: RawName;
  /** What is there; undefined where nothing is. */
  readonly stat: Stats | undefined;
}

/** A path with a link in it: whoever may write there decides where it leads. */
export class LinkInPath extends Error {
  readonly link: string;
  readonly target: string;

  constructor(link: string, target: string) {
    super(`${link} is a symbolic link (to ${target})`);
    this.link = link;
    this.target = target;
  }
}

/** A part of a path that was a link when it was opened, and something else when it was read. */
export class ExchangedInPath extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} was exchanged for something else while it was opened`);
    this.path = path;
  }
}

/** A component that is not there or is no directory; the rest of the path is `missing`. */
export class MissingPath extends Error {
  readonly code: string;
  /** The deepest directory that is there. */
  readonly nearest: string;

  constructor(path: string, nearest: string, code: string) {
    super(code === 'ENOTDIR' ? `${nearest} is not a directory` : `${path} does not exist`);
    this.code = code;
    this.nearest = nearest;
  }
}

/** A path on which something is there and cannot be opened; `code` is the system's. */
export class ClosedPath extends Error {
  readonly path: string;
  readonly code: string;

  constructor(path: string, code: string) {
    super(`cannot open ${path} (${code})`);
    this.path = path;
    this.code = code;
  }
}

/**
 * Walks a path from the root directory, one component at a time, and through no link: not above the last component and
 * not in it. `..` is resolved in the text, which is right where no component is a link.
 * @throws LinkInPath, MissingPath (a component above the last), ClosedPath
 */
export function openPlace(path: string): PinnedPath {
  const absolute = rawOf(absolutePath(path));
  const components = absolute.split('/').filter((component) => component !== '');
  const name = components.pop() ?? '.';
  let parent = openSync('/', asDirectory);
  let walked = '';
  try {
    for (const component of components) {
      const next = openComponent(parent, component, `${walked}/${component}`, absolute);
      closeSync(parent);
      parent = next;
      walked += `/${component}`;
    }
    const stat = statOf(parent, name, absolute);
    if (stat?.isSymbolicLink()) throw new LinkInPath(shownName(absolute), linkTarget(parent, name));
    return { path: absolute, parent, name, stat };
  } catch (error) {
    closeSync(parent);
    throw error;
  }
}

/** Absolute and without `.`, `..`, doubled or trailing slashes. */
export function absolutePath(path: string): string {
  const absolute = normalize(resolve(path));
  return absolute.length > 1 ? absolute.replace(/\/+$/, '') : absolute;
}

function openComponent(parent: number, component: RawName, walked: RawName, whole: RawName): number {
  try {
    return openDirectory(component, parent);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const stat = statOf(parent, component, walked);
    if (stat?.isSymbolicLink()) throw new LinkInPath(shownName(walked), linkTarget(parent, component));
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      const nearest = code === 'ENOTDIR' ? walked : walked.slice(0, walked.lastIndexOf('/')) || '/';
      throw new MissingPath(shownName(whole), shownName(nearest), code);
    }
    throw closed(walked, error);
  }
}

function statOf(parent: number, name: RawName, path: RawName): Stats | undefined {
  try {
    return lstatSync(below(parent, name), { throwIfNoEntry: false });
  } catch (error) {
    throw closed(path, error);
  }
}

function closed(path: RawName, error: unknown): ClosedPath {
  const { code, message } = error as NodeJS.ErrnoException;
  return new ClosedPath(shownName(path), code ?? message);
}

function linkTarget(parent: number, name: RawName): string {
  try {
    return readlinkSync(below(parent, name));
  } catch {
    return 'elsewhere';
  }
}

/**
 * Opens a place that is a directory.
 * @throws ClosedPath
 */
export function openPlaceDirectory(place: PinnedPath): { descriptor: number; stat: Stats } {
  try {
    const descriptor = openDirectory(place.name, place.parent);
    return { descriptor, stat: fstatSync(descriptor) };
  } catch (error) {
    throw closed(place.path, error);
  }
}
