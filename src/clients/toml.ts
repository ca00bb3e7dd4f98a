import { parse, TomlError } from 'smol-toml';

import { hasMoreOf } from '../config/bounds.ts';

/** By what the parser's sentence is about: it gives no codes, and its own words may quote the text. */
const sentences: readonly (readonly [about: RegExp, words: string])[] = [
  [/nested structures/, 'it is nested too deeply'],
  [/redefine|unsafe property/, 'this key or table is there twice, or has a name that is not taken'],
  [/end-of-line|end of table array/, 'a line end is missing behind the value or table'],
  [/escape/, 'a backslash within double quotes begins no valid escape; write \\\\ for a backslash'],
  [/control character/, 'a control character stands in a string or comment'],
  [/unfinished string/, 'a quote is not closed'],
  [/unfinished (table|array)|expected comma/, 'a comma or closing bracket is missing'],
  [/key/, 'this is not a valid key = value'],
  [/leading zero|underscore|numeric|integer/, 'this is not a valid number'],
  [/date/, 'this is not a valid date or time'],
  [/value/, 'this is not a valid value; strings are in quotes'],
];

/** Marks that begin a value, a table or a list: the parser takes some 5 µs for each, and cannot be cut. */
const mostMarks = 100_000;

/** Why a text is not TOML 1.0, with line and column and nothing of the text; undefined where it is TOML. */
export function tomlProblem(text: string): string | undefined {
  if (hasMoreOf(text, '=[{', mostMarks)) return `1:1: it has more than 100,000 keys, tables and lists`;
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return '1:1: it is nested too deeply';
    if (!(error instanceof TomlError)) throw error;
    // Below the first line the text itself is quoted.
    const [first = ''] = error.message.split('\n', 1);
    const about = first.replace(/^Invalid TOML document: /, '');
    const [, words = 'it is not valid TOML'] = sentences.find(([pattern]) => pattern.test(about)) ?? [];
    return `${error.line}:${error.column}: ${words}`;
  }
}
