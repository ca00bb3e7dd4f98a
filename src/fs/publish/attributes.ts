import { quotedValue } from '../../core/misplaced-secret.ts';
/** A file's owner in numbers: an image without /etc/passwd has no names. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** For secrets: the owner and a shared group read, nobody writes. */
export const secretMode = 0o440;
/** For content that anybody may have. */
export const contentMode = 0o444;

/** Reads `0440` or `440`. @throws Error that says what is accepted */
export function parseFileMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) {
    throw new Error(`${quotedValue(text)} is not a file mode in octal, such as 0440 or 0644`);
  }
  const mode = Number.parseInt(text, 8);
  if ((mode & 0o444) === 0)
    throw new Error(`${quotedValue(text)} lets nobody read the file; write 0400, say`);
  return mode;
}

/** What chown(2) takes for an ID; the last value means "leave it". */
const highestId = 2 ** 32 - 2;

/** Reads `UID:GID`. @throws Error that says what is accepted */
export function parseFileOwner(text: string): FileOwner {
  const parts = /^(\d{1,10}):(\d{1,10})$/.exec(text);
  const owner = { uid: Number(parts?.[1]), gid: Number(parts?.[2]) };
  if (!parts || owner.uid > highestId || owner.gid > highestId) {
    throw new Error(`${quotedValue(text)} is not UID:GID in numbers, such as 1000:1000`);
  }
  return owner;
}

/** `0440` */
export function modeText(mode: number): string {
  return `0${(mode & 0o777).toString(8).padStart(3, '0')}`;
}
