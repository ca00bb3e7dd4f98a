import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { codeAmong, Directory } from '../../kernel/publish/directory.ts';
import { isCopyPlace, isOurs, type Namer } from '../../kernel/publish/names.ts';
import { removeFile, removeTree } from '../../kernel/publish/remove.ts';
import { itself } from '../../kernel/tree/name.ts';
import { makeDirectory, makeStage, treeName } from './places.ts';

/** Where files with several names have one by their identity. */
const linksName = 'links';

/** There from before the first rename to after the last: a directory that has it is not whole. */
const mergingName = 'merging';

/** What another pod's run may still be working on stays for so long, in milliseconds. */
const otherPodsTime = 2 * 60 * 60_000;

/**
 * Where a copy is prepared, beside what readers see and on the same file system: `tree` with the new entries, and notes.
 */
export class Stage implements Disposable {
  readonly name: string;
  readonly #directory: Directory;
  readonly #place: Directory;
  readonly tree: number;
  readonly links: number;
  #merging = false;

  constructor(directory: Directory, name: string) {
    this.name = name;
    this.#directory = directory;
    const place = makeStage(directory.fd, name);
    try {
      this.#place = Directory.open(itself(place));
    } finally {
      closeSync(place);
    }
    this.tree = makeDirectory(this.#place.fd, treeName);
    this.links = makeDirectory(this.#place.fd, linksName);
  }

  /** Says that readers are about to see part of it. */
  startMerging(): void {
    this.#merging = true;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;
    closeSync(openSync(this.#place.at(mergingName), flags, 0o600));
  }

  /** Says that they see all of it. */
  finishMerging(): void {
    removeFile(this.#place, mergingName);
    this.#merging = false;
  }

  /** Removes what was prepared; where readers saw part of it, the note that says so stays for the next run. */
  async remove(): Promise<void> {
    if (!this.#merging) return removeTree(this.#directory, this.name);
    for (const name of [treeName, linksName]) await removeTree(this.#place, name);
  }

  [Symbol.dispose](): void {
    closeSync(this.tree);
    closeSync(this.links);
    this.#place[Symbol.dispose]();
  }
}

/** The stages in a directory. */
function stagesIn(directory: Directory): string[] {
  return directory
    .names()
    .map((name) => name.toString())
    .filter(isCopyPlace);
}

function isMerging(directory: Directory, name: string): boolean {
  return lstatSync(directory.at(`${name}/${mergingName}`), { throwIfNoEntry: false }) !== undefined;
}

/** Whether a copy was cut off when readers saw part of it. */
export function wasCutOff(directory: Directory): boolean {
  return stagesIn(directory).some((name) => isMerging(directory, name));
}

/**
 * Removes what killed runs left. One of this pod is dead where nobody else has the turn; of one in another pod only age
 * tells, or that it was cut off among its renames, which this run does again.
 * @param now the wall clock, in milliseconds
 */
export async function removeStages(
  directory: Directory,
  which: { readonly namer: Namer; readonly alone: boolean; readonly now: number; readonly cutOff: boolean },
): Promise<void> {
  for (const name of stagesIn(directory)) {
    const merging = isMerging(directory, name);
    const stat = lstatSync(directory.at(name), { throwIfNoEntry: false });
    const dead = which.alone && which.namer.isLocal(name);
    const old = stat !== undefined && which.now - stat.mtimeMs > otherPodsTime;
    // The note of a copy that was cut off is needed until this one is whole.
    if (merging ? !which.cutOff : !dead && !old) continue;
    try {
      await removeTree(directory, name);
    } catch (error) {
      // Another user's, which only takes space.
      codeAmong(error, ['EACCES', 'EPERM', 'EROFS']);
    }
  }
}

/** Whether nobody has put anything there: a fresh ext4 volume has lost+found, a killed run leaves what it prepared. */
export function isEmpty(directory: Directory): boolean {
  return directory.names().every((entry) => {
    const name = entry.toString();
    if (name === 'lost+found' || isCopyPlace(name) || isOurs(name)) return true;
    return leadsNowhere(directory, name);
  });
}

/** A reader's link that an atomic copy made and was killed before the swap: `name -> ..data/name`, without `..data`. */
function leadsNowhere(directory: Directory, name: string): boolean {
  try {
    return (
      readlinkSync(directory.at(name)) === `..data/${name}` &&
      lstatSync(directory.at('..data'), { throwIfNoEntry: false }) === undefined
    );
  } catch {
    return false;
  }
}
