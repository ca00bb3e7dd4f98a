import { readlinkSync } from 'node:fs';

import { itself } from '../../fs/directory/file-name.ts';
import { isWithin, mountId, readMounts } from '../../fs/directory/mounts.ts';

/** Tells one directory from every other, by whatever name it is reached. */
export interface Identity {
  readonly dev: number;
  readonly ino: number;
}

export function isSameDirectory(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** @throws where a directory of a source is DEST, which a mount or a link led to */
export function checkNotDestination(directory: Identity, destination: Identity | undefined): void {
  if (destination !== undefined && isSameDirectory(directory, destination))
    throw new Error('it is DEST itself, and the copy would copy itself');
}

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
export function placeOf(descriptor: number, missing: readonly string[] = []): Place {
  const tail = missing.map((name) => `/${name}`).join('');
  const path = readlinkSync(itself(descriptor), 'latin1');
  const whole = joined(path, tail);
  const id = mountId(descriptor);
  const mount = id === undefined ? undefined : readMounts().find((one) => one.id === id);
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
