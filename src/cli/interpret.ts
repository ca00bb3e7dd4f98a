import { commands } from '../commands/index.ts';
import type { AnyCommand, CommandList, Input } from '../core/command.ts';
import type { Environment } from '../core/context.ts';
import {
  hideMisplacedInVariables,
  hideMisplacedInWords,
  quoted,
  withoutSecrets,
} from '../core/misplaced-secret.ts';
import { allOptions } from '../core/options/all.ts';
import { twinName, type Option, type Options, type Values } from '../core/options/option.ts';
import { givenFor, resolveOptions } from '../core/options/resolve-options.ts';
import { limitOf, type processOptions } from '../core/options/shared-options.ts';
import { UsageError } from '../core/outcome.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { readSecretFile } from '../fs/input-file.ts';
import { type GivenPaths, givenPaths } from '../fs/written-paths.ts';
import { looksLikeCommand, readArguments, type Arguments } from './arguments.ts';
import { commandNamed } from './command-names.ts';
import { unknownVariables } from './variables.ts';

/** What a command line asks for. */
export type Interpretation =
  | { readonly kind: 'print'; readonly text: string }
  | {
      readonly kind: 'run';
      readonly command: AnyCommand;
      readonly input: Input<Options, unknown>;
      readonly process: Values<typeof processOptions>;
      /** Of which none that is written may be another of them. */
      readonly paths: GivenPaths;
      /** Milliseconds for the whole command, 0 for none, and where that was said. */
      readonly limit: number;
      readonly limitOrigin: string;
      readonly warnings: readonly string[];
      readonly commands: CommandList;
    };

/**
 * Reads a command line.
 * @throws UsageError
 */
export async function interpret(
  argv: readonly string[],
  environment: Environment,
  redactor: Redactor,
): Promise<Interpretation> {
  // What an error repeats of a command line or variable must not hold a secret that was put in the wrong place.
  hideMisplacedInWords(argv, redactor);
  hideMisplacedInVariables(environment, redactor);
  const [first, ...rest] = argv;
  // Not help and success: a container whose args were forgotten would pass for one that had waited.
  if (first === undefined) throw new UsageError('no command was given; initbox --help lists them');
  if (['--help', '-h', 'help', '--version', '-V', '-v', 'version'].includes(first)) {
    const { print } = await import('./print.ts');
    return { kind: 'print', text: await print(first, rest) };
  }
  const command = await commandNamed(first, commands);
  const options = allOptions(command);
  const read = await readArguments(rest, options, command.positionals?.usage);
  if (read.help) {
    const { commandHelp } = await import('./help.ts');
    return { kind: 'print', text: await commandHelp(command, options) };
  }
  const warnings = await unknownVariables(environment, options, commands);
  const values = resolveOptions(options, read.given, environment, redactor, readSecretFile);
  checkSplit(command, rest);
  const secret = (found: string, origin: string, sure = true): void => {
    redactor.secret(found);
    if (!sure) return;
    warnings.push(
      `${origin} holds a password: others on this machine can read a command line; use a variable or a file where the command takes one`,
    );
  };
  let positionals: unknown;
  try {
    positionals = command.positionals?.parse(read.positionals, secret);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    // As for flags: after a forgotten --, the words that follow the first are wrong as well.
    const [line = ''] = error.lines;
    const refusal = read.positionals.reduce((said, { text }) => withoutSecrets(said, text), line);
    throw new UsageError(`${refusal}${dashesAdvice(command, read, refusal)}`);
  }
  if (command.positionals === undefined && read.positionals[0] !== undefined) {
    throw new UsageError(
      `${command.name} takes no arguments; unexpected argument ${quoted(read.positionals[0].text)}.${forgottenDashes(command, rest)}`,
    );
  }
  checkAfterDashes(command, read.afterDashes);
  const timeout = options['timeout'] as Option;
  const limited = read.given.has('timeout') || environment[twinName('timeout', timeout)] !== undefined;
  return {
    kind: 'run',
    command,
    input: { options: values, positionals, command: read.afterDashes, limited },
    process: values as Values<typeof processOptions>,
    paths: givenPaths(
      options,
      (name) => givenFor(name, options[name] as Option, read.given, environment),
      read.positionals,
    ),
    limit: limitOf(command, values, positionals, values['timeout'] as number | undefined, limited),
    limitOrigin: originOf('timeout', timeout, read.given.has('timeout'), environment),
    warnings: [...new Set(warnings)],
    commands,
  };
}

/** What to write where a word that was refused looks like a command, and there is no `--`; else nothing. */
function dashesAdvice(command: AnyCommand, { positionals, afterDashes }: Arguments, refusal: string): string {
  const [, place] = /^argument (\d+): /.exec(refusal) ?? [];
  // Without a place there were too many words.
  const index = place === undefined ? 1 : Number(place) - 1;
  const word = positionals[index]?.text ?? '';
  if (command.afterDashes === 'nothing' || afterDashes !== undefined || index < 1 || !looksLikeCommand(word))
    return '';
  return `; if ${quoted(word)} is a command to be run, write -- before it: initbox ${command.name} ${command.positionals?.usage} -- ${word}`;
}

/** @throws UsageError where one argument holds a flag's value, `--` and the command */
function checkSplit(command: AnyCommand, words: readonly string[]): void {
  if (command.afterDashes !== 'child' || words.includes('--')) return;
  const whole = words.find((word) => /\S\s+--\s+\S/.test(word));
  if (whole === undefined) return;
  throw new UsageError(
    `${quoted(whole)} is one argument; give each word of it, -- too, as an argument of its own`,
  );
}

/** What to write where the command that is to be run stands without its `--`. */
function forgottenDashes(command: AnyCommand, words: readonly string[]): string {
  if (command.afterDashes === 'nothing' || words.includes('--')) return '';
  return ` A command to be run stands after --, as in: initbox ${command.name} -- ./migrate --target=latest`;
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
