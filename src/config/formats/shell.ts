import { checkVariableName, type Entries, FormatError, plainText, quotedKey } from './entries.ts';

/** Variables that bash makes read-only: assigning one ends a script under `set -e`. */
const readOnly: ReadonlySet<string> = new Set([
  'BASHOPTS',
  'BASH_VERSINFO',
  'EUID',
  'PPID',
  'SHELLOPTS',
  'UID',
]);

/** `export KEY='…'` lines, safe to source in any POSIX shell: in single quotes nothing is expanded (XCU 2.2.2). */
export function formatShell(entries: Entries): Uint8Array {
  const lines = [...entries].map(([key, value]) => {
    checkVariableName(key, 'shell');
    if (readOnly.has(key)) {
      throw new FormatError(
        `${quotedKey(key)} cannot be set in bash, where it is read-only; a spec can rename it`,
      );
    }
    return `export ${key}=${shellWord(plainText(key, value, 'shell'))}\n`;
  });
  return Buffer.from(lines.join(''));
}

/** A text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
