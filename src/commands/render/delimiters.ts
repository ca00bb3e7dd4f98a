import type { LiquidDelimiters } from '../../clients/liquid.ts';
import { quotedSigns } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';

/** Characters of all of them. */
const longestSigns = 32;

/** Reads two words, or four for liquid's outputs and tags. @throws Error that says what is accepted */
export function parseDelimiters(given: string): readonly string[] {
  const words = given.trim().split(/\s+/);
  const accepted = `write two words, such as "[[ ]]", or four for liquid, such as "[[ ]] [% %]"`;
  if (words.length !== 2 && words.length !== 4)
    throw new Error(`${quotedSigns(given, longestSigns)} is ${words.length} words; ${accepted}`);
  const bad = words.find((word) => /[A-Za-z0-9_"'\\]/.test(word));
  if (bad !== undefined)
    throw new Error(
      `${quotedSigns(bad, longestSigns)} has a letter, digit, quote or backslash in it, as names and values do; ${accepted}`,
    );
  const opens = words.filter((_, index) => index % 2 === 0);
  if (new Set(opens).size < opens.length)
    throw new Error(`${quotedSigns(given, longestSigns)} opens two things by one word; ${accepted}`);
  return words;
}

/** Those of the language env. @throws UsageError where four are given */
export function envDelimiters(words: readonly string[]): { readonly open: string; readonly close: string } {
  const [open = '', close = '', more] = words;
  if (more !== undefined)
    throw new UsageError('--delimiters: the language env has one pair, and two are given');
  return { open, close };
}

/** Those of liquid; tags follow from outputs as `{% %}` does from `{{ }}`. @throws UsageError where they cannot */
export function liquidDelimiters(words: readonly string[]): LiquidDelimiters {
  const [open = '', close = '', tagOpen, tagClose] = words;
  if (tagOpen !== undefined && tagClose !== undefined)
    return { output: [open, close], tag: [tagOpen, tagClose] };
  if (!/^(.)\1$/.test(open) || !/^(.)\1$/.test(close) || open.startsWith('%'))
    throw new UsageError(
      `--delimiters: of ${open} ${close} none for tags can be made; name them too, such as "${open} ${close} ${open}% %${close}"`,
    );
  return { output: [open, close], tag: [`${open[0]}%`, `%${close[0]}`] };
}

/** Those of consul-template. @throws UsageError where four are given */
export function consulTemplateDelimiters(words: readonly string[] | undefined): readonly [string, string] {
  const [open = '{{', close = '}}', more] = words ?? [];
  if (more !== undefined)
    throw new UsageError('--delimiters: the language consul-template has one pair, and two are given');
  return [open, close];
}
