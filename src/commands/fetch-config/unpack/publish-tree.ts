import { isUtf8 } from 'node:buffer';

import { type ArchiveLimits, BrokenArchive } from '../../../clients/archive/entry.ts';
import { reasonOf } from '../../../core/clock.ts';
import type { Context } from '../../../core/context.ts';
import { type Patience, startPatience } from '../../../core/deadline.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { done, Failure, failed, firstFailure, type Outcome } from '../../../core/outcome.ts';
import { codeAmong, type Directory } from '../../../fs/directory/directory.ts';
import { type Built, type Building, stageTree } from '../../../fs/publish/atomic-directory.ts';
import { contentMode, secretMode } from '../../../fs/publish/attributes.ts';
import { checkRelativePath } from '../../../fs/publish/file-names.ts';
import { commitAll } from '../../../fs/publish/published.ts';
import { sharingWarning } from '../../../fs/publish/target-checks.ts';
import { writeFile } from '../../../fs/publish/write.ts';
import type { FetchOptions } from '../options.ts';
import { quotedEntry, Refused } from './entry-names.ts';
import { isSame, noteName, type Note, readNote, type Wanted } from './note.ts';
import { sumOfTree } from './tree-sum.ts';
import { UnpackedTree } from './tree.ts';

/** What an earlier run made of the same source, as far as its note tells. */
export interface Before {
  readonly note: Note;
  /** What readers see. */
  readonly current: Directory;
  /** What of it is this publication's. */
  readonly names: readonly string[];
}

/** Something that waiting may change did not change in time, or will not change: said already in words. */
export class NotFetched extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super('the tree could not be fetched');
    this.outcome = outcome;
  }
}

/** How long to wait for a server or a file that gives nothing, in milliseconds, unless `--timeout` is given. */
const waiting = 5 * 60_000;

/** @param limited whether `--timeout` was given; if not, waiting has a bound of its own */
export function patienceFor(limited: boolean, context: Context): Patience {
  const limit = limited ? 0 : waiting;
  return startPatience(context.clock, context, limit, 'without a byte; the default of --timeout');
}

/** The same in a time of its own, which may move on meanwhile. */
export function withPatience(context: Context, patience: Patience): Context {
  return Object.defineProperty({ ...context, signal: patience.signal }, 'deadline', {
    get: () => patience.at,
  });
}

/** What all trees are made by. */
export interface TreeRequest {
  readonly options: FetchOptions;
  /** Whether what comes is a secret, as far as that can be told. */
  readonly secret: boolean;
}

export function isMemoryOnly({ options, secret }: TreeRequest): boolean {
  return secret && !options['allow-disk'];
}

/** What builds a tree of one source. */
export interface TreeBuilder {
  /** The source's address, safe to print. */
  readonly name: string;
  /** What to do about a source that is not accepted as it is, or is damaged. */
  readonly refusedHint: string;
  readonly damagedHint: string;
  /** What did not happen then: `nothing was unpacked`. */
  readonly undone: string;
  build(building: Building): Promise<Built | 'unchanged'>;
  /** What was done, after the path. */
  summary(): string;
}

/**
 * Fills a directory with a tree: all of it, or nothing.
 * @throws Failure, or the signal's reason
 */
export async function publishTree(
  builder: TreeBuilder,
  { path, options, secret }: TreeRequest & { readonly path: string },
  context: Context,
): Promise<Outcome> {
  let failure: unknown;
  let left: string | undefined;
  const { mode, owner } = options;
  const sharing = secret ? sharingWarning(path, mode ?? secretMode, owner, context.host) : undefined;
  if (sharing !== undefined) context.log.warn(sharing);
  const build = async (building: Building): Promise<Built | 'unchanged'> => {
    try {
      return await builder.build(building);
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  try {
    const staged = await stageTree(
      {
        path,
        set: 'fetch-config --unpack',
        build,
        memoryOnly: isMemoryOnly({ options, secret }),
        owner,
        left: (what) => {
          left = what;
        },
      },
      context,
    );
    try {
      const { warnings } = await commitAll([staged], context.signal);
      for (const warning of warnings) context.log.warn(warning);
    } finally {
      await staged.discard();
    }
  } catch (error) {
    const outcome = failure === undefined ? undefined : wordsFor(failure, builder, left);
    if (outcome !== undefined) return outcome;
    throw error;
  }
  return done(`${path} has ${builder.summary()}`);
}

/** @param left what was staged and is still there: its removal was cut off */
function wordsFor(
  thrown: unknown,
  { name, refusedHint, damagedHint, undone }: TreeBuilder,
  left: string | undefined,
): Outcome | undefined {
  const error = firstFailure(thrown);
  if (error instanceof NotFetched) return error.outcome;
  const after =
    left === undefined
      ? undone
      : `readers see nothing of it, but what was staged could not be removed in time: the next run removes ${left}`;
  if (error instanceof Refused || error instanceof BrokenArchive)
    return failed(exitStatus.refused, `${name} ${error.message}; ${after}`, {
      hint: error.hint ?? (error instanceof BrokenArchive && error.damaged ? damagedHint : refusedHint),
    });
  return error instanceof Failure ? error.outcome : undefined;
}

/** What an earlier run left there. */
export function beforeOf({ current, intact, previous }: Building): Before | undefined {
  const note = current !== undefined && intact ? readNote(current) : undefined;
  return current && note && { note, current, names: previous };
}

/** Whether readers see all of what is wanted, as it was unpacked. */
export async function isTreeThere(
  wanted: Wanted,
  before: Before | undefined,
  patience: Patience,
): Promise<boolean> {
  if (before === undefined || !isSame(wanted, before.note)) return false;
  try {
    return (await sumOfTree(before.current, before.names, patience)) === before.note.tree;
  } catch (error) {
    if (patience.signal.aborted) throw reasonOf(patience.signal);
    codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM']);
    return false; // something is gone, or was exchanged, or is closed to this user
  }
}

/** A tree that is to be filled. @param slow whether the volume is known to be slow */
export function newTree(
  stage: Directory,
  slow: boolean,
  { options, secret }: TreeRequest,
  context: Context,
): UnpackedTree {
  return new UnpackedTree(stage.fd, {
    strip: options['strip-components'],
    mode: options.mode,
    secret,
    owner: options.owner,
    limits: limitsOf(options),
    collect: () => context.host.collectGarbage(),
    slow,
  });
}

export function limitsOf(options: FetchOptions): ArchiveLimits {
  return { bytes: options['max-unpacked'], entries: options['max-entries'] };
}

/** What makes a tree, beside where it comes from. @param sum over what it is made of */
export function wantedOf(sum: string, { options, secret }: TreeRequest): Wanted {
  const { owner } = options;
  return {
    sha256: sum,
    strip: options['strip-components'],
    mode: options.mode ?? null,
    secret,
    owner: owner === undefined ? null : `${owner.uid}:${owner.gid}`,
  };
}

/**
 * All is unpacked: looks whether it is as it should be, and puts the note beside it.
 * @param nothing what to say where there is nothing in it
 * @throws Refused, the signal's reason, or the system's error
 */
export async function completeTree(
  tree: UnpackedTree,
  {
    wanted,
    stage,
    nothing,
  }: { readonly wanted: Wanted; readonly stage: Directory; readonly nothing: Refused },
  patience: Patience,
  { signal }: Pick<Context, 'signal'>,
): Promise<Built> {
  await tree.finish(patience.signal);
  if (tree.files === 0 && stage.names().length === 0) throw nothing;
  const names = stage.names();
  for (const name of names) {
    if (!isUtf8(name))
      throw new Refused(`has ${quotedEntry(name.toString('latin1'))} at its top, which is not UTF-8`);
    checkRelativePath(name.toString());
  }
  const paths = names.map((name) => name.toString());
  const note: Note = { ...wanted, files: tree.files, tree: await sumOfTree(stage, paths, patience) };
  const bytes = Buffer.from(`${JSON.stringify(note)}\n`);
  await writeFile(stage, noteName, { bytes, mode: wanted.secret ? secretMode : contentMode }, signal);
  return { paths, written: tree.files, unchanged: 0, bytes: tree.bytes };
}
