import { commands } from '../commands/index.ts';
import type { AnyCommand, CommandList, Input } from '../kernel/command.ts';
import type { Environment } from '../kernel/context.ts';
import { UsageError } from '../kernel/outcome.ts';
import { processOptions, timeoutOption } from '../kernel/options/common.ts';
import { twinName, type Option, type Options, type Values } from '../kernel/options/option.ts';
import { resolveOptions } from '../kernel/options/resolve.ts';
import type { Redactor } from '../kernel/secrets.ts';
import { commandNamed } from './names.ts';
import { readArguments } from './arguments.ts';
import { unknownVariables } from './variables.ts';

/** What a command line asks for. */
export type Interpretation =
  | { readonly kind: 'print'; readonly text: string }
  | {
      readonly kind: 'run';
      readonly command: AnyCommand;
      readonly input: Input<Options, unknown>;
      readonly process: Values<typeof processOptions>;
      /** Milliseconds for the whole command, 0 for none, and where that was said. */
      readonly limit: number;
      readonly limitOrigin: string;
      readonly warnings: readonly string[];
      readonly commands: CommandList;
    };

/** All options of a command: its own, `--timeout`, and what every command takes. */
export function allOptions(command: AnyCommand): Options {
  return { ...command.options, timeout: timeoutOption(command.timeout), ...processOptions };
}

/**
 * Reads a command line.
 * @throws UsageError
 */
export async function interpret(
  argv: readonly string[],
  environment: Environment,
  redactor: Redactor,
): Promise<Interpretation> {
  const [first, ...rest] = argv;
  // Not help and success: a container whose args were forgotten would pass for one that had waited.
  if (first === undefined) throw new UsageError('no command was given; initbox --help lists them');
  if (['--help', '-h', 'help', '--version', '-V', 'version', 'completion'].includes(first)) {
    const { print } = await import('./print.ts');
    return { kind: 'print', text: await print(first, rest) };
  }
  const command = await commandNamed(first, commands);
  const options = allOptions(command);
  const read = await readArguments(rest, options);
  if (read.help) {
    const { commandHelp } = await import('./help.ts');
    return { kind: 'print', text: await commandHelp(command, options) };
  }
  const warnings = await unknownVariables(environment, options, commands);
  const values = resolveOptions(options, read.given, environment, redactor);
  const positionals = command.positionals?.parse(read.positionals, (secret: string, origin: string) => {
    redactor.secret(secret);
    warnings.push(
      `${origin} holds a password: others on this machine can read a command line; use a variable or a file where the command takes one`,
    );
  });
  if (command.positionals === undefined && read.positionals[0] !== undefined) {
    throw new UsageError(
      `${command.name} takes no words of its own; what is ${JSON.stringify(read.positionals[0].text)}?`,
    );
  }
  checkAfterDashes(command, read.afterDashes);
  return {
    kind: 'run',
    command,
    input: { options: values, positionals, command: read.afterDashes },
    process: values as Values<typeof processOptions>,
    limit: (values['timeout'] as number | undefined) ?? 0,
    limitOrigin: originOf('timeout', options['timeout'] as Option, read.given.has('timeout'), environment),
    warnings: [...new Set(warnings)],
    commands,
  };
}

function checkAfterDashes(command: AnyCommand, words: readonly string[] | undefined): void {
  if (words === undefined) return;
  if (command.afterDashes === 'nothing')
    throw new UsageError(`${command.name} runs no command; nothing may stand after --`);
  if (words.length === 0 || words[0] === '')
    throw new UsageError('there is no command after --; write for example: -- ./server --port 8080');
}

function originOf(name: string, option: Option, asFlag: boolean, environment: Environment): string {
  if (asFlag) return `--${name}`;
  const twin = twinName(name, option);
  return environment[twin] === undefined ? `the default of --${name}` : twin;
}
