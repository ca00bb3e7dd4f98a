import yargs, { type Argv, type Options as YargsOptions } from 'yargs';

import type { AnyCommand } from '../core/command.ts';
import { flagName, twinName, type Option, type Options } from '../core/options/option.ts';

const width = 110;

/** Help on one command, made from its definition. */
export async function commandHelp(command: AnyCommand, options: Options): Promise<string> {
  const after = { successor: ' [-- COMMAND…]', child: ' -- COMMAND…', nothing: '' }[command.afterDashes];
  const words = command.positionals ? ` ${command.positionals.usage}` : '';
  const help = bare().usage(`initbox ${command.name}${words} [options]${after}\n\n${command.description}`);
  for (const [name, option] of Object.entries(options))
    help.option(flagName(name, option), yargsOption(name, option));
  for (const example of command.examples) help.example(example, '');
  const about = command.positionals
    ? `\n${command.positionals.usage}: ${command.positionals.description}\n`
    : '';
  const afterwards = {
    successor:
      'The command after -- takes over when the work is done: same PID, its exit status is the container’s.',
    child: 'The command after -- runs as a child.',
    nothing: '',
  }[command.afterDashes];
  return `${await help.epilogue([about.trim(), afterwards, 'initbox help exit-codes explains exit statuses.'].filter(Boolean).join('\n')).getHelp()}\n`;
}

/** The list of commands. */
export async function overview(commands: readonly AnyCommand[]): Promise<string> {
  const help = bare().usage(
    'initbox COMMAND [options] [-- COMMAND…]\n\nEverything a pod does before its app starts.',
  );
  for (const command of commands) help.command(command.name, command.summary);
  return `${await help.epilogue('initbox help COMMAND explains a command, initbox help exit-codes the exit statuses.').getHelp()}\n`;
}

function bare(): Argv {
  return yargs([])
    .scriptName('initbox')
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(width);
}

function yargsOption(name: string, option: Option): YargsOptions {
  const fallback = option.fallbackText === '' ? '' : ` (default ${option.fallbackText})`;
  const repeat = option.kind === 'list' ? '; can be repeated' : '';
  const value = option.kind === 'switch' ? '' : `${option.placeholder}: `;
  return {
    describe: `${value}${option.description}${repeat}${fallback} [${twinName(name, option)}]`,
    ...(option.short ? { alias: option.short } : {}),
  };
}
