import type { AnyCommand } from '../../core/command.ts';
import type { StepKey } from './keys.ts';

/** A command's words for its flags, in those of a plan: `--to PATH` is `to: PATH`. */
export function inKeys(
  message: string,
  keys: ReadonlyMap<string, StepKey>,
  command: AnyCommand | undefined,
): string {
  const words = [...keys].filter(([, key]) => key.kind === 'positional').map(([name]) => name);
  // `initbox wait-dns a.b.c` is `names: a.b.c`.
  const [, before, word] = /^(.*)initbox ([a-z-]+ [^-\s]\S*)$/s.exec(message) ?? [];
  if (word !== undefined && words.length === 1 && word.startsWith(`${command?.name} `))
    return `${inKeys(before ?? '', keys, command)}${words[0]}: ${word.slice((command?.name.length ?? 0) + 1)}`;
  // An example of a command line stays one.
  return message
    .replace(
      /initbox .*|--([a-z][a-z0-9-]*)( [A-Z]{2,}\b)?/gs,
      (whole, name: string | undefined, value: string | undefined) =>
        name !== undefined && keys.has(name) ? `${name}${value === undefined ? '' : `:${value}`}` : whole,
    )
    .replaceAll('a command after --', keys.has('command') ? 'a command' : 'a command after -- of run');
}
