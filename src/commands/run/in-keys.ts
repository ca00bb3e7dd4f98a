import type { AnyCommand } from '../../core/command.ts';
import type { StepKey } from './keys.ts';

/** A command's words for its flags, in those of a plan: `--to PATH` is `to: PATH`. */
export function inKeys(
  message: string,
  keys: ReadonlyMap<string, StepKey>,
  command: AnyCommand | undefined,
): string {
  const [, before = '', program, line = ''] = /^(.*)initbox ([a-z-]+) (.*)$/s.exec(message) ?? [];
  if (program !== undefined && program === command?.name)
    return `${inKeys(before, keys, command)}${exampleInKeys(line, keys, command)}`;
  // An example of another command line stays one.
  return message
    .replace(
      /initbox .*|--([a-z][a-z0-9-]*)( [A-Z]{2,}\b)?/gs,
      (whole, name: string | undefined, value: string | undefined) =>
        name !== undefined && keys.has(name) ? `${name}${value === undefined ? '' : `:${value}`}` : whole,
    )
    .replaceAll('a command after --', keys.has('command') ? 'a command' : 'a command after -- of run');
}

/** `/app/plugins /plugins` is `sources: /app/plugins, destination: /plugins`. */
function exampleInKeys(line: string, keys: ReadonlyMap<string, StepKey>, command: AnyCommand): string {
  const [own = '', after] = ` ${line}`.split(/ -- /);
  const words = own.split(' ').filter(Boolean);
  const plain: string[] = [];
  const options: string[] = [];
  while (words.length > 0) {
    const word = words.shift() ?? '';
    const [, name = '', value] = /^--([a-z-]+)(?:=(.*))?$/.exec(word) ?? [];
    const key = keys.get(name);
    if (key?.kind !== 'option') plain.push(word);
    else options.push(`${name}: ${key.option.kind === 'switch' ? 'true' : (value ?? words.shift() ?? '')}`);
  }
  const places = [...keys].flatMap(([name, key]) =>
    key.kind === 'positional' ? [{ name, many: key.many }] : [],
  );
  const positionals = places.flatMap(({ name, many }, index) => {
    const taken = plain.splice(0, many ? plain.length - (places.length - 1 - index) : 1);
    return taken.length === 0 ? [] : [`${name}: ${listOf(taken)}`];
  });
  const successor =
    after === undefined
      ? []
      : [
          command.afterDashes === 'child'
            ? `command: [${after.split(' ').join(', ')}]`
            : `and -- ${after} for run`,
        ];
  return [...positionals, ...options, ...successor].join(', ');
}

function listOf(words: readonly string[]): string {
  return words.length === 1 ? (words[0] ?? '') : `[${words.join(', ')}]`;
}
