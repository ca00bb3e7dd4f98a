import { readFileSync } from 'node:fs';

import { quotedPart, quotedValue } from '../../core/misplaced-secret.ts';

/** An owner as it was written; names are looked up when the command runs. */
export interface OwnerText {
  readonly text: string;
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** Numeric owner and group; what is undefined is left as it is. Both are where only modes are to change. */
export interface NewOwner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** The largest id: the next one, (uid_t) -1, tells chown(2) to change nothing. */
const largestId = 2 ** 32 - 2;

const accepted = 'write UID, UID:GID or :GID as numbers or names, such as 1000:1000';

/**
 * Reads OWNER, OWNER:GROUP or :GROUP.
 * @throws Error whose message says what is accepted
 */
export function parseNewOwner(text: string): OwnerText {
  const [user = '', group, more] = text.split(':');
  if (text === '') throw new Error(`the owner is empty; ${accepted}`);
  if (more !== undefined) throw new Error(`${quotedValue(text)} has more than one colon; ${accepted}`);
  if (user === '' && group === '') throw new Error(`":" names nobody; ${accepted}`);
  if (group === '')
    throw new Error(
      `${quotedValue(text)} names no group after the colon; write ${quotedValue(user)} to leave the group, or ${quotedValue(`${user}:GROUP`)}`,
    );
  for (const part of [user, group ?? '']) {
    const problem = part === '' ? undefined : problemOf(part, text);
    if (problem !== undefined) throw new Error(`${quotedValue(text)}: ${problem}; ${accepted}`);
  }
  return { text, user: user === '' ? undefined : user, group };
}

function problemOf(part: string, text: string): string | undefined {
  if (/^[+-]?\d+$/.test(part)) {
    if (!/^\d+$/.test(part)) return `${part} is not an id`;
    if (Number(part) > largestId) return `${part} is larger than the largest id, ${largestId}`;
    return undefined;
  }
  return /^[^\s/,:]+$/.test(part) && !part.startsWith('-')
    ? undefined
    : `${quotedPart(part, text)} is not a name`;
}

/**
 * Turns names into numbers by the image's own /etc/passwd and /etc/group. Digits are always an id.
 * @param etc the folder of the two files
 * @throws Error where a name is not listed
 */
export function resolveOwner(owner: OwnerText, etc = '/etc'): NewOwner {
  return {
    uid: owner.user === undefined ? undefined : idOf(owner.user, 'user', `${etc}/passwd`),
    gid: owner.group === undefined ? undefined : idOf(owner.group, 'group', `${etc}/group`),
  };
}

function idOf(word: string, what: string, file: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `this image has no ${file}` : `${file} cannot be read (${code})`;
    throw new Error(`the ${what} ${quotedValue(word)} is unknown: ${why}; write its number, such as 1000`, {
      cause: error,
    });
  }
  // name:password:id:… in both files (passwd(5), group(5)).
  for (const line of lines) {
    const [name, , id] = line.split(':');
    if (name === word && id !== undefined && /^\d+$/.test(id) && Number(id) <= largestId) return Number(id);
  }
  throw new Error(
    `the ${what} ${quotedValue(word)} is not in this image's ${file}; write its number, such as 1000`,
  );
}

export function ownerText({ uid, gid }: NewOwner): string {
  if (uid === undefined && gid === undefined) return 'the modes given';
  return `${uid ?? ''}${gid === undefined ? '' : `:${gid}`}`;
}

/** Whether only modes are to change. */
export function namesNobody({ uid, gid }: NewOwner): boolean {
  return uid === undefined && gid === undefined;
}

/** Whether what is there belongs to whom it should. */
export function belongsTo(stat: { readonly uid: number; readonly gid: number }, owner: NewOwner): boolean {
  return (
    (owner.uid === undefined || stat.uid === owner.uid) && (owner.gid === undefined || stat.gid === owner.gid)
  );
}
