import { BrokenArchive } from '../archive/entry.ts';

/** What an entry of a tree is (git-fast-import(1), "filemodify"). */
export type EntryKind = 'file' | 'executable' | 'directory' | 'link' | 'submodule';

export interface TreeEntry {
  readonly kind: EntryKind;
  /** One character a byte. */
  readonly name: string;
  /** In hexadecimal digits. */
  readonly hash: string;
}

/** 100664 stands in old commits. */
const kinds: Readonly<Record<string, EntryKind>> = {
  '100644': 'file',
  '100664': 'file',
  '100755': 'executable',
  '40000': 'directory',
  '040000': 'directory',
  '120000': 'link',
  '160000': 'submodule',
};

/** Names that Git takes for its own folder on some file systems (verify_path in its read-cache.c). */
const gitFolder = /^(?:\.git|git~1)[. ]*$/i;

/** What a tree object holds, each name once. @throws BrokenArchive */
export function readTree(bytes: Buffer, hashLength: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  const names = new Set<string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const end = bytes.indexOf(0, space + 1);
    if (space < 0 || end < 0 || end + hashLength >= bytes.length + 1)
      throw new BrokenArchive('is damaged: it has a folder that cannot be read');
    const mode = bytes.toString('latin1', at, space);
    const name = bytes.toString('latin1', space + 1, end);
    const kind = kinds[mode];
    if (kind === undefined)
      throw new BrokenArchive(`has ${shown(name)}, an entry of an unsupported type`, false);
    if (name === '' || name === '.' || name === '..' || name.includes('/') || gitFolder.test(name))
      throw new BrokenArchive(
        `has an entry named ${shown(name)}, which no file of a repository may have`,
        false,
      );
    if (names.has(name)) throw new BrokenArchive(`has two entries of the name ${shown(name)}`, false);
    names.add(name);
    at = end + 1 + hashLength;
    entries.push({ kind, name, hash: bytes.toString('hex', end + 1, at) });
  }
  return entries;
}

/** A name for people. */
export function shown(name: string): string {
  return JSON.stringify(Buffer.from(name, 'latin1').toString());
}

/** What a commit object says that matters here. */
export interface Commit {
  readonly tree: string;
  /** When it was made, in milliseconds since 1970. */
  readonly time: number;
}

/** @throws BrokenArchive */
export function readCommit(bytes: Buffer): Commit {
  const head = bytes.toString('latin1').split('\n\n', 1)[0] ?? '';
  const [, tree] = /^tree ([0-9a-f]+)$/m.exec(head) ?? [];
  const [, seconds] = /^committer .*> (\d{1,12}) [+-]\d{4}$/m.exec(head) ?? [];
  if (tree === undefined) throw new BrokenArchive('is damaged: it has a commit that cannot be read');
  return { tree, time: seconds === undefined ? 0 : Number(seconds) * 1000 };
}

/** The object that an annotated tag is for. @throws BrokenArchive */
export function taggedBy(bytes: Buffer): string {
  const [, object] = /^object ([0-9a-f]+)\n/.exec(bytes.toString('latin1', 0, 256)) ?? [];
  if (object === undefined) throw new BrokenArchive('is damaged: it has a tag that cannot be read');
  return object;
}
