import { createHash } from 'node:crypto';
import { constants, fstatSync, lstatSync, renameSync, statSync, unlinkSync, type BigIntStats } from 'node:fs';
import { open as openLater, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, Failure, failed, type Outcome } from '../../core/outcome.ts';
import { formatBytes, formatLess } from '../../core/size.ts';
import { codeAmong, type Directory } from '../../fs/directory/directory.ts';
import { itself } from '../../fs/directory/file-name.ts';
import { isOwn } from '../../fs/directory/safe-open.ts';
import { systemErrorCode, exchanged, quotaHint, refused, withoutHandle } from '../../fs/error-message.ts';
import { holdFile, isHeld } from '../../fs/held-file.ts';
import { dropInheritedAcl } from '../../fs/inherited-acl.ts';
import { clearAway } from '../../fs/publish/remove.ts';
import { fileIdentity } from '../../fs/publish/write.ts';
import { RuntimeFolders } from './folders.ts';
import {
  isOfRuntimeIn,
  filesOf,
  folderOf,
  installManifestName,
  type Manifest,
  lookAt,
  type FileReading,
  readingUntil,
  type RuntimeFile,
  stateOf,
  wholeName,
} from './manifest.ts';
import { NoRoom, roomIn } from './room.ts';

/** Bytes that are written until they are waited for: on a slow disk that is over long before the 200 ms that a signal may take. */
const mostUnsynced = 4 << 20;

/** Where nothing tells who writes to a half-written file: milliseconds after its last write until nobody can be at it any more. */
const abandoned = 10_000;

/** The program's own file: it goes first and comes last, so that whoever finds it finds a whole runtime. */
const entry = 'initbox';

const asNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** How often it begins anew because another install exchanged what this one wrote. */
const mostRounds = 5;

/**
 * Copies what is missing, differs, or could be changed by somebody else. Each file is written beside its place and
 * renamed, so that a reader, or a second install at the same time, sees a whole file or none.
 */
export async function copyRuntime(
  source: string,
  target: string,
  manifest: Manifest,
  context: Context,
): Promise<Outcome> {
  let folders: RuntimeFolders | undefined;
  try {
    const files = filesOf(source, manifest);
    folders = RuntimeFolders.make(target, isOfRuntimeIn(files), context.host.script);
    // All of them before anything is written.
    for (const folder of new Set(files.map(folderOf))) folders.find(folder);
    const filling = new Filling(source, folders, files, context);
    let stale = await filling.look();
    removeAbandoned(folders, files, context);
    filling.requireInPlace();
    if (stale.length === 0) return done(`${target} holds initbox ${manifest.version} already`);
    for (let round = 1; stale.length > 0; round++) {
      if (round > mostRounds) {
        filling.takeAwayProgram();
        throw ofOthers(target);
      }
      await filling.write(stale);
      stale = await filling.look();
      filling.requireInPlace();
    }
    const bytes = [...filling.written].reduce((sum, { size }) => sum + size, 0);
    return done(
      `${target} holds initbox ${manifest.version}: ${filling.written.size} files, ${formatBytes(bytes)} copied`,
    );
  } catch (error) {
    throw error instanceof Failure || context.signal.aborted
      ? error
      : explained(target, folders?.top, manifest, error as NodeJS.ErrnoException);
  } finally {
    folders?.[Symbol.dispose]();
  }
}

function ofOthers(target: string): Failure {
  return refused(
    `cannot fill ${target}: another install, of another version, writes to it at the same time, so no program was left there`,
    'let one install at a time write to a folder, or give each version a folder of its own (subPath); then run it again',
  );
}

/**
 * One install. Another one, of another version, may write to the same folder: so the program is there only while every
 * file is the one that this run looked at or wrote, and whatever program appears in between is taken away again.
 */
class Filling {
  readonly #source: string;
  readonly #folders: RuntimeFolders;
  readonly #files: readonly RuntimeFile[];
  readonly #context: Context;
  readonly #reading: FileReading;
  /** The program that is copied from, where that is a file of the same name. */
  readonly #own: string | undefined;
  /** In which state each file was last found right. */
  readonly #right = new Map<RuntimeFile, string>();
  /** In which state each file was last found wrong. */
  readonly #wrong = new Map<RuntimeFile, string | undefined>();
  readonly written = new Set<RuntimeFile>();
  /** Whether it was said that old files go before new ones are written. */
  #saidTight = false;

  constructor(source: string, folders: RuntimeFolders, files: readonly RuntimeFile[], context: Context) {
    this.#source = source;
    this.#folders = folders;
    this.#files = files;
    this.#context = context;
    this.#reading = readingUntil(context.signal);
    const own = statSync(join(source, entry), { bigint: true, throwIfNoEntry: false });
    this.#own = own && fileIdentity(own);
  }

  /** Finds what is to be written. The content of a file is compared once for each state of it. */
  async look(): Promise<RuntimeFile[]> {
    let stale: RuntimeFile[];
    let program: string | undefined;
    do {
      program = identityOf(this.#folders.top);
      stale = [];
      for (const file of this.#files) if (!(await this.#isRight(file))) stale.push(file);
      // Another one came meanwhile, by an install that has ended: what was found is not so any more.
    } while (identityOf(this.#folders.top) !== program);
    return stale;
  }

  /** Writes them, and the program last. Returns early where another install came in between. */
  async write(stale: readonly RuntimeFile[]): Promise<void> {
    const program = this.#files.find(({ path }) => path === entry);
    const parts = stale.filter((file) => file !== program).toSorted((a, b) => rank(a) - rank(b));
    if (parts.length > 0) {
      this.#requireRoom(parts);
      this.takeAwayProgram();
    }
    for (const file of parts) await this.#place(file);
    if (program === undefined || !this.#isSettled(program)) return;
    if (await this.#isRight(program)) return;
    await this.#place(program);
    if (!this.#isSettled(program)) this.takeAwayProgram();
  }

  /**
   * Takes the program away before anything that belongs to it is exchanged, unless it is the one that is copied from:
   * with that, what is exchanged has the same content.
   */
  takeAwayProgram(): void {
    const { top } = this.#folders;
    const program = identityOf(top);
    if (program === undefined || program === this.#own) return;
    try {
      unlinkSync(top.at(entry));
    } catch (error) {
      if (codeAmong(error, ['ENOENT', 'EISDIR']) === 'EISDIR') throw folderInTheWay(top, entry);
    }
  }

  /** @throws Failure where a folder was moved or exchanged meanwhile: what was written to it is not where it should be */
  requireInPlace(): void {
    const moved = this.#folders.moved();
    if (moved === undefined) return;
    this.takeAwayProgram();
    throw refused(
      `cannot fill ${this.#folders.top.shown}: ${moved} was moved or exchanged meanwhile, so no program was left there`,
      'run it again once nobody moves folders there',
    );
  }

  async #isRight(file: RuntimeFile): Promise<boolean> {
    const state = this.#stateOf(file);
    if (state !== undefined && this.#right.get(file) === state) return true;
    if (this.#wrong.has(file) && this.#wrong.get(file) === state) return false;
    const looked = await lookAt(this.#folders, file, this.#reading);
    const right = looked.problem === undefined && looked.state !== undefined;
    if (right) this.#right.set(file, looked.state);
    // Of a link, which is not opened, the state that was seen before.
    else this.#wrong.set(file, looked.state ?? state);
    return right;
  }

  /** Whether all files but the program are still what this run looked at or wrote. */
  #isSettled(program: RuntimeFile): boolean {
    if (this.#folders.moved() !== undefined) return false;
    return this.#files.every((file) => {
      if (file === program) return true;
      const state = this.#stateOf(file);
      return state !== undefined && state === this.#right.get(file);
    });
  }

  #stateOf(file: RuntimeFile): string | undefined {
    const folder = this.#folders.find(folderOf(file));
    const stat = folder && lstatSync(folder.at(basename(file.path)), { bigint: true, throwIfNoEntry: false });
    return stat && stateOf(stat);
  }

  /**
   * A program that is there goes only where all can be written, if need be with each old file gone before its new one
   * comes.
   * @throws NoRoom
   */
  #requireRoom(parts: readonly RuntimeFile[]): void {
    const { top } = this.#folders;
    const room = roomIn(top);
    if (room === undefined || identityOf(top) === undefined) return;
    let [needed, most, freed] = [0, 0, 0];
    for (const file of parts) {
      const old = this.#roomOfOld(file);
      freed += old;
      needed += room.of(file.size) - old;
      most = Math.max(most, needed);
    }
    if (most > room.free) throw new NoRoom(freed);
  }

  /** The bytes that become free where the old file of that name goes. */
  #roomOfOld(file: RuntimeFile): number {
    const folder = this.#folders.find(folderOf(file));
    const old = folder && lstatSync(folder.at(basename(file.path)), { throwIfNoEntry: false });
    if (old?.isFile() !== true || old.nlink > 1) return 0;
    const own = statSync(join(this.#source, file.path), { throwIfNoEntry: false });
    // It is copied from.
    if (own?.ino === old.ino && own.dev === old.dev) return 0;
    return old.blocks * 512;
  }

  /** The program is not there meanwhile, and a rerun ends what is cut off. */
  async #place(file: RuntimeFile): Promise<void> {
    const isPart = file.path !== entry;
    const room = roomIn(this.#folders.make(folderOf(file)));
    if (isPart && room !== undefined && room.of(file.size) > room.free) await this.#takeAwayOld(file);
    try {
      await this.#write(file);
    } catch (error) {
      const full = ['ENOSPC', 'EDQUOT'].includes(systemErrorCode(error) ?? '');
      if (!isPart || !full || !(await this.#takeAwayOld(file))) throw error;
      await this.#write(file);
    }
  }

  /** Makes room for a file by its old one. False where that gives none, or where another install has put the right one there. */
  async #takeAwayOld(file: RuntimeFile): Promise<boolean> {
    if (this.#roomOfOld(file) === 0 || (await this.#isRight(file))) return false;
    const { top } = this.#folders;
    this.takeAwayProgram();
    // Of another install that does not give way, or the one that is copied from.
    if (identityOf(top) !== undefined) return false;
    if (!this.#saidTight)
      this.#context.log.info(
        `${top.shown} has no room for old and new files side by side: old ones go first, and no program is there until all are written`,
      );
    this.#saidTight = true;
    clearAway(this.#folders.make(folderOf(file)), basename(file.path));
    // Both times, as with a rename.
    this.takeAwayProgram();
    return true;
  }

  async #write(file: RuntimeFile): Promise<void> {
    const folder = this.#folders.make(folderOf(file));
    const name = basename(file.path);
    const { host, random } = this.#context;
    let temporary = '';
    const open = (): Promise<FileHandle> => {
      temporary = `${name}.${host.pid}-${Math.floor(random() * 2 ** 32).toString(36)}.tmp`;
      return openLater(folder.at(temporary), asNew, 0o600);
    };
    try {
      await using copy = await heldAlone(open);
      dropInheritedAcl(copy.writer.fd, `${folder.shown}/${name}`);
      await copyInPieces(this.#source, file, copy.writer, this.#reading);
      // Before it has its name: the kernel runs no file that is open for writing (ETXTBSY, execve(2)).
      await copy.writer.close();
      // Another install of this version was faster: its program stays.
      if (await this.#isRight(file)) {
        clearAway(folder, temporary);
        return;
      }
      // Both times: one that ends between these calls leaves its program to what is not its own.
      if (file.path !== entry) this.takeAwayProgram();
      renameSync(folder.at(temporary), folder.at(name));
      if (file.path !== entry) this.takeAwayProgram();
      const made = fstatSync(copy.holder.fd, { bigint: true });
      requireWritten(folder, name, made);
      this.#right.set(file, stateOf(made));
      this.written.add(file);
    } catch (error) {
      clearAway(folder, temporary);
      if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
      throw folderInTheWay(folder, name);
    }
  }
}

/** The list stands before the program: it tells of a program what else there is to be. */
function rank({ path }: RuntimeFile): number {
  return path === entry ? 2 : Number(path === installManifestName);
}

/** Which file is the program now; undefined where there is none. */
function identityOf(top: Directory): string | undefined {
  const stat = lstatSync(top.at(entry), { bigint: true, throwIfNoEntry: false });
  return stat && fileIdentity(stat);
}

function folderInTheWay(folder: Directory, name: string): Failure {
  return refused(
    `cannot write ${folder.shown}/${name}: it is a folder`,
    'remove it, or name a folder for the runtime alone',
  );
}

/** @throws Failure where another user's file has the name of what was written; one of this user is another install's */
function requireWritten(folder: Directory, name: string, written: BigIntStats): void {
  const stat = lstatSync(folder.at(name), { bigint: true, throwIfNoEntry: false });
  if (stat !== undefined && fileIdentity(stat) === fileIdentity(written)) return;
  if (stat === undefined || !isOwn({ uid: Number(stat.uid) })) throw exchanged(`${folder.shown}/${name}`);
}

/**
 * Not by copyFile or one sync at the end: neither can be cut short, and the process's end waits for them.
 * @throws Failure where the source is not what its list says: copied, it would be found wrong by every later run
 */
async function copyInPieces(
  from: string,
  { path, mode, sha256 }: RuntimeFile,
  copy: FileHandle,
  { buffer, signal }: FileReading,
): Promise<void> {
  await using source = await openLater(join(from, path), 'r');
  const hash = createHash('sha256');
  for (let size = 0; ;) {
    if (signal.aborted) throw reasonOf(signal);
    const { bytesRead } = await source.read(buffer, 0, buffer.length, size);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    for (let written = 0; written < bytesRead;)
      written += (await copy.write(buffer, written, bytesRead - written, size + written)).bytesWritten;
    size += bytesRead;
    if (size % mostUnsynced === 0 || bytesRead < buffer.length) await copy.datasync();
  }
  if (hash.digest('hex') !== sha256)
    throw refused(
      `cannot copy ${join(from, path)}: it is damaged: its content differs from the build’s manifest`,
      'pull the image again, or fill the volume that this program runs from again',
    );
  await copy.chmod(Number.parseInt(mode, 8));
  await copy.sync();
}

/** A file that is being written, and a handle that only reads: it holds the file once nobody may write to it. */
interface HeldFile extends AsyncDisposable {
  readonly writer: FileHandle;
  readonly holder: FileHandle;
}

/** Opens a new file and holds it; another one where an install that cleans up was faster than the lock. */
async function heldAlone(open: () => Promise<FileHandle>): Promise<HeldFile> {
  for (let tries = 1; ; tries++) {
    await using handles = new AsyncDisposableStack();
    const writer = handles.use(await open());
    const holder = handles.use(await openLater(itself(writer.fd), 'r'));
    if (!holdFile(holder.fd) && tries < mostRounds) continue;
    const held = handles.move();
    return { writer, holder, [Symbol.asyncDispose]: () => held.disposeAsync() };
  }
}

/** Removes what installs that were killed have left half-written: each may be as large as Node itself. */
function removeAbandoned(folders: RuntimeFolders, files: readonly RuntimeFile[], context: Context): void {
  const paths = new Set(files.map(({ path }) => path));
  for (const path of new Set(files.map(folderOf))) {
    const folder = folders.find(path);
    for (const entryName of folder?.names() ?? []) {
      const name = entryName.toString();
      const whole = wholeName(name);
      if (folder === undefined || whole === name || !paths.has(join(path, whole))) continue;
      if (isAbandoned(folder, name, context)) clearAway(folder, name);
    }
  }
}

/** Whoever writes to it holds it; its age counts only where that cannot be seen. */
function isAbandoned(folder: Directory, name: string, { clock }: Pick<Context, 'clock'>): boolean {
  const held = isHeld(folder, name);
  if (held !== undefined) return !held;
  const stat = lstatSync(folder.at(name), { throwIfNoEntry: false });
  return stat !== undefined && clock.date().getTime() - stat.mtimeMs >= abandoned;
}

/** @param top the folder, where it could be opened */
function explained(
  target: string,
  top: Directory | undefined,
  manifest: Manifest,
  error: NodeJS.ErrnoException,
): Failure {
  const where = `cannot fill ${target}`;
  if (error.code === 'ENOSPC') {
    const needed = manifest.files.reduce((sum, { size }) => sum + size, 0);
    const free = top && roomIn(top)?.free;
    const left = error instanceof NoRoom ? '; the program that is there was left' : '';
    return new Failure(
      failed(exitStatus.failed, `${where}: the volume is full (ENOSPC)${left}`, {
        hint: roomHint(needed, free, error instanceof NoRoom ? error.freed : 0),
      }),
    );
  }
  if (systemErrorCode(error) === 'EDQUOT')
    return new Failure(
      failed(exitStatus.failed, `${where}: the quota is used up (EDQUOT)`, { hint: quotaHint }),
    );
  if (error.code === 'EROFS')
    return new Failure(
      failed(exitStatus.failed, `${where}: it is on a read-only file system (EROFS)`, {
        hint: 'mount the volume without readOnly in this init container',
      }),
    );
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new Failure(
      failed(exitStatus.failed, `${where}: permission denied (${error.code})`, {
        hint: 'an emptyDir is writable for any user; for other volumes set fsGroup, or runAsUser to its owner',
      }),
    );
  }
  return new Failure(failed(exitStatus.failed, `${where}: ${withoutHandle(error)}`));
}

/**
 * @param needed bytes of the whole runtime
 * @param free bytes, where that is known
 * @param freed bytes that old files would give
 */
function roomHint(needed: number, free: number | undefined, freed: number): string {
  const takes = `the runtime takes ${formatBytes(needed)}`;
  if (free !== undefined && free >= needed)
    return `${takes}, and ${formatBytes(free)} are free by now: another install at the same time needs as much room again, and each file an inode (df -i); run it again`;
  const more = freed === 0 ? '' : `, and ${formatBytes(freed)} more once old files are gone`;
  return `${takes}${free === undefined ? '' : `, ${formatLess(free, needed)} are free${more}`}: raise the emptyDir's sizeLimit`;
}
