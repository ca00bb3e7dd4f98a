import { createHash } from 'node:crypto';
import {
  constants,
  fstatSync,
  lstatSync,
  promises,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, Failure, failed, type Outcome } from '../../core/outcome.ts';
import { formatBytes } from '../../core/size.ts';
import { codeAmong, type Directory } from '../../fs/directory/directory.ts';
import { isOwn } from '../../fs/directory/safe-open.ts';
import { systemErrorCode, exchanged, quotaHint, refused, withoutHandle } from '../../fs/error-message.ts';
import { clearAway } from '../../fs/publish/remove.ts';
import { fileIdentity } from '../../fs/publish/write.ts';
import { RuntimeFolders } from './folders.ts';
import {
  filesOf,
  folderOf,
  installManifestName,
  type Manifest,
  problemOf,
  type RuntimeFile,
} from './manifest.ts';

/** Bytes between two looks at the signal: one piece is on a slow disk long before the 200 ms that a signal may take. */
const piece = 4 << 20;

/** Milliseconds after the last write to a half-written file until nobody can be at it any more. */
const abandoned = 10_000;

/** The program's own file: it goes first and comes last, so that whoever finds it finds a whole runtime. */
const entry = 'initbox';

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
    folders = RuntimeFolders.make(target, entriesOf(files));
    // All of them before anything is written.
    for (const folder of new Set(files.map(folderOf))) folders.find(folder);
    let stale: RuntimeFile[];
    let program: string | undefined;
    do {
      program = identityOf(folders.top);
      stale = [];
      for (const file of files)
        if ((await problemOf(folders, file, context.signal)) !== undefined) stale.push(file);
      // Another one came meanwhile, by an install that has ended: what was found is not so any more.
    } while (identityOf(folders.top) !== program);
    removeAbandoned(folders, files, context);
    if (stale.length === 0) return done(`${target} holds initbox ${manifest.version} already`);
    if (stale.some(({ path }) => path !== entry)) {
      takeAwayProgram(source, folders.top, program);
      stale = files.filter((file) => file.path === entry || stale.includes(file));
    }
    for (const file of stale.toSorted((a, b) => rank(a) - rank(b)))
      await place(source, folders.make(folderOf(file)), file, context);
    const bytes = stale.reduce((sum, { size }) => sum + size, 0);
    return done(
      `${target} holds initbox ${manifest.version}: ${stale.length} files, ${formatBytes(bytes)} copied`,
    );
  } catch (error) {
    throw error instanceof Failure || context.signal.aborted
      ? error
      : explained(target, folders?.top, manifest, error as NodeJS.ErrnoException);
  } finally {
    folders?.[Symbol.dispose]();
  }
}

/** Tells the runtime's files, its folders, and what installs write beside their places. */
function entriesOf(files: readonly RuntimeFile[]): (folder: string, name: string) => boolean {
  const paths = new Set<string>();
  for (const { path } of files) for (let at = path; at !== '.'; at = dirname(at)) paths.add(at);
  return (folder, name) => paths.has(join(folder, wholeName(name)));
}

/** What a file that is half-written is to become. */
function wholeName(name: string): string {
  return name.replace(/\.\d+-[0-9a-z]+\.tmp$/, '');
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

/**
 * Takes the program away before anything that belongs to it is exchanged, unless it is the one that is copied from: with
 * that, what is exchanged has the same content.
 * @param program which one it is
 */
function takeAwayProgram(source: string, top: Directory, program: string | undefined): void {
  if (program === undefined) return;
  const own = statSync(join(source, entry), { bigint: true, throwIfNoEntry: false });
  if (own !== undefined && fileIdentity(own) === program) return;
  try {
    unlinkSync(top.at(entry));
  } catch (error) {
    if (codeAmong(error, ['ENOENT', 'EISDIR']) === 'EISDIR') throw folderInTheWay(top, entry);
  }
}

async function place(source: string, folder: Directory, file: RuntimeFile, context: Context): Promise<void> {
  const name = basename(file.path);
  const temporary = `${name}.${context.host.pid}-${Math.floor(context.random() * 2 ** 32).toString(36)}.tmp`;
  try {
    const written = await copyInPieces(source, file, folder.at(temporary), context);
    renameSync(folder.at(temporary), folder.at(name));
    requireWritten(folder, name, written);
  } catch (error) {
    clearAway(folder, temporary);
    if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
    throw folderInTheWay(folder, name);
  }
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
 * @returns which file was made
 * @throws Failure where the source is not what its list says: copied, it would be found wrong by every later run
 */
async function copyInPieces(
  from: string,
  { path, mode, sha256 }: RuntimeFile,
  to: string,
  { signal }: Context,
): Promise<BigIntStats> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using source = await promises.open(join(from, path), 'r');
  await using copy = await promises.open(to, flags, 0o600);
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(piece);
  for (let size = 0; ;) {
    if (signal.aborted) throw reasonOf(signal);
    const { bytesRead } = await source.read(buffer, 0, piece, size);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    for (let written = 0; written < bytesRead;)
      written += (await copy.write(buffer, written, bytesRead - written, size + written)).bytesWritten;
    size += bytesRead;
    await copy.datasync();
  }
  if (hash.digest('hex') !== sha256)
    throw refused(
      `cannot copy ${join(from, path)}: it is damaged: its content differs from the build’s manifest`,
      'pull the image again, or fill the volume that this program runs from again',
    );
  await copy.chmod(Number.parseInt(mode, 8));
  await copy.sync();
  return fstatSync(copy.fd, { bigint: true });
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
      const stat = lstatSync(folder.at(name), { throwIfNoEntry: false });
      if (stat !== undefined && context.clock.date().getTime() - stat.mtimeMs >= abandoned)
        clearAway(folder, name);
    }
  }
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
    const free = top && freeIn(top);
    return new Failure(
      failed(exitStatus.failed, `${where}: the volume is full (ENOSPC)`, {
        hint: `the runtime takes ${formatBytes(needed)}${free === undefined ? '' : `, ${formatBytes(free)} are free`}: raise the emptyDir's sizeLimit`,
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

function freeIn(directory: Directory): number {
  const { bavail, bsize } = statfsSync(directory.itself);
  return bavail * bsize;
}
