import { lstatSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { itself } from './name.ts';

/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)), as far as it matters here. */
export interface Mount {
  readonly id: number;
  /** As raw bytes. */
  readonly point: string;
  /** The mount's own options: `rw,noatime`, and `idmapped` since Linux 5.12. */
  readonly options: string;
  readonly type: string;
  readonly source: string;
}

/** All mounts that this process sees, in the order in which they were made; empty without /proc. */
export function readMounts(file = '/proc/self/mountinfo'): Mount[] {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return [];
  }
  return parseMounts(text);
}

export function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .map((line) => {
      const [own = '', rest = ''] = line.split(' - ');
      const [id, , , , point, options] = own.split(' ');
      const [type, source] = rest.split(' ');
      return {
        id: Number(id),
        point: unescaped(point ?? ''),
        options: options ?? '',
        type: type ?? '',
        source: unescaped(source ?? ''),
      };
    })
    .filter(({ point }) => point !== '');
}

/** Space, tab, newline and backslash are written as octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount on which a path lies: the longest mount point above it; of several at one point, the last. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    if (isWithin(path, mount.point) && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/** Whether a path is another one or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

/** What tells a mount point below a tree from an entry of the tree, where the device number does not. */
export interface Boundary {
  /** Device and inode of each mount's own root below the tree: a candidate for a crossing. */
  readonly candidates: ReadonlySet<string>;
  /** The mount that the tree itself is on. */
  readonly id: number | undefined;
}

/**
 * Mounts below a directory. A bind mount of the same file system has the same device number, so that only its
 * identity gives it away.
 */
export function boundaryBelow(descriptor: number, mounts = readMounts()): Boundary | undefined {
  let path: string;
  try {
    path = readlinkSync(itself(descriptor), 'latin1');
  } catch {
    return undefined;
  }
  const candidates = new Set<string>();
  for (const { point } of mounts) {
    if (point === path || !isWithin(point, path)) continue;
    try {
      candidates.add(identity(lstatSync(Buffer.from(point, 'latin1'))));
    } catch {
      // unreachable by its path: then the device number is what there is
    }
  }
  return candidates.size === 0 ? undefined : { candidates, id: mountId(descriptor) };
}

export function identity(stat: { readonly dev: number; readonly ino: number }): string {
  return `${stat.dev}:${stat.ino}`;
}

/** The mount that a descriptor was opened on (proc_pid_fdinfo(5)). */
export function mountId(descriptor: number): number | undefined {
  try {
    const match = /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'));
    return match ? Number(match[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a directory's size in bytes is a measure of how much reading it will bring. */
export type SizeTells = (directory: { readonly nlink: number }) => boolean;

const always: SizeTells = () => true;
const never: SizeTells = () => false;

/** File systems whose directories tell by their size how many entries they have (statfs(2), linux/magic.h). */
const tellingSizes: ReadonlyMap<number, SizeTells> = new Map([
  [0xef53, always], // ext2, ext3, ext4
  [0x58465342, always], // xfs
  [0x01021994, always], // tmpfs
  [0x9123683e, always], // btrfs
  [0x2fc12fc1, always], // zfs: counts entries, so a size in bytes is never less
  // overlay: one merged of several has the size of the uppermost alone, and a single link.
  [0x794c7630, ({ nlink }) => nlink > 1],
]);

/** @param type as statfs(2) tells it */
export function sizeTells(type: number): SizeTells {
  return tellingSizes.get(type) ?? never;
}

/** The same for the file system of an open directory. */
export function sizeTellsAt(descriptor: number): SizeTells {
  try {
    return sizeTells(statfsSync(itself(descriptor)).type);
  } catch {
    return never;
  }
}
