import { access, constants, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, Failure, failed, type Outcome } from '../../core/outcome.ts';
import { formatBytes } from '../../core/size.ts';
import { installManifestName, type Manifest, problemOf, readManifest, type RuntimeFile } from './manifest.ts';

/** Bytes between two looks at the signal: one piece is on a slow disk long before the 200 ms that a signal may take. */
const piece = 4 << 20;

/** Milliseconds after the last write to a half-written file until nobody can be at it any more. */
const abandoned = 10_000;

/** The program's own file goes last: whoever finds it finds a whole runtime. */
const entry = 'initbox';

/**
 * Copies what is missing or differs. Each file is written beside its place and renamed, so that a reader, or a second
 * install at the same time, sees a whole file or none.
 */
export async function copyRuntime(
  source: string,
  target: string,
  manifest: Manifest,
  context: Context,
): Promise<Outcome> {
  const same = readManifest(target)?.build === manifest.build;
  const stale: RuntimeFile[] = [];
  for (const file of manifest.files) {
    // The manifest goes in last of all: where it is the same, sizes and modes tell whether anybody touched a file.
    if (!same || (await problemOf(target, file, false, context.signal)) !== undefined) stale.push(file);
  }
  await removeAbandoned(target, manifest, context);
  if (same && stale.length === 0) return done(`${target} holds initbox ${manifest.version} already`);
  try {
    await mkdir(target, { recursive: true });
    for (const file of stale.toSorted((a, b) => Number(a.path === entry) - Number(b.path === entry))) {
      await place(join(source, file.path), join(target, file.path), Number.parseInt(file.mode, 8), context);
    }
    await place(join(source, installManifestName), join(target, installManifestName), 0o644, context);
  } catch (error) {
    throw error instanceof Failure || context.signal.aborted
      ? error
      : await explained(target, manifest, error as NodeJS.ErrnoException);
  }
  const bytes = stale.reduce((sum, { size }) => sum + size, 0);
  return done(
    `${target} holds initbox ${manifest.version}: ${stale.length} files, ${formatBytes(bytes)} copied`,
  );
}

async function place(from: string, to: string, mode: number, context: Context): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o755 });
  const temporary = `${to}.${context.host.pid}-${Math.floor(context.random() * 2 ** 32).toString(36)}.tmp`;
  try {
    await copyInPieces(from, temporary, mode, context);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Not by copyFile or one sync at the end: neither can be cut short, and the process's end waits for them. */
async function copyInPieces(from: string, to: string, mode: number, { signal }: Context): Promise<void> {
  await using source = await open(from, 'r');
  await using copy = await open(to, 'wx');
  const buffer = Buffer.allocUnsafe(piece);
  for (let size = 0; ;) {
    if (signal.aborted) throw reasonOf(signal);
    const { bytesRead } = await source.read(buffer, 0, piece, size);
    if (bytesRead === 0) break;
    for (let written = 0; written < bytesRead;)
      written += (await copy.write(buffer, written, bytesRead - written, size + written)).bytesWritten;
    size += bytesRead;
    await copy.datasync();
  }
  await copy.chmod(mode);
  await copy.sync();
}

/** Removes what installs that were killed have left half-written: each may be as large as Node itself. */
async function removeAbandoned(target: string, manifest: Manifest, context: Context): Promise<void> {
  const paths = [...manifest.files.map(({ path }) => path), installManifestName];
  for (const folder of new Set(paths.map((path) => dirname(join(target, path))))) {
    for (const name of await readdir(folder).catch(() => [])) {
      const whole = join(folder, name.replace(/\.\d+-[0-9a-z]+\.tmp$/, ''));
      if (whole === join(folder, name) || !paths.some((path) => join(target, path) === whole)) continue;
      const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Infinity }));
      if (context.clock.date().getTime() - mtimeMs >= abandoned)
        await rm(join(folder, name), { force: true }).catch(() => {});
    }
  }
}

async function explained(
  target: string,
  manifest: Manifest,
  thrown: NodeJS.ErrnoException,
): Promise<Failure> {
  const where = `cannot fill ${target}`;
  // Node's recursive mkdir says ENOENT where the kernel said EROFS.
  const error = thrown.code === 'ENOENT' ? await problemAbove(target, thrown) : thrown;
  if (error.code === 'ENOSPC') {
    const needed = manifest.files.reduce((sum, { size }) => sum + size, 0);
    const free = await statfs(target).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => undefined,
    );
    return new Failure(
      failed(exitStatus.failed, `${where}: the volume is full (ENOSPC)`, {
        hint: `the runtime takes ${formatBytes(needed)}${free === undefined ? '' : `, ${formatBytes(free)} are free`}: raise the emptyDir's sizeLimit`,
      }),
    );
  }
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
  return new Failure(failed(exitStatus.failed, `${where}: ${error.message}`));
}

/** Why nothing can be made below the nearest folder that exists; `otherwise` where it can. */
async function problemAbove(path: string, otherwise: NodeJS.ErrnoException): Promise<NodeJS.ErrnoException> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK);
      return otherwise;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) {
        return error as NodeJS.ErrnoException;
      }
    }
  }
}
