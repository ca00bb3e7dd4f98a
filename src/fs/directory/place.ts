import { readlinkSync } from 'node:fs';

import { itself } from './file-name.ts';
import { isWithin, type Mount, mountId, readMounts } from './mounts.ts';

/** Where a directory is: by a path that holds for this process, and on its file system, whatever is mounted where. */
export interface Place {
  readonly path: string;
  /** Undefined where that cannot be told: without /proc, or where it was removed. */
  readonly inside: { readonly device: string; readonly path: string } | undefined;
}

/**
 * Finds where an open directory is. Two bind mounts of one volume, as of two subPaths, are two mounts of one device, and
 * their roots are paths on it (proc_pid_mountinfo(5)).
 * @param missing what is to be made in it
 */
export function placeOf(
  descriptor: number,
  missing: readonly string[] = [],
  mounts: readonly Mount[] = readMounts(),
): Place {
  const tail = missing.map((name) => `/${name}`).join('');
  const path = readlinkSync(itself(descriptor), 'latin1');
  const whole = joined(path, tail);
  const id = mountId(descriptor);
  const mount = id === undefined ? undefined : mounts.find((one) => one.id === id);
  if (mount === undefined || !isWithin(path, mount.point)) return { path: whole, inside: undefined };
  const below = mount.point === '/' ? path : path.slice(mount.point.length);
  const onDevice = joined(mount.root, below === '/' ? '' : below);
  return { path: whole, inside: { device: mount.device, path: joined(onDevice, tail) } };
}

/** Whether a place is another one or lies in it. */
export function isInside(place: Place, other: Place): boolean {
  if (isWithin(place.path, other.path)) return true;
  const [one, two] = [place.inside, other.inside];
  return one !== undefined && two !== undefined && one.device === two.device && isWithin(one.path, two.path);
}

function joined(folder: string, tail: string): string {
  return folder === '/' && tail !== '' ? tail : `${folder}${tail}`;
}
