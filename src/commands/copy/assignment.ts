import { closeSync, fstatSync, openSync, constants, readlinkSync } from 'node:fs';

import type { Host, Parent } from '../../core/host.ts';
import { itself, pathOf, type RawName } from '../../fs/directory/file-name.ts';
import type { FileOwner } from '../../fs/publish/attributes.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { type Modes, modesOf } from '../../fs/tree/mode.ts';
import { Walk } from '../../fs/tree/walk.ts';
import { serveWalk } from '../../fs/tree/worker-pool.ts';
import { ExtrasReader } from '../../fs/tree/xattrs.ts';
import { type Libc, openLibc } from '../../process/libc.ts';
import { type MountBelow, otherKindsOf, Places } from './copy-directories.ts';
import { replacerOf } from './replace.ts';
import type { Identity } from './same-place.ts';
import { type CopyTally, type MountStage } from './tally.ts';
import { Visit, withoutInternals } from './visit.ts';

/** A directory that a helper opens by its path, and knows again by its identity. */
export interface KnownDirectory {
  readonly path: RawName;
  readonly dev: number;
  readonly ino: number;
}

/** All that a process needs to copy one tree; it travels to helpers as JSON. */
export interface CopyAssignment {
  readonly source: KnownDirectory;
  /** How people call the source. */
  readonly shown: string;
  /** What readers see; undefined where DEST does not exist. */
  readonly live: KnownDirectory | undefined;
  /** Where new entries are prepared; undefined with --dry-run. */
  readonly stage: KnownDirectory | undefined;
  readonly links: KnownDirectory | undefined;
  /** DEST itself, which is not `live` with --atomic. */
  readonly destination: Identity | undefined;
  readonly mounts: readonly MountBelow[];
  readonly prefix: RawName;
  readonly right: 'leave' | 'link';
  /** Whether another source was copied before this one. */
  readonly later: boolean;
  readonly noClobber: boolean;
  /** With --if-empty: what is of another kind in DEST stays, without an error. */
  readonly keepsKinds: boolean;
  /** With --delete and --atomic: what is of another kind in DEST makes way. */
  readonly replaces: boolean;
  /** With --delete and --atomic: what the directories of the sources were is noted. */
  readonly notesSeen: boolean;
  readonly checksum: boolean;
  readonly dereference: boolean;
  readonly dryRun: boolean;
  readonly mode: string | undefined;
  readonly owner: FileOwner | undefined;
  readonly exclude: readonly string[];
  readonly crossMounts: boolean;
  readonly mayChown: boolean;
  readonly overridesModes: boolean;
  readonly ownUser: number;
  readonly ownGroup: number;
  readonly mask: number;
  /** When the run began, in milliseconds since 1970. */
  readonly since: number;
}

/** The directories of an assignment, open. */
export interface Opened {
  readonly source: number;
  readonly live: number | undefined;
  readonly stage: number | undefined;
  readonly links: number | undefined;
}

/** What each process has of its own for the work. */
export interface Tools {
  readonly exclude: Exclude | undefined;
  readonly extras: ExtrasReader | undefined;
  readonly libc: Libc | undefined;
}

/** @throws Error where a pattern is not one */
export async function toolsFor(exclude: readonly string[]): Promise<Tools> {
  const libc = await openLibc();
  return { exclude: await excludeFor(exclude), extras: libc && new ExtrasReader(libc), libc };
}

export function knownOf(descriptor: number): KnownDirectory {
  const { dev, ino } = fstatSync(descriptor);
  return { path: readlinkSync(itself(descriptor), 'latin1'), dev, ino };
}

export function settingsOf(
  assignment: CopyAssignment,
  links: number | undefined,
  { exclude, extras, libc }: Tools,
) {
  return {
    ...assignment,
    links,
    extras,
    libc,
    // A new tree takes nothing away from the old one.
    mayReplace: replacerOf(assignment.replaces, assignment.right === 'link' ? undefined : exclude),
    modes: copyModes(assignment.mode),
  };
}

/** Octal is about files, as install -m: directories may also be searched by whoever may read them. */
function copyModes(text: string | undefined): Modes {
  if (text === undefined || !/^[0-7]+$/.test(text)) return modesOf({ mode: text, setgid: false });
  const bits = Number.parseInt(text, 8);
  const directory = (bits | ((bits & 0o444) >> 2)).toString(8).padStart(4, '0');
  return modesOf({ file: text, directory, setgid: false });
}

/** @throws Error where a pattern is not one */
export async function excludeFor(patterns: readonly string[]): Promise<Exclude | undefined> {
  if (patterns.length === 0) return undefined;
  const { compileExclude } = await import('../../fs/tree/exclude.ts');
  return compileExclude(patterns);
}

/** The walk of an assignment below its open directories. */
export function copyWalk(
  assignment: CopyAssignment,
  opened: Opened,
  tools: Tools,
  host: Pick<Host, 'chdir' | 'memoryLimit'>,
): { readonly walk: Walk; readonly visit: Visit; readonly places: Places } {
  const { live, stage, links, source } = opened;
  const { mounts, ownGroup } = assignment;
  const filled = (one: MountStage): void => visit.filled(one);
  const places = new Places(live, stage, mounts, ownGroup, otherKindsOf(assignment), filled);
  const ownLinks = links === undefined ? undefined : places.own(links);
  const visit: Visit = new Visit(places, settingsOf(assignment, ownLinks, tools));
  const walk = new Walk(
    {
      top: source,
      path: assignment.shown,
      exclude: withoutInternals(tools.exclude),
      crossMounts: assignment.crossMounts,
      libc: tools.libc,
    },
    visit,
    host,
  );
  return { walk, visit, places };
}

/** What a helper process does from its start to its end. */
export function serveCopy(parent: Parent, host: Pick<Host, 'chdir' | 'memoryLimit'>): void {
  serveWalk<CopyAssignment, CopyTally>(
    parent,
    async (assignment) => {
      const tools = await toolsFor(assignment.exclude);
      const { live, stage, links } = assignment;
      const opened = {
        source: open(assignment.source),
        live: live && open(live),
        stage: stage && open(stage),
        links: links && open(links),
      };
      const { walk, visit } = copyWalk(assignment, opened, tools, host);
      return { walk, tally: () => visit.take() };
    },
    () => performance.now(),
  );
}

function open({ path, dev, ino }: KnownDirectory): number {
  const descriptor = openSync(
    pathOf(path),
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  );
  const stat = fstatSync(descriptor);
  if (stat.dev === dev && stat.ino === ino) return descriptor;
  closeSync(descriptor);
  throw new Error('a directory was replaced during the copy');
}
