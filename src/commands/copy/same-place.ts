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
