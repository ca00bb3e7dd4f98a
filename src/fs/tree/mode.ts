import { quotedPart, quotedValue } from '../../core/misplaced-secret.ts';
/** What makes a new mode of an old one. Both are permission bits, 0 to 0o7777. */
export type ModeChange = (mode: number, directory: boolean) => number;

const special = 0o7000;
const setuid = 0o4000;
const setgid = 0o2000;
const sticky = 0o1000;

/** Where a command has no option for what was asked for. */
const plainModes = 'write a mode of r, w, x and X alone, or three octal digits';

const accepted = 'write symbols such as u=rwX,g=rX,o= or three or four octal digits such as 0750';

/**
 * Reads a mode as chmod(1) does: octal, or symbols with X for "search where it is a directory, execute where somebody
 * may execute it already". Set-user-ID is never given: on a volume that others write to it would hand out its owner.
 * @param kind what it is for; one for both must leave directories searchable
 * @param apart whether the command has options for directories alone
 * @throws Error whose message says what is accepted
 */
export function parseModeChange(text: string, kind: 'both' | 'file' | 'directory', apart = true): ModeChange {
  return /^[0-7]+$/.test(text) ? octal(text, kind, apart) : symbolic(text, kind, apart);
}

function octal(text: string, kind: string, apart: boolean): ModeChange {
  if (!/^[0-7]{3,4}$/.test(text)) throw new Error(`${quotedValue(text)} is not a mode; ${accepted}`);
  const bits = Number.parseInt(text, 8);
  refuseSpecial(text, bits, kind, apart);
  if (kind === 'both' && (bits & 0o100) === 0) {
    throw new Error(
      `${quotedValue(text)} would make directories unsearchable; write --file-mode ${text} and --dir-mode apart, or symbols with X, such as u=rwX,g=rX`,
    );
  }
  // chmod(1) keeps a directory's set-ID bits under octal modes; they are inherited, and sharing relies on them.
  return (mode, directory) => (directory ? bits | (mode & (setuid | setgid)) : bits);
}

function refuseSpecial(text: string, bits: number, kind: string, apart: boolean): void {
  if (bits & setuid) throw new Error(`${quotedValue(text)} sets the set-user-ID bit, which is never given`);
  if (kind !== 'directory' && bits & special)
    throw new Error(
      `${quotedValue(text)} sets a special bit on files; ${apart ? '--setgid sets it on directories, --dir-mode any but set-user-ID' : plainModes}`,
    );
}

interface Clause {
  readonly who: string;
  readonly operator: string;
  readonly permissions: string;
}

function symbolic(text: string, kind: string, apart: boolean): ModeChange {
  const clauses: Clause[] = [];
  for (const clause of text.split(',')) {
    const match = /^([ugoa]+)((?:[-+=][rwxXst]*)+)$/.exec(clause);
    if (match === null) {
      const unqualified = /^[-+=][rwxXst]*$/.test(clause) ? `; say for whom: a${clause}` : '';
      throw new Error(`${quotedPart(clause, text)} is not a mode${unqualified}; ${accepted}`);
    }
    for (const [, operator = '', permissions = ''] of (match[2] ?? '').matchAll(/([-+=])([rwxXst]*)/g)) {
      if (operator !== '-' && permissions.includes('s') && /[ua]/.test(match[1] ?? ''))
        throw new Error(`${quotedPart(clause, text)} sets the set-user-ID bit, which is never given`);
      if (operator !== '-' && kind !== 'directory' && /[st]/.test(permissions))
        throw new Error(
          `${quotedPart(clause, text)} sets a special bit on files; ${apart ? '--setgid sets it on directories' : plainModes}`,
        );
      clauses.push({ who: match[1] ?? '', operator, permissions });
    }
  }
  return (mode, directory) => clauses.reduce((before, clause) => applied(clause, before, directory), mode);
}

function applied({ who, operator, permissions }: Clause, mode: number, directory: boolean): number {
  const all = who.includes('a');
  const executable = directory || (mode & 0o111) !== 0;
  let triplet = 0;
  if (permissions.includes('r')) triplet |= 4;
  if (permissions.includes('w')) triplet |= 2;
  if (permissions.includes('x') || (permissions.includes('X') && executable)) triplet |= 1;
  let mask = 0;
  let bits = 0;
  for (const [letter, shift, id] of classes) {
    if (!all && !who.includes(letter)) continue;
    // `=` on a directory leaves its set-ID bits, as chmod(1) does.
    mask |= (7 << shift) | (directory ? id & sticky : id);
    bits |= triplet << shift;
    if (permissions.includes('s')) bits |= id & ~sticky;
  }
  if (permissions.includes('t') && (all || who.includes('o'))) bits |= sticky;
  if (operator === '+') return mode | bits;
  if (operator === '-') return mode & ~bits;
  return (mode & ~mask) | bits;
}

const classes = [
  ['u', 6, setuid],
  ['g', 3, setgid],
  ['o', 0, sticky],
] as const;

/** Modes for files and directories apart; undefined leaves a kind as it is. */
export interface Modes {
  readonly file: ModeChange | undefined;
  readonly directory: ModeChange | undefined;
}

/** What was written, in the form in which it can be told to a helper. */
export interface ModeTexts {
  readonly mode?: string | undefined;
  readonly file?: string | undefined;
  readonly directory?: string | undefined;
  readonly setgid: boolean;
}

export function modesOf(texts: ModeTexts): Modes {
  const both = texts.mode === undefined ? undefined : parseModeChange(texts.mode, 'both');
  const file = withoutWaking(texts.file === undefined ? both : parseModeChange(texts.file, 'file'));
  const plain = texts.directory === undefined ? both : parseModeChange(texts.directory, 'directory');
  const directory: ModeChange | undefined = texts.setgid
    ? (mode) => (plain?.(mode, true) ?? mode) | setgid
    : plain;
  return { file, directory };
}

const groupExecute = 0o010;

/**
 * Set-group-ID without group execute does nothing to a program, and chown(2) leaves it (it once meant mandatory locking).
 * A mode that adds group execute would make it work for a group that nobody meant: then the bit goes.
 */
function withoutWaking(change: ModeChange | undefined): ModeChange | undefined {
  if (change === undefined) return undefined;
  return (mode, directory) => {
    const wanted = change(mode, directory);
    const wakes = !directory && (mode & groupExecute) === 0 && (wanted & groupExecute) !== 0;
    return wakes ? wanted & ~setgid : wanted;
  };
}
