import { lstatSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';

import { itself } from './file-name.ts';

/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)), as far as it matters here. */
export interface Mount {
  readonly id: number;
  /** The mount that it is mounted on: a rename moves the mount point, and never to another mount. */
  readonly parent: number;
  /** Of the file system, as `8:1`: the same for all mounts of it. */
  readonly device: string;
  /** The directory or file of the file system that is mounted, as raw bytes: a path on it. */
  readonly root: string;
  /** As raw bytes. */
  readonly point: string;
  /** The mount's own options: `rw,noatime`, and `idmapped` since Linux 5.12. */
  readonly options: string;
  readonly type: string;
  readonly source: string;
}

/** Types of file systems that this machine's kernel serves by itself: none waits for a server that may be gone. */
const localTypes: ReadonlySet<string> = new Set(
  `tmpfs ramfs rootfs overlay aufs ext2 ext3 ext4 xfs btrfs zfs bcachefs f2fs jfs nilfs2 erofs squashfs iso9660 udf vfat
  exfat ntfs3 fuse.fuse-overlayfs proc sysfs cgroup cgroup2 devtmpfs devpts mqueue hugetlbfs securityfs selinuxfs
  debugfs tracefs configfs fusectl bpf pstore efivarfs binfmt_misc nsfs`.split(/\s+/),
);

/** Whether a mount's calls are answered by this machine: a server elsewhere, or a process, may never answer. */
export function isLocal({ type }: Mount): boolean {
  return localTypes.has(type);
}

/** What was read last: the table is read for each check, and seldom another one. */
let last: { readonly text: string; readonly mounts: readonly Mount[] } | undefined;

/** All mounts that this process sees, in the order in which they were made; empty without /proc. */
export function readMounts(file = '/proc/self/mountinfo'): readonly Mount[] {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return [];
  }
  if (last?.text !== text) last = { text, mounts: parseMounts(text) };
  return last.mounts;
}

export function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .map((line) => {
      const [own = '', rest = ''] = line.split(' - ');
      const [id, parent, device, root, point, options] = own.split(' ');
      const [type, source] = rest.split(' ');
      return {
        id: Number(id),
        parent: Number(parent),
        device: device ?? '',
        root: unescaped(root ?? ''),
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

/**
 * The mount that a directory is on, where going down from it may lead into another one; undefined where it cannot. Paths
 * of mount points alone do not tell: whoever may rename above one moves it, also into the directory from beside it. So
 * all mounts on this one count but those whose mount points only root can move, and which are elsewhere.
 */
export function mountWithOthersBelow(descriptor: number, mounts = readMounts()): number | undefined {
  const id = mountId(descriptor);
  if (id === undefined) return undefined;
  const on = mounts.filter(({ id: own, parent }) => parent === id && own !== id);
  if (on.length === 0) return undefined;
  let path: string;
  try {
    path = readlinkSync(itself(descriptor), 'latin1');
  } catch {
    return id;
  }
  return on.some(({ point }) => isWithin(point, path) || !isFixed(point)) ? id : undefined;
}

/** Whether every directory above a mount point belongs to root, who alone may write to it, and so may rename there. */
function isFixed(point: string): boolean {
  const parts = point.split('/').slice(1, -1);
  try {
    // From the root directory on: each look is at a name that nobody else could have moved.
    for (let count = 0; count <= parts.length; count++) {
      const stat = lstatSync(Buffer.from(`/${parts.slice(0, count).join('/')}`, 'latin1'));
      if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0) return false;
    }
    return true;
  } catch {
    return false;
  }
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
