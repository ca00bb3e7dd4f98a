import type { AnyCommand, CommandList } from '../core/command.ts';
import { quoted } from '../core/misplaced-secret.ts';
import { UsageError } from '../core/outcome.ts';

/**
 * Loads the command of that name.
 * @throws UsageError with the nearest known one
 */
export async function commandNamed(name: string, commands: CommandList): Promise<AnyCommand> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return load();
  if (name.startsWith('-'))
    throw new UsageError(`the command comes first, then its flags: initbox wait-tcp ${name} …, say`);
  throw new UsageError(
    `unknown command ${quoted(name)}${await didYouMean(name, Object.keys(commands))}; initbox --help lists them`,
  );
}

/** `; did you mean --timeout?`, or nothing where no known name is near. */
export async function didYouMean(name: string, known: readonly string[], before = ''): Promise<string> {
  const { nearest } = await import('../clients/nearest.ts');
  const near = nearest(name, known);
  return near === undefined ? '' : `; did you mean ${before}${near}?`;
}
