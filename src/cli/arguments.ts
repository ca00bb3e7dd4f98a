import { quoted, shownWord } from '../core/misplaced-secret.ts';
import { flagName, type Options } from '../core/options/option.ts';
import type { Given } from '../core/options/resolve-options.ts';
import { UsageError } from '../core/outcome.ts';
import { didYouMean } from './command-names.ts';
import { tokensOf } from './tokens.ts';

export interface Arguments {
  readonly given: ReadonlyMap<string, readonly Given[]>;
  readonly positionals: readonly Given[];
  readonly afterDashes: readonly string[] | undefined;
  readonly help: boolean;
}

/**
 * Reads the flags and the other words of a command. Values are handed on as they are.
 * @param usage the words that the command takes beside its flags, for messages; undefined where words are no part of
 *   the command: then they are another command's, without its `--`
 * @throws UsageError for an unknown flag (with the nearest known one), a missing value, or one that a switch does not take
 */
export async function readArguments(
  argv: readonly string[],
  options: Options,
  usage?: string,
): Promise<Arguments> {
  const byFlag = new Map(
    Object.entries(options).map(([name, option]) => [flagName(name, option), { name, option }]),
  );
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  const byLetter = new Map([...byFlag].map(([flag, { option }]) => [option.short, flag])).set('h', 'help');
  const tokens = tokensOf(own, {
    takesValue: (flag) => (byFlag.get(flag)?.option.kind ?? 'switch') !== 'switch',
    nameOf: (letter) => byLetter.get(letter) ?? letter,
  });
  const given = new Map<string, Given[]>();
  const positionals: Given[] = [];
  let help = false;
  for (const token of tokens) {
    if (token.kind === 'positional') {
      refuseDash(token.value, byFlag);
      positionals.push({ text: token.value, origin: `argument ${positionals.length + 1}` });
      continue;
    }
    if (token.name === 'help') {
      help = true;
      continue;
    }
    const negated = token.name.startsWith('no-') && !byFlag.has(token.name);
    const known = byFlag.get(negated ? token.name.slice(3) : token.name);
    if (known === undefined || (negated && known.option.kind !== 'switch'))
      throw await unknownFlag(
        token.rawName,
        own,
        [...byFlag.keys()],
        usage ?? '',
        end < 0 &&
          (usage === undefined
            ? positionals.length > 0
            : positionals.slice(1).some(({ text }) => looksLikeCommand(text))),
      );
    const origin = token.rawName;
    const values = given.get(known.name) ?? [];
    given.set(known.name, values);
    if (known.option.kind === 'switch') {
      if (negated && token.value !== undefined) throw new UsageError(`${origin} takes no value`);
      values.push({ text: negated ? 'false' : (token.value ?? 'true'), origin });
    } else {
      if (token.value === undefined || (!token.inline && /^--?[a-z]/i.test(token.value))) {
        throw new UsageError(
          `${origin} needs a value (${known.option.placeholder})${token.value === undefined ? '' : `; write ${origin}=${shownWord(token.value)} if ${shownWord(token.value)} is meant`}`,
        );
      }
      values.push({ text: token.value, origin });
    }
  }
  return { given, positionals, afterDashes: end < 0 ? undefined : argv.slice(end + 1), help };
}

/** Word processors and chats make one long dash of two hyphens: ‐ ‑ ‒ – — ― and the minus sign. */
const notHyphens = /^[-\u2010-\u2015\u2212]*[\u2010-\u2015\u2212][-\u2010-\u2015\u2212]*/;

/** @throws UsageError where a flag begins with another dash than the hyphen, as text that was pasted has it */
function refuseDash(word: string, flags: ReadonlyMap<string, unknown>): void {
  const [dashes] = notHyphens.exec(word) ?? [];
  if (dashes === undefined) return;
  const rest = word.slice(dashes.length);
  const name = rest.replace(/=.*$/s, '');
  // A file may have such a name.
  if (rest !== '' && !flags.has(name) && name !== 'help') return;
  throw new UsageError(
    `${quoted(word)} begins with a dash that is not a hyphen (-), as copied text often does; write --${rest}`,
  );
}

async function unknownFlag(
  raw: string,
  argv: readonly string[],
  flags: readonly string[],
  usage: string,
  dashesForgotten: boolean,
): Promise<UsageError> {
  const whole = argv.find((word) => word.startsWith('-') && word.includes(' ') && word.startsWith(raw));
  if (whole !== undefined)
    return new UsageError(
      `${quoted(whole)} is one argument; the flag and its value must be two, or joined by =`,
    );
  // One dash makes single letters of a word: `-timeout` is read as `-t -i …`.
  const single = argv.find((word) => /^-[^-]/.test(word) && word.startsWith(raw))?.replace(/=.*$/s, '');
  if (single !== undefined && flags.includes(single.slice(1)))
    return new UsageError(`${single} is written with two dashes: -${single}`);
  const name = raw.replace(/^-+/, '');
  if (/^-\d/.test(raw)) {
    const word = argv.find((given) => given.startsWith(raw)) ?? raw;
    return new UsageError(
      `${shownWord(word)} is not a flag, and no number below 0 is accepted${usage === '' ? '' : `; write ${usage}`}`,
    );
  }
  const near = await didYouMean(name, flags, '--');
  const advice = dashesForgotten ? '; if it is one of a command to be run, write -- before that command' : '';
  return new UsageError(`unknown flag ${shownWord(raw)}${near}${advice}`);
}

/** `./server`, `/bin/sh`, `echo`: neither a URL nor a host with a port. */
export function looksLikeCommand(word: string): boolean {
  return /^(\.{0,2}\/)?[\w.-]+(\/[\w.-]+)*$/.test(word);
}
