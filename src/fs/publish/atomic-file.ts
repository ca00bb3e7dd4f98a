import { lstatSync, renameSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { contactVolumes } from '../contact.ts';
import { type Directory } from '../directory/directory.ts';
import { isOwn } from '../directory/safe-open.ts';
import { exchanged, explained, refused, shownOnly } from '../error-message.ts';
import type { FileOwner } from './attributes.ts';
import { createNamer } from './file-names.ts';
import { hasLeftovers, removeLeftovers } from './leftovers.ts';
import { type Intent, openForWriting } from './open-target.ts';
import { takeTurn } from './publish-lock.ts';
import type { Staged } from './published.ts';
import { clearAway } from './remove.ts';
import { findUnchanged, fileIdentity, writeFile, type FileContent, type FileIdentity } from './write.ts';

export type PublishContext = Pick<Context, 'signal' | 'clock' | 'random'>;

/**
 * Writes one file beside its place; commit renames it over what stands there, so that a reader sees the old file or the
 * new one, whole and with its mode. A link there is replaced, never followed. The same content is left alone.
 * @throws Failure with the reason in words, or the signal's reason
 */
export async function stageFile(
  path: string,
  file: FileContent,
  intent: Intent,
  context: PublishContext,
): Promise<Staged> {
  const { signal, clock } = context;
  const whole = resolve(path);
  const name = basename(whole);
  const namer = createNamer(context.random, () => clock.date());
  const temporary = namer.temporary();
  await contactVolumes([whole], context);
  using stack = new DisposableStack();
  let directory: Directory | undefined;
  let written: FileIdentity;
  try {
    directory = stack.use(openForWriting(dirname(whole), whole, intent));
    checkPlace(directory, name, whole);
    const same = (await findUnchanged(directory, name, file)) !== undefined;
    if (same && !hasLeftovers(directory)) return unchangedFile;
    const turn = stack.use(await takeTurn(directory.identity(), context));
    await removeLeftovers(directory, { namer, alone: turn.alone, now: clock.date().getTime() });
    if (same) return unchangedFile;
    written = await writeFile(directory, temporary, file, signal);
  } catch (error) {
    if (directory) clearAway(directory, temporary);
    if (signal.aborted) throw reasonOf(signal);
    throw explained(error, whole, { ...(directory && { directory }), needed: file.bytes.length });
  }
  return toBeRenamed({ directory, temporary, name, shown: whole, written, file, resources: stack.move() });
}

/** A file that was written whole beside its place. */
interface Prepared {
  readonly directory: Directory;
  readonly temporary: string;
  readonly name: string;
  readonly shown: string;
  readonly written: FileIdentity;
  readonly file: FileContent;
  /** Ended by discard. */
  readonly resources: Disposable;
  /** Looks at what is to be replaced, right before. @throws Failure where it may not be */
  readonly check?: () => void;
}

/** What is left to do: one rename. */
export function toBeRenamed({
  directory,
  temporary,
  name,
  shown,
  written,
  file,
  resources,
  check,
}: Prepared): Staged {
  let open = true;
  let renamed = false;
  return {
    async commit() {
      try {
        requireWritten(directory, temporary, shown, written, file.owner);
        check?.();
        renameSync(directory.at(temporary), directory.at(name));
        renamed = true;
        requireWritten(directory, name, shown, written, file.owner);
      } catch (error) {
        throw explained(error, shown, { directory });
      }
      const published = { written: 1, unchanged: 0, removed: 0, bytes: file.bytes.length, warnings: [] };
      try {
        if (file.lasting !== false) directory.sync();
        return published;
      } catch (error) {
        return { ...published, unsettled: shownOnly(error, shown) };
      }
    },
    async discard() {
      if (!open) return;
      open = false;
      using _ = resources;
      if (!renamed) clearAway(directory, temporary);
    },
  };
}

/**
 * @throws Failure where another user's file has the name of what was written: whoever may rename there puts it in the
 *   place of ours. One of this user, or of the owner that was asked for, is a later run's.
 */
export function requireWritten(
  directory: Directory,
  name: string,
  shown: string,
  written: FileIdentity,
  owner: FileOwner | undefined,
): void {
  const stat = lstatSync(directory.at(name), { bigint: true, throwIfNoEntry: false });
  const uid = Number(stat?.uid);
  if (stat === undefined || (fileIdentity(stat) !== written && !isOwn({ uid }) && uid !== owner?.uid))
    throw exchanged(shown);
}

export const unchangedFile: Staged = {
  commit: async () => ({ written: 0, unchanged: 1, removed: 0, bytes: 0, warnings: [] }),
  discard: async () => {},
};

/** @throws Failure where a folder, a device, a FIFO or a socket stands in the place of the file */
export function checkPlace(
  directory: Directory,
  name: string,
  shown: string,
  status: number = exitStatus.failed,
): void {
  const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
  if (!stat || stat.isFile() || stat.isSymbolicLink()) return;
  if (!stat.isDirectory())
    throw refused(`cannot write ${shown}: it is there already, and no file`, undefined, status);
  throw refused(
    `cannot write ${shown}: it is a folder`,
    `name a file in it, such as ${shown}/config, or write one file per field with --format files`,
    status,
  );
}
