import { fstatSync, lstatSync, renameSync, symlinkSync } from 'node:fs';

import { codeAmong, linkTarget, type Directory } from '../directory/directory.ts';
import { refused } from '../error-message.ts';
import { dataLink, isGeneration, type Namer } from './file-names.ts';
import { removeFile } from './remove.ts';

/** What a reader's name points to: through `..data`, so that one swap moves all of them. */
export function throughData(name: string): string {
  return `${dataLink}/${name}`;
}

/**
 * The generation that readers see now; undefined in a directory that never had one.
 * @throws Failure where `..data` is not ours: the kubelet's, git-sync's, or a folder
 */
export function currentGeneration(directory: Directory): string | undefined {
  const stat = lstatSync(directory.at(dataLink), { throwIfNoEntry: false });
  if (!stat) return undefined;
  const target = stat.isSymbolicLink() ? linkTarget(directory, dataLink) : undefined;
  if (target !== undefined && isGeneration(target)) return target;
  throw refused(
    `cannot write to ${directory.shown}: its ${dataLink} ${target === undefined ? 'is not a link' : `points to ${JSON.stringify(target)}`}, which initbox did not make`,
    'a ConfigMap or Secret volume, or the work of another tool: use a folder or volume of its own',
  );
}

/** What stands under a reader's name. */
export type NameState = 'free' | 'linked' | 'plain file';

/** @throws Failure where something stands there that must not be replaced */
export function nameStateOf(directory: Directory, name: string): NameState {
  const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
  if (!stat) return 'free';
  if (stat.isFile()) return 'plain file';
  const shown = `${directory.shown}/${name}`;
  if (stat.isSymbolicLink()) {
    const target = linkTarget(directory, name);
    if (target === throughData(name)) return 'linked';
    // Another pod's run removed or replaced it between the two looks.
    if (target === undefined) return nameStateOf(directory, name);
    throw refused(
      `cannot write ${shown}: a symbolic link stands there that initbox did not make`,
      'remove it, or choose another folder: links in the target are neither followed nor replaced',
    );
  }
  if (stat.dev !== fstatSync(directory.fd).dev)
    throw refused(
      `cannot write ${shown}: a volume is mounted there, and two volumes cannot change at once`,
      'mount it elsewhere, or choose another folder',
    );
  throw refused(
    `cannot write ${shown}: ${stat.isDirectory() ? 'a folder' : 'something that is not a file'} stands in its way`,
    'remove it, or choose another folder',
  );
}

/** Those of the names that stand in the directory: one look for all of them. */
export function presentAmong(directory: Directory, names: Iterable<string>): string[] {
  const present = new Set(directory.names().map((name) => name.toString()));
  return [...names].filter((name) => present.has(name));
}

/** Makes the links that are missing; returns their names. Those of new files point to nothing until the swap. */
export function makeLinks(directory: Directory, names: Iterable<string>): string[] {
  const made: string[] = [];
  const present = new Set(presentAmong(directory, names));
  for (const name of names) {
    if (present.has(name) && nameStateOf(directory, name) !== 'free') continue;
    try {
      symlinkSync(throughData(name), directory.at(name));
      made.push(name);
    } catch (error) {
      codeAmong(error, ['EEXIST']); // another run's, which points to the same
      nameStateOf(directory, name);
    }
  }
  return made;
}

/** Makes a link under a temporary name, which has all the room on the disk that it takes. Returns the name. */
export function prepareLink(directory: Directory, target: string, namer: Namer): string {
  const temporary = namer.temporary();
  symlinkSync(target, directory.at(temporary));
  return temporary;
}

/** Puts a link in the place of whatever file or link stands there, in one step. */
export function replaceByLink(directory: Directory, name: string, target: string, namer: Namer): void {
  replaceByPrepared(directory, name, prepareLink(directory, target, namer));
}

/** The same with a link that was prepared. */
export function replaceByPrepared(directory: Directory, name: string, temporary: string): void {
  try {
    renameSync(directory.at(temporary), directory.at(name));
  } catch (error) {
    removeFile(directory, temporary);
    throw error;
  }
}
