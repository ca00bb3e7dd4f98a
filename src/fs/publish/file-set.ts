import { fstatSync, linkSync, lstatSync, unlinkSync } from 'node:fs';

import { reasonOf } from '../../core/clock.ts';
import { codeAmong, type Directory } from '../directory/directory.ts';
import { makeDirectory } from '../directory/new-directory.ts';
import { stageTree, type Built, type Building } from './atomic-directory.ts';
import type { PublishContext } from './atomic-file.ts';
import { checkRelativePath } from './file-names.ts';
import type { Intent } from './open-target.ts';
import { isOwnAloneIn } from './own-files.ts';
import type { Staged } from './published.ts';
import { findUnchanged, writeFile, type FileContent } from './write.ts';

/** Files by their path below the directory: `tls.key`, `conf.d/a.yaml`. */
export type FileSet = ReadonlyMap<string, FileContent>;

/**
 * Stages several files of one directory; commit shows all of them at once and hides what the same publication left
 * before. A file that did not change stays the same file, with its inode and times.
 * @param set names the publication, the same on every run
 * @throws Failure with the reason in words, or the signal's reason; Error where a path is not one below the directory
 */
export function stageSet(
  path: string,
  files: FileSet,
  set: string,
  intent: Intent,
  context: PublishContext,
): Promise<Staged> {
  for (const name of files.keys()) checkRelativePath(name);
  const needed = [...files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  const build = (building: Building): Promise<Built | 'unchanged'> =>
    buildSet(files, building, context.signal);
  const lasting = [...files.values()].some((file) => file.lasting !== false);
  return stageTree({ path, set, build, needed, lasting, ...intent }, context);
}

async function buildSet(
  files: FileSet,
  building: Building,
  signal: AbortSignal,
): Promise<Built | 'unchanged'> {
  const { current, previous, intact } = building;
  const same = new Map<string, bigint>();
  for (const [path, file] of files) {
    if (signal.aborted) throw reasonOf(signal);
    const inode = current && (await unchangedInode(current, path, file));
    if (inode !== undefined) same.set(path, inode);
  }
  const sameNames = previous.length === files.size && previous.every((path) => files.has(path));
  if (intact && sameNames && same.size === files.size) return 'unchanged';
  const staged = building.stage();
  let written = 0;
  let bytes = 0;
  await eachOf(files, async ([path, file]) => {
    const { parent, name, close } = makeParents(staged, path);
    using _ = close;
    const inode = same.get(path);
    if (inode !== undefined && keepFile(current as Directory, path, parent, name, inode)) return;
    await writeFile(parent, name, file, signal);
    written++;
    bytes += file.bytes.length;
  });
  return { paths: [...files.keys()], written, unchanged: files.size - written, bytes };
}

/** Files that are on their way to the disk at once: it takes several in one go. */
const parallel = 8;

/** Does the work for each, several at a time. @throws the first error, once nothing is under way any more */
async function eachOf<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items[Symbol.iterator]();
  let failed = false;
  const workers = Array.from({ length: parallel }, async () => {
    for (let next = waiting.next(); !next.done && !failed; next = waiting.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  });
  for (const result of await Promise.allSettled(workers))
    if (result.status === 'rejected') throw result.reason;
}

/** The inode of a file that holds the content already. */
async function unchangedInode(
  current: Directory,
  path: string,
  file: FileContent,
): Promise<bigint | undefined> {
  using stack = new DisposableStack();
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  let parent = current;
  try {
    for (const part of parts) {
      const child = stack.use(parent.child(part));
      if (!isOwnAloneIn(parent, fstatSync(child.fd))) return undefined;
      parent = child;
    }
  } catch (error) {
    codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES']);
    return undefined;
  }
  return await findUnchanged(parent, name, file);
}

/** Opens the folders of a path below the staged directory, and makes those that are missing. */
function makeParents(
  staged: Directory,
  path: string,
): { readonly parent: Directory; readonly name: string; readonly close: Disposable } {
  using stack = new DisposableStack();
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  let parent = staged;
  for (const part of parts) {
    try {
      makeDirectory(parent, part);
    } catch (error) {
      codeAmong(error, ['EEXIST']);
    }
    parent = stack.use(parent.child(part));
  }
  return { parent, name, close: stack.move() };
}

/** The same file in the new generation; false where it cannot be, or is not the one that was compared. */
function keepFile(current: Directory, path: string, parent: Directory, name: string, inode: bigint): boolean {
  try {
    linkSync(current.at(path), parent.at(name));
  } catch {
    return false; // another user's, or swapped meanwhile: it is written anew
  }
  if (lstatSync(parent.at(name), { bigint: true }).ino === inode) return true;
  unlinkSync(parent.at(name));
  return false;
}
