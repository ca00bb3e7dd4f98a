import { checkVariableName, type Entries, FormatError, plainText, quotedKey } from './entries.ts';

/**
 * Variables that bash 5 sets by itself (bash(1), "Shell Variables"): assigning one does nothing, gives it another value
 * than the file has, or ends the script. OPTIND is dash's too.
 */
export const setByShell: ReadonlySet<string> = new Set(
  [
    '_ BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL',
    'BASH_VERSINFO DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD LINENO OPTIND PIPESTATUS PPID RANDOM',
    'SECONDS SHELLOPTS SHLVL SRANDOM UID',
  ].flatMap((names) => names.split(' ')),
);

/** `export KEY='…'` lines, safe to source in any POSIX shell: in single quotes nothing is expanded (XCU 2.2.2). */
export function formatShell(entries: Entries): Uint8Array {
  const lines = [...entries].map(([key, value]) => {
    checkVariableName(key, 'shell');
    if (setByShell.has(key)) {
      throw new FormatError(
        `${quotedKey(key)} cannot be set in a shell, which sets it by itself; a spec can rename it`,
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
