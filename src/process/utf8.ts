import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

/** Node's strings replace what is not UTF-8 by U+FFFD, and the command that takes over would get that. */
const replacement = '\uFFFD';

/** Why the command line cannot be handed on as it is; undefined where it can. */
export function unreadableArgument(argv: readonly string[]): string | undefined {
  if (!argv.some((word) => word.includes(replacement))) return undefined;
  const bad = rawProcessText('cmdline')?.find((word) => !isUtf8(word));
  return bad === undefined
    ? undefined
    : `the argument ${JSON.stringify(bad.toString('latin1'))} (shown as Latin-1) is not UTF-8, which Node cannot hand on unchanged`;
}

/** The names of variables whose values are not UTF-8. */
export function unreadableVariables(): string[] {
  return (rawProcessText('environ') ?? [])
    .filter((entry) => !isUtf8(entry))
    .map((entry) => entry.toString('latin1').replace(/=.*$/s, ''));
}

/** The process's own arguments and variables as bytes; undefined where there is no /proc. */
function rawProcessText(which: 'cmdline' | 'environ'): Buffer[] | undefined {
  try {
    const bytes = readFileSync(`/proc/self/${which}`);
    const parts: Buffer[] = [];
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(0, start);
      parts.push(bytes.subarray(start, end < 0 ? bytes.length : end));
      start = end < 0 ? bytes.length : end + 1;
    }
    return parts;
  } catch {
    return undefined;
  }
}
