import { statfsSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

import { UsageError } from '../../core/outcome.ts';
import { itself } from '../../fs/directory/file-name.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { absolutePath } from '../../fs/directory/pinned-path.ts';

/** Folders of the kernel, and what may be a volume in them all the same. */
const kernels = ['/proc', '/sys', '/dev'];
const volumes = ['/dev/shm', '/dev/hugepages'];

/** Where the runtime is mounted in images of others. */
const mountPoint = '/initbox';

/** Types of file systems that hold no data (statfs(2), linux/magic.h). */
const pseudo = new Map([
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x1cd1, 'devpts'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
  [0x73636673, 'securityfs'],
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
  [0xcafe4a11, 'bpf'],
  [0x6e736673, 'nsfs'],
]);

/**
 * Why a path is not one to change, as it is written; undefined where it may be.
 * @param script the running program's own file
 */
export function refusedPath(text: string, script: string): string | undefined {
  if (text === '') return 'the path is empty; write an absolute path such as /data';
  const path = absolutePath(text);
  const named = path === text ? path : `${text} (that is ${path})`;
  if (path === '/') return `${named} is the root directory; name the volume, such as /data`;
  const kernel = kernels.find((folder) => isWithin(path, folder));
  if (kernel !== undefined && !volumes.some((folder) => isWithin(path, folder)))
    return `${named} is the kernel's: nothing at or below ${kernel} is changed`;
  for (const own of new Set([mountPoint, dirname(script)])) {
    if (own === '.' || own === '/') continue;
    if (isWithin(path, own) || isWithin(own, path))
      return `${named} is or holds this program's own folder, ${own}`;
  }
  return undefined;
}

/** @throws UsageError where a path is not one to change, as it is written */
export function checkPath(text: string, script: string): void {
  const refused = refusedPath(text, script);
  if (refused !== undefined) throw new UsageError(refused);
}

/** The same for what the path leads to. */
export function refusedDirectory(descriptor: number, path: string, script: string): string | undefined {
  const here = statSync(itself(descriptor));
  if (isSame(here, '/')) return `${path} is the root directory under another name`;
  if (isSame(here, dirname(script))) return `${path} is this program's own folder under another name`;
  const type = pseudo.get(statfsSync(itself(descriptor)).type);
  return type === undefined ? undefined : `${path} is on a ${type} file system, which holds no data`;
}

function isSame(here: Stats, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return here.dev === there?.dev && here.ino === there.ino;
}
