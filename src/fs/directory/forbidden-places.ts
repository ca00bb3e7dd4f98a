import { closeSync, fstatSync, openSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import { itself } from './file-name.ts';
import { isWithin, type Mount, mountId, readMounts } from './mounts.ts';
import { O_PATH } from './open-directory.ts';
import { absolutePath } from './pinned-path.ts';
import { isInside, type Place, placeOf } from './place.ts';

/** Folders of the kernel, and what may be a volume in them all the same. */
const kernels = ['/proc', '/sys', '/dev'];
const volumes = ['/dev/shm', '/dev/hugepages'];

/** Where the runtime is mounted in images of others. */
const mountPoint = '/initbox';

/** File systems that hold no data: by statfs(2) (linux/magic.h), and as mountinfo names them. */
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
  [0x62656570, 'configfs'],
  [0x19800202, 'mqueue'],
  [0x42494e4d, 'binfmt_misc'],
  [0x65735543, 'fusectl'],
  [0x6165676c, 'pstore'],
  [0xde5e81e4, 'efivarfs'],
  [0xf97cff8c, 'selinuxfs'],
]);
/** Its statfs(2) is a tmpfs's. */
const devices = 'devtmpfs';

/** How much of a folder is changed: one file that is in it, names in it, or all that is below it. */
export type Extent = 'file' | 'names' | 'tree';

/**
 * Why a path is not one to change, as it is written; undefined where it may be.
 * @param script the running program's own file
 */
export function refusedPath(text: string, script: string, extent: Extent = 'tree'): string | undefined {
  if (text === '') return 'the path is empty; write an absolute path such as /data';
  const path = absolutePath(text);
  const named = path === text ? path : `${text} (that is ${path})`;
  if (path === '/') return `${named} is the root directory; name the volume, such as /data`;
  const kernel = kernels.find((folder) => isWithin(path, folder));
  if (kernel !== undefined && !volumes.some((folder) => isWithin(path, folder)))
    return `${named} is the kernel's: nothing at or below ${kernel} is changed`;
  for (const own of new Set([mountPoint, dirname(script)])) {
    if (own === '.' || own === '/') continue;
    if (isWithin(path, own) || (extent === 'tree' && isWithin(own, path)))
      return `${named} is or holds this program's own folder, ${own}`;
  }
  return undefined;
}

/**
 * The same for an open folder, by whatever name it was reached: what it is decides, and not its path.
 * @param shown the folder, for people
 * @param script the running program's own file; undefined where its folder may be written to
 */
export function refusedDirectory(
  descriptor: number,
  shown: string,
  script: string | undefined,
  extent: Extent,
): string | undefined {
  const mounts = readMounts();
  const here = placeOf(descriptor, [], mounts);
  const other = (name: string): string => (shown === name ? '' : ' under another name');
  if (extent !== 'file' && isSame(descriptor, '/')) return `${shown} is the root directory${other('/')}`;
  const kernel = kernels.find((folder) => isOfKernel(here, folder, mounts));
  if (kernel !== undefined) return `${shown} is the kernel's: nothing at or below ${kernel} is changed`;
  const type = typeOf(descriptor, mounts);
  if (type !== undefined) return `${shown} is on a ${type} file system, which holds no data`;
  const own = script === undefined ? '/' : dirname(script);
  const where = whereOwn(descriptor, own, here, mounts);
  if (where === 'itself') return `${shown} is this program's own folder${other(own)}`;
  if (where === 'inside') return `${shown} is inside of this program's own folder, ${own}`;
  return where === 'above' && extent === 'tree'
    ? `${shown} holds this program's own folder, ${own}`
    : undefined;
}

/** Whether an open folder is the one of the running program, by whatever name, or is in it. */
export function isOwnFolder(descriptor: number, script: string): 'itself' | 'inside' | undefined {
  const mounts = readMounts();
  const where = whereOwn(descriptor, dirname(script), placeOf(descriptor, [], mounts), mounts);
  return where === 'above' ? undefined : where;
}

/** @param own the program's folder */
function whereOwn(
  descriptor: number,
  own: string,
  here: Place,
  mounts: readonly Mount[],
): 'itself' | 'inside' | 'above' | undefined {
  const program = own === '/' || own === '.' ? undefined : placeAt(own, mounts);
  if (program === undefined) return undefined;
  if (isSame(descriptor, own)) return 'itself';
  if (isInside(here, program)) return 'inside';
  return isInside(program, here) ? 'above' : undefined;
}

/** The type of a file system that holds no data. */
function typeOf(descriptor: number, mounts: readonly Mount[]): string | undefined {
  const id = mountId(descriptor);
  if (id !== undefined && mounts.some((mount) => mount.id === id && mount.type === devices)) return devices;
  return pseudo.get(statfsSync(itself(descriptor)).type);
}

function isOfKernel(here: Place, folder: string, mounts: readonly Mount[]): boolean {
  const top = placeAt(folder, mounts);
  if (top === undefined || !isInside(here, top)) return false;
  return !volumes.some((volume) => {
    const place = placeAt(volume, mounts);
    return place !== undefined && isInside(here, place);
  });
}

/** By what it is: two mounts of one directory are one. */
function isSame(descriptor: number, path: string): boolean {
  const here = fstatSync(descriptor);
  const there = statSync(path, { throwIfNoEntry: false });
  return here.dev === there?.dev && here.ino === there.ino;
}

function placeAt(path: string, mounts: readonly Mount[]): Place | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_PATH);
  } catch {
    return undefined;
  }
  try {
    return placeOf(descriptor, [], mounts);
  } finally {
    closeSync(descriptor);
  }
}
