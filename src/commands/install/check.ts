import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, failed, type Outcome } from '../../core/outcome.ts';
import { RuntimeFolders } from './folders.ts';
import { filesOf, folderOf, isOfRuntimeIn, type Manifest, problemOf, readingUntil } from './manifest.ts';

/** Compares a copy with the runtime that this program belongs to, and changes nothing. */
export async function checkRuntime(
  source: string,
  target: string,
  manifest: Manifest,
  { signal }: Context,
): Promise<Outcome> {
  const files = filesOf(source, manifest);
  const reading = readingUntil(signal);
  using folders = RuntimeFolders.find(target, isOfRuntimeIn(files));
  const problems: string[] = [];
  /** What is wrong with a folder, told once and not of each file in it. */
  const closed = new Map<string, string>();
  const toRemove: string[] = [];
  for (const file of files) {
    const folder = folderOf(file);
    if (closed.has(folder)) continue;
    const problem = folders?.problemOf(folder);
    if (problem !== undefined) {
      closed.set(folder, problem.what);
      if (!problem.mendable) toRemove.push(folder);
    } else if (folders === undefined) problems.push(`${file.path} is missing or unreadable (ENOENT)`);
    else {
      problems.push((await problemOf(folders, file, reading)) ?? '');
      if (folders.isFolder(file.path)) toRemove.push(file.path);
    }
  }
  const found = [...closed.values(), ...problems].filter((problem) => problem !== '');
  if (found.length === 0)
    return done(
      `${target} holds initbox ${manifest.version}, ${manifest.files.length} files, each byte as it should be`,
    );
  return failed(exitStatus.failed, `${target} does not hold this runtime`, {
    details: found.slice(0, 10),
    hint:
      toRemove.length === 0
        ? `initbox install ${target} repairs it`
        : `remove ${toRemove.join(', ')}, which install does not replace; then initbox install ${target} repairs it`,
  });
}
