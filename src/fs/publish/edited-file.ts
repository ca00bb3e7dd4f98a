import { closeSync, constants, fstatSync, lstatSync, openSync, type BigIntStats } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { UsageError } from '../../core/outcome.ts';
import { overLimit } from '../../core/size.ts';
import { libcAtOnce } from '../../process/libc.ts';
import { contactVolumes } from '../contact.ts';
import { type Directory, linkTarget } from '../directory/directory.ts';
import { itself } from '../directory/file-name.ts';
import { O_PATH } from '../directory/open-directory.ts';
import { LinkInPath } from '../directory/pinned-path.ts';
import { explained, refused, systemErrorCode } from '../error-message.ts';
import { readOpenFile } from '../input-file.ts';
import { ExtrasReader } from '../tree/xattrs.ts';
import { toBeRenamed, type PublishContext, unchangedFile } from './atomic-file.ts';
import type { FileOwner } from './attributes.ts';
import { createNamer } from './file-names.ts';
import { hasLeftovers, removeLeftovers } from './leftovers.ts';
import { type Intent, lookForWriting } from './open-target.ts';
import { takeTurn } from './publish-lock.ts';
import type { Staged } from './published.ts';
import { clearAway } from './remove.ts';
import { fileIdentity, writeFile, type FileContent, type FileIdentity } from './write.ts';

/** What is to become of a file that is there. */
export interface Edit {
  /** Makes the new content of the old one. @throws UsageError where that is not possible */
  readonly change: (bytes: Buffer) => Uint8Array;
  /** The most bytes that the file may have. */
  readonly largest: number;
}

/** A file that is there, as it was when it was read. */
interface Found {
  readonly bytes: Buffer;
  readonly stat: BigIntStats;
}

/** What a file would become. */
export interface Edited {
  readonly bytes: Uint8Array;
  readonly mode: number;
}

/**
 * Writes what becomes of a file beside it, with its owner and mode; commit renames it over the file, unless that is another
 * one by then. Runs of one pod take turns from reading to renaming, so that none loses what another one wrote.
 * @throws Failure with the reason in words, UsageError of the edit, or the signal's reason
 */
export async function stageEdit(
  path: string,
  edit: Edit,
  intent: Intent,
  context: PublishContext,
): Promise<Staged & { readonly mode: number }> {
  const { signal, clock } = context;
  const whole = resolve(path);
  const name = basename(whole);
  const namer = createNamer(context.random, () => clock.date());
  const temporary = namer.temporary();
  await contactVolumes([whole], context);
  using stack = new DisposableStack();
  let directory: Directory | undefined;
  let needed = 0;
  try {
    directory = stack.use(openFolderOf(whole, intent));
    const opened = directory;
    const turn = stack.use(await takeTurn(opened.identity(), context));
    if (hasLeftovers(opened))
      await removeLeftovers(opened, { namer, alone: turn.alone, now: clock.date().getTime() });
    const found = read(opened, name, whole, edit.largest);
    const bytes = edit.change(found.bytes);
    const mode = Number(found.stat.mode & 0o7777n);
    if (found.bytes.equals(bytes)) return { ...unchangedFile, mode };
    needed = bytes.length;
    const owner = { uid: Number(found.stat.uid), gid: Number(found.stat.gid) };
    // What stood in it cannot be made again after a loss of power.
    const file = { bytes, mode, owner, lasting: true };
    const written = await writeAs(opened, temporary, file, whole, signal);
    const check = () => requireSame(opened, name, whole, found.stat);
    return {
      ...toBeRenamed({
        directory: opened,
        temporary,
        name,
        shown: whole,
        written,
        file,
        check,
        resources: stack.move(),
      }),
      mode,
    };
  } catch (error) {
    if (directory) clearAway(directory, temporary);
    if (signal.aborted) throw reasonOf(signal);
    if (error instanceof UsageError) throw error;
    throw explained(error, whole, { ...(directory && { directory }), needed });
  }
}

/** What would become of it; nothing is written. @throws as stageEdit */
export function previewEdit(path: string, edit: Edit, intent: Intent): Edited {
  const whole = resolve(path);
  try {
    using directory = openFolderOf(whole, intent);
    const { bytes, stat } = read(directory, basename(whole), whole, edit.largest);
    return { bytes: edit.change(bytes), mode: Number(stat.mode & 0o7777n) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw explained(error, whole);
  }
}

/** Opens the folder of a file that is there; none is made. */
function openFolderOf(whole: string, intent: Intent): Directory {
  const { directory, missing } = lookForWriting(dirname(whole), whole, intent, exitStatus.usage);
  if (missing.length === 0) return directory;
  directory[Symbol.dispose]();
  throw absent(whole);
}

function absent(whole: string): Error {
  return refused(
    `cannot write ${whole}: there is no such file to write into`,
    'is its volume mounted here, and did an earlier step write it? Without --block and --append-lines, render makes files',
    exitStatus.usage,
  );
}

/** @throws Failure where it is not a file whose other properties a new one can have */
function read(directory: Directory, name: string, whole: string, largest: number): Found {
  const say = (what: string, hint?: string): Error =>
    refused(`cannot write ${whole}: ${what}`, hint, exitStatus.usage);
  let fd: number | undefined;
  try {
    using stack = new DisposableStack();
    // Before it is opened to be read: opening a device may do something, opening a pipe wakes who waits to write to it.
    const pinned = openSync(directory.at(name), O_PATH | constants.O_NOFOLLOW);
    stack.defer(() => closeSync(pinned));
    const kind = fstatSync(pinned);
    if (kind.isSymbolicLink()) throw new LinkInPath(whole, linkTarget(directory, name) ?? '');
    if (!kind.isFile()) throw say('it is there already, and no file');
    fd = openSync(itself(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd, { bigint: true });
    // The new one is root's for a moment, with what the owner wrote in it.
    if ((stat.mode & 0o6000n) !== 0n)
      throw say('it has the mode bit set-user-ID or set-group-ID', 'chmod ug-s, if it is a text');
    if (stat.nlink > 1n)
      throw say(
        'it has another name (a hard link), under which the old content would stay',
        'copy it to a place of its own first',
      );
    if (Number(stat.size) > largest)
      throw say(`it has ${overLimit(Number(stat.size), largest)} (--max-size)`);
    const libc = libcAtOnce();
    const extras = libc === undefined ? undefined : new ExtrasReader(libc).ofFile(fd);
    if (extras?.acl || extras?.attributes)
      throw say(
        `it has ${extras.acl ? 'an access control list' : 'extended attributes'}, which the new file would not have`,
        'remove them first (setfacl -b, setfattr -x), or write the file whole',
      );
    return { bytes: readOpenFile(fd, Number(stat.size), largest), stat };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw absent(whole);
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** @throws Failure where the new file cannot have the old one's owner */
async function writeAs(
  directory: Directory,
  temporary: string,
  file: FileContent & { readonly owner: FileOwner },
  whole: string,
  signal: AbortSignal,
): Promise<FileIdentity> {
  try {
    return await writeFile(directory, temporary, file, signal);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' || syscall !== 'fchown') throw error;
    const { uid, gid } = file.owner;
    throw refused(
      `cannot write ${whole}: it belongs to ${uid}:${gid}, and a file that this user makes cannot`,
      'run this container as its owner (runAsUser, runAsGroup), or as root with the capability CHOWN',
      exitStatus.usage,
    );
  }
}

/** @throws Failure where somebody wrote to the file, or replaced it, since it was read */
function requireSame(directory: Directory, name: string, whole: string, was: BigIntStats): void {
  const now = lstatSync(directory.at(name), { bigint: true, throwIfNoEntry: false });
  if (
    now !== undefined &&
    fileIdentity(now) === fileIdentity(was) &&
    now.size === was.size &&
    now.mtimeNs === was.mtimeNs &&
    now.ctimeNs === was.ctimeNs
  )
    return;
  throw refused(
    `cannot write ${whole}: somebody else changed it meanwhile`,
    'a rerun begins with what is there then; let one writer finish before the next begins',
  );
}
