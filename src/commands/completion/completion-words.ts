import type { AnyCommand } from '../../core/command.ts';
import { allOptions } from '../../core/options/all.ts';
import { flagName, type Option } from '../../core/options/option.ts';
import { shells } from './shells.ts';

/** What may stand in a place of a command line: one of some words, a file, or what no shell can know. */
export type Expected =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'other' };

export interface FlagWords {
  /** With its dashes: `--timeout`. */
  readonly flag: string;
  readonly description: string;
  /** Undefined for a switch. */
  readonly value: Expected | undefined;
  readonly repeats: boolean;
}

/** One first word and what may follow it. */
export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagWords[];
  readonly positionals: Expected;
}

/** Every word that may come first: the commands, and what explains them. */
export function completionWords(commands: readonly AnyCommand[]): readonly CommandWords[] {
  /** Words that are known only here, by the name of the positional that they are for. */
  const known: Readonly<Record<string, readonly string[]>> = {
    schema: commands.flatMap((command) => Object.keys(command.schemas ?? {})),
    shell: shells,
  };
  const topics = [...commands.map(({ name }) => name), 'exit-codes'];
  return [
    ...commands.map((command) => ({
      name: command.name,
      summary: command.summary,
      flags: Object.entries(allOptions(command)).flatMap(([name, option]) => flagWords(name, option)),
      positionals: oneOf(known[command.positionals?.name ?? '']) ?? named(command.positionals?.usage ?? ''),
    })),
    bare('help', 'explain a command, or the exit statuses', topics),
    bare('version', 'print the version', []),
  ];
}

function bare(name: string, summary: string, words: readonly string[]): CommandWords {
  return { name, summary, flags: [], positionals: { kind: 'words', words } };
}

/** A switch that is on unless it is turned off is offered both ways. */
function flagWords(name: string, option: Option): FlagWords[] {
  const flag = flagName(name, option);
  const common = { description: option.description, repeats: option.kind === 'list' };
  if (option.kind !== 'switch') return [{ ...common, flag: `--${flag}`, value: valueOf(option) }];
  const negated = option.fallback === true ? [{ ...common, flag: `--no-${flag}`, value: undefined }] : [];
  return [{ ...common, flag: `--${flag}`, value: undefined }, ...negated];
}

function valueOf({ choices, placeholder }: Option): Expected {
  return oneOf(choices) ?? named(placeholder);
}

function oneOf(words: readonly string[] | undefined): Expected | undefined {
  return words && { kind: 'words', words };
}

/** What help calls a file: `PATH`, `SRC… DEST`, `[NAME=]SOURCE|FILE`. */
function named(placeholder: string): Expected {
  return { kind: /PATH|FILE|DIR|SRC|PLAN|TEMPLATE/.test(placeholder) ? 'file' : 'other' };
}
