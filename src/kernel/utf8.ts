import { isUtf8 } from 'node:buffer';
import { rawProcessText } from './host.ts';

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
