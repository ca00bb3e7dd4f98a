import { type ArchiveTarget, BrokenArchive } from '../archive/entry.ts';
import { readGitmodules, type Submodule } from './gitmodules.ts';
import { hashLengths, type Pack } from './pack.ts';
import { readCommit, taggedBy, readTree, shown, type TreeEntry } from './tree.ts';
import type { HashName } from './upload-pack.ts';

/** The largest commit, tag or folder that is read, and the longest path that a link leads to, in bytes. */
const largestNote = 1 << 20;
const largestTree = 8 << 20;
const longestTarget = 4096;

/** Tags of tags that are followed. */
const mostTags = 8;

export interface CommitSettings {
  readonly hash: HashName;
  /** What of the commit is wanted; empty for all. */
  readonly path: readonly string[];
  /** Whether submodules are refused, or their folders left empty; those to be fetched are told, and are empty until then. */
  readonly submodules: 'refuse' | 'skip' | 'fetch';
  /** Stands before all names: the folder that it goes into, with a slash at its end; or empty. */
  readonly prefix: string;
  /** The most entries of all folders together. */
  readonly entries: number;
}

export interface Walked {
  /** Files of Git LFS, of which the repository has pointers alone. */
  readonly pointers: { readonly count: number; readonly first: string } | undefined;
  /** Folders of submodules that were left empty. */
  readonly skipped: readonly string[];
  /** Submodules to be fetched, and where their folders are. */
  readonly submodules: readonly FoundSubmodule[];
}

export interface FoundSubmodule {
  /** Its folder's name below the target, one character a byte. */
  readonly name: string;
  readonly commit: string;
  readonly url: string;
}

/** How a pointer of Git LFS begins (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), and how long it may be. */
const pointerHead = Buffer.from('version https://git-lfs.github.com/spec/v1\n');
const longestPointer = 1024;

/**
 * Hands on what a commit holds, folders before what is in them.
 * @throws BrokenArchive, or what the target throws or rejects with
 */
export async function walkCommit(
  pack: Pack,
  commit: string,
  settings: CommitSettings,
  target: ArchiveTarget,
): Promise<Walked> {
  return new Walk(pack, settings, target).all(commit);
}

class Walk {
  readonly #pack: Pack;
  readonly #settings: CommitSettings;
  readonly #target: ArchiveTarget;
  readonly #skipped: string[] = [];
  readonly #submodules: FoundSubmodule[] = [];
  #modules: ReadonlyMap<string, Submodule> | undefined;
  #tree = '';
  #time = 0;
  #listed = 0;
  #pointers = 0;
  #firstPointer = '';

  constructor(pack: Pack, settings: CommitSettings, target: ArchiveTarget) {
    this.#pack = pack;
    this.#settings = settings;
    this.#target = target;
  }

  async all(commit: string): Promise<Walked> {
    const { tree, time } = readCommit(await this.#commitAt(commit));
    this.#time = time;
    this.#tree = tree;
    const { path } = this.#settings;
    const found = await this.#follow(tree);
    if (found.kind === 'directory') await this.#directory(found.hash);
    else if (found.kind === 'file' || found.kind === 'executable')
      await this.#file(found, `${this.#settings.prefix}${found.name}`);
    else
      throw new BrokenArchive(
        `has ${JSON.stringify(path.join('/'))}, which is a ${found.kind}, not a file or folder`,
        false,
        found.kind === 'link'
          ? 'name what it leads to, or the folder that it is in'
          : 'a submodule is a repository of its own: fetch that one',
      );
    const pointers = this.#pointers === 0 ? undefined : { count: this.#pointers, first: this.#firstPointer };
    return { pointers, skipped: this.#skipped, submodules: this.#submodules };
  }

  async #commitAt(hash: string): Promise<Buffer> {
    let at = hash;
    for (let tags = 0; tags <= mostTags; tags++) {
      const index = this.#indexOf(at);
      const kind = this.#pack.kindOf(index);
      const bytes =
        kind === 'commit' || kind === 'tag' ? await this.#pack.read(index, largestNote) : undefined;
      if (bytes === undefined)
        throw new BrokenArchive(
          `has ${at}, which is a ${kind}, not a commit`,
          false,
          'name a branch, a commit, or a tag of a commit',
        );
      if (kind === 'commit') return bytes;
      at = taggedBy(bytes);
    }
    throw new BrokenArchive(`has more than ${mostTags} tags on each other`, false);
  }

  /** The folder or file that is wanted. */
  async #follow(tree: string): Promise<TreeEntry> {
    const { path } = this.#settings;
    let at: TreeEntry = { kind: 'directory', name: '', hash: tree };
    for (const [index, name] of path.entries()) {
      const raw = Buffer.from(name).toString('latin1');
      const where = path.slice(0, index + 1).join('/');
      if (at.kind !== 'directory') throw notThere(where, `${shown(at.name)} is a ${at.kind}`);
      const found = (await this.#entriesOf(at.hash)).find((entry) => entry.name === raw);
      if (found === undefined) throw notThere(where);
      at = found;
    }
    return at;
  }

  async #entriesOf(hash: string): Promise<TreeEntry[]> {
    const index = this.#indexOf(hash);
    if (this.#pack.kindOf(index) !== 'tree') throw new BrokenArchive('is damaged: a folder is no tree');
    return readTree(await this.#pack.read(index, largestTree), hashLengths[this.#settings.hash]);
  }

  /** All of these are to be written: too many are told before the lists of a whole path of folders are in memory. */
  async #listOf(hash: string): Promise<Iterator<TreeEntry>> {
    const entries = await this.#entriesOf(hash);
    this.#listed += entries.length;
    const { entries: most } = this.#settings;
    if (this.#listed > most)
      throw new BrokenArchive(
        `has more than ${most} entries (--max-entries)`,
        false,
        '--max-entries raises the limit',
      );
    return entries.values();
  }

  async #directory(hash: string): Promise<void> {
    const stack: { readonly prefix: string; readonly entries: Iterator<TreeEntry> }[] = [
      { prefix: this.#settings.prefix, entries: await this.#listOf(hash) },
    ];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.entries.next();
      if (next.done === true) {
        stack.pop();
        continue;
      }
      const entry = next.value;
      const name = `${top.prefix}${entry.name}`;
      if (entry.kind === 'directory') {
        await this.#whole(name, 'directory', 0o755);
        stack.push({ prefix: `${name}/`, entries: await this.#listOf(entry.hash) });
      } else if (entry.kind === 'link') await this.#link(entry, name);
      else if (entry.kind === 'submodule') await this.#submodule(name, entry.hash);
      else await this.#file(entry, name);
    }
  }

  async #submodule(name: string, commit: string): Promise<void> {
    const { submodules } = this.#settings;
    if (submodules === 'refuse')
      throw new BrokenArchive(
        `has the submodule ${shown(name)}, which is a repository of its own; --submodules fetch fetches it, and skip leaves its folder empty`,
        false,
      );
    await this.#whole(name, 'directory', 0o755);
    const found = submodules === 'fetch' ? await this.#submoduleAt(name) : undefined;
    if (found === undefined || found.isLeftOut) this.#skipped.push(Buffer.from(name, 'latin1').toString());
    else if (found.url === undefined)
      throw new BrokenArchive(`has the submodule ${shown(name)}, whose url .gitmodules does not tell`, false);
    else this.#submodules.push({ name, commit, url: found.url });
  }

  /** What .gitmodules at the top of the commit says of a folder of the target. */
  async #submoduleAt(name: string): Promise<Submodule> {
    this.#modules ??= await this.#readModules(name);
    const { path, prefix } = this.#settings;
    const inside = Buffer.from(name.slice(prefix.length), 'latin1').toString();
    const found = this.#modules.get([...path, inside].join('/'));
    if (found !== undefined) return found;
    throw new BrokenArchive(`has the submodule ${shown(name)}, which .gitmodules does not tell of`, false);
  }

  async #readModules(name: string): Promise<ReadonlyMap<string, Submodule>> {
    const file = (await this.#entriesOf(this.#tree)).find((entry) => entry.name === '.gitmodules');
    if (file === undefined)
      throw new BrokenArchive(`has the submodule ${shown(name)} and no .gitmodules`, false);
    if (file.kind !== 'file' && file.kind !== 'executable')
      throw new BrokenArchive(`has a .gitmodules that is a ${file.kind}`, false);
    const bytes = await this.#pack.read(this.#blobOf(file, file.name), largestNote);
    return readGitmodules(bytes.toString('utf8'));
  }

  async #link(entry: TreeEntry, name: string): Promise<void> {
    const bytes = await this.#pack.read(this.#blobOf(entry, name), longestTarget);
    await this.#whole(name, 'link', 0o777, bytes.toString('latin1'));
  }

  async #whole(name: string, kind: 'directory' | 'link', mode: number, target?: string): Promise<void> {
    await this.#target.begin({
      name,
      kind,
      size: 0,
      mode,
      time: this.#time,
      ...(target === undefined ? {} : { target }),
    });
    await this.#target.end();
  }

  async #file(entry: TreeEntry, name: string): Promise<void> {
    const index = this.#blobOf(entry, name);
    const size = this.#pack.sizeOf(index);
    const mode = entry.kind === 'executable' ? 0o755 : 0o644;
    await this.#target.begin({ name, kind: 'file', size, mode, time: this.#time });
    await this.#pack.pass(index, (bytes) => {
      if (size < longestPointer && pointerHead.equals(bytes.subarray(0, pointerHead.length)))
        this.#notePointer(name);
      return this.#target.data(bytes);
    });
    await this.#target.end();
  }

  #notePointer(name: string): void {
    if (this.#pointers++ === 0) this.#firstPointer = Buffer.from(name, 'latin1').toString();
  }

  #blobOf({ hash }: TreeEntry, name: string): number {
    const index = this.#indexOf(hash);
    if (this.#pack.kindOf(index) !== 'blob')
      throw new BrokenArchive(`is damaged: ${shown(name)} has no content`);
    return index;
  }

  #indexOf(hash: string): number {
    const index = this.#pack.find(hash);
    if (index === undefined) throw new BrokenArchive(`is not whole: the object ${hash} did not come`);
    return index;
  }
}

function notThere(path: string, why?: string): BrokenArchive {
  return new BrokenArchive(
    `has no ${JSON.stringify(path)}${why === undefined ? '' : `: ${why}`}`,
    false,
    'look at what is there, letter by letter: git ls-tree -r --name-only REF; what follows the colon is the path',
  );
}
