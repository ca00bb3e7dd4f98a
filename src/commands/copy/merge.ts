import { closeSync, lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import { type Calls, calls, doAtOnce, given, type Work } from '../../fs/calls.ts';
import { letWrite } from '../../fs/directory/access.ts';
import { below, itself, type RawName, shownName } from '../../fs/directory/file-name.ts';
import { asDirectory, openDirectory } from '../../fs/directory/open-directory.ts';
import { InTheWay, WriteFailed, writing } from './failures.ts';
import { entriesOf } from './replace.ts';

/** Renames between two looks at signals. */
const atOnce = 500;

/**
 * Moves what was prepared to where readers see it: a new directory by one rename with all that is in it, a file by one
 * rename over the old one. Directories that are there already are gone through.
 * @param path the path of `live`, relative to DEST
 * @param noClobber leaves what appeared there meanwhile
 * @param replaces whether what is of another kind makes way; for a moment nothing stands there then
 * @param shown is told once readers see the first change
 * @returns how many entries made way so
 * @throws WriteFailed, InTheWay, the signal's reason
 */
export async function merge(
  stage: number,
  live: number,
  path: RawName,
  { noClobber, replaces, shown }: Manner,
  signal: AbortSignal,
): Promise<number> {
  const counter = { left: atOnce, replaced: 0, aside: 0 };
  await mergeInto(stage, live, path, { noClobber, replaces, shown, signal, counter });
  return counter.replaced;
}

interface Manner {
  readonly noClobber: boolean;
  readonly replaces: boolean;
  readonly shown: () => void;
}

interface Way extends Manner {
  readonly signal: AbortSignal;
  readonly counter: { left: number; replaced: number; aside: number };
}

async function mergeInto(stage: number, live: number, path: RawName, way: Way): Promise<void> {
  const entries = writing(() => readdirSync(itself(stage), { encoding: 'latin1', withFileTypes: true }));
  for (const entry of entries) {
    const raw = entry.name;
    const whole = path === '' ? raw : `${path}/${raw}`;
    if (--way.counter.left <= 0) {
      way.counter.left = atOnce;
      await new Promise((resolve) => setImmediate(resolve));
      if (way.signal.aborted) throw reasonOf(way.signal);
    }
    const looks = entry.isDirectory() || way.noClobber || way.replaces;
    const there = looks ? statOf(live, raw) : undefined;
    if (way.replaces && there !== undefined && there.isDirectory() !== entry.isDirectory()) {
      way.counter.replaced += makeWay(stage, live, raw, whole, there.isDirectory(), way.counter);
      way.shown();
      move(stage, live, raw, whole);
    } else if (entry.isDirectory() && there !== undefined) {
      await mergeDirectory(stage, live, raw, whole, way);
    } else if (there === undefined || way.replaces) {
      move(stage, live, raw, whole);
      way.shown();
    }
  }
}

async function mergeDirectory(
  stage: number,
  live: number,
  raw: RawName,
  path: RawName,
  way: Way,
): Promise<void> {
  const from = writing(() => openDirectory(raw, stage));
  try {
    let to: number;
    try {
      to = openDirectory(raw, live);
    } catch (error) {
      throw inTheWay(path, error);
    }
    const back = letWrite(to);
    try {
      await mergeInto(from, to, path, way);
    } finally {
      back();
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

/** In the stage: a directory that made way, which goes with the stage. */
const replacedName = '..initbox-replaced';

/** Takes away what stands where something of another kind is to be. Returns the entries that are gone with it. */
function makeWay(
  stage: number,
  live: number,
  raw: RawName,
  path: RawName,
  directory: boolean,
  counter: Way['counter'],
): number {
  return writing(() => {
    if (!directory) {
      unlinkSync(below(live, raw));
      return 0;
    }
    const count = doAtOnce(entriesOf(calls, live, raw));
    // A directory that moves has another parent then, which is written in itself.
    const moved = openDirectory(raw, live);
    try {
      letWrite(moved);
    } finally {
      closeSync(moved);
    }
    renameSync(below(live, raw), below(stage, freeName(stage, counter)));
    return count;
  }, path);
}

/** A name that nothing has in the stage, where only this process writes: an entry that is copied may have any name. */
function freeName(stage: number, counter: Way['counter']): RawName {
  for (;;) {
    const name = `${replacedName}-${++counter.aside}`;
    if (statOf(stage, name) === undefined) return name;
  }
}

function statOf(live: number, raw: RawName) {
  return writing(() => lstatSync(below(live, raw), { throwIfNoEntry: false }));
}

function move(stage: number, live: number, raw: RawName, path: RawName): void {
  try {
    renameSync(below(stage, raw), below(live, raw));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'ENOTEMPTY' || code === 'EEXIST')
      throw inTheWay(path, error);
    throw new WriteFailed(error, path);
  }
}

function inTheWay(path: RawName, cause: unknown): InTheWay {
  return new InTheWay(
    `${JSON.stringify(shownName(path))} in DEST was replaced by something else during the copy (${(cause as NodeJS.ErrnoException).code})`,
  );
}

/** Opens a directory below another, one component at a time and through no link; the caller closes it. */
export function openBelow(top: number, path: RawName): number {
  return doAtOnce(openingBelow(calls, top, path));
}

/** The same as work. */
export function* openingBelow(by: Calls, top: number, path: RawName): Work<number> {
  let at = yield* given(by.open(below(top, '.'), asDirectory));
  for (const component of path === '' ? [] : path.split('/')) {
    try {
      const next = yield* given(by.open(below(at, component), asDirectory));
      closeSync(at);
      at = next;
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}
