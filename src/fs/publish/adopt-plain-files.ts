import { constants, linkSync, readFileSync, renameSync } from 'node:fs';

import { sideBySide } from '../calls.ts';
import { codeAmong, type Directory } from '../directory/directory.ts';
import { refused } from '../error-message.ts';
import { dataLink, type Namer } from './file-names.ts';
import { makeGeneration } from './manifest.ts';
import { nameStateOf, presentAmong, replaceByLink, throughData } from './reader-links.ts';
import { writeFile } from './write.ts';

/**
 * Turns plain files that stand where links must go into links to the same content, so that the swap can replace them
 * together with the rest. A reader sees the same bytes before, meanwhile and after.
 * @param current the generation that readers see
 * @returns the generation that holds them, where there was none before
 */
export async function adoptPlainFiles(
  target: Directory,
  names: Iterable<string>,
  current: string | undefined,
  namer: Namer,
  signal: AbortSignal,
): Promise<string | undefined> {
  const plain = presentAmong(target, names).filter((name) => nameStateOf(target, name) === 'plain file');
  if (plain.length === 0) return current;
  const holder = current ?? namer.generation();
  using generation = current === undefined ? makeGeneration(target, holder) : target.child(holder);
  for (const name of plain) {
    const temporary = namer.temporary();
    await linkOrCopy(target, name, generation, temporary, signal);
    renameSync(generation.at(temporary), generation.at(name));
  }
  if (current === undefined) replaceByLink(target, dataLink, holder, namer);
  for (const name of plain) replaceByLink(target, name, throughData(name), namer);
  return holder;
}

/** The same file under a second name; a copy where the kernel refuses a link to another user's file. */
async function linkOrCopy(
  from: Directory,
  name: string,
  to: Directory,
  newName: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    linkSync(from.at(name), to.at(newName));
  } catch (error) {
    // fs.protected_hardlinks (proc(5)), or a mount of its own
    codeAmong(error, ['EPERM', 'EXDEV', 'EMLINK']);
    const fd = await sideBySide.open(
      from.at(name),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const stat = await sideBySide.fstat(fd);
      if (!stat.isFile())
        throw refused(`cannot write ${from.shown}/${name}: it is there already, and no file`);
      const { mode } = stat;
      await writeFile(to, newName, { bytes: readFileSync(fd), mode: mode & 0o777 }, signal);
    } finally {
      await sideBySide.close(fd);
    }
  }
}
