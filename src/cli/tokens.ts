/** What one word of a command line is, or one letter of it, before anybody asks whether there is such a flag. */
export type Token =
  | { readonly kind: 'positional'; readonly value: string }
  | {
      readonly kind: 'flag';
      readonly name: string;
      /** As it was written: `--timeout`, `-h`. */
      readonly rawName: string;
      readonly value: string | undefined;
      /** Whether the value stands in the flag's own word. */
      readonly inline: boolean;
    };

/** What must be known of flags to tell their values from other words. */
export interface FlagKinds {
  takesValue(name: string): boolean;
  /** The name that a letter is short for; the letter itself where there is none. */
  nameOf(letter: string): string;
}

/**
 * Tells flags from other words by the rules of getopt_long(3): `--name value`, `--name=value`, `-n value`, `-nvalue`,
 * and letters without values in one word. As Node's util.parseArgs does, whose modules take as long to load and run as
 * all else that is done to a command line.
 * @param words those before `--`
 */
export function tokensOf(words: readonly string[], flags: FlagKinds): Token[] {
  const tokens: Token[] = [];
  let next = 0;
  const take = (rawName: string, name: string, inline: string | undefined): void => {
    const value = inline ?? (flags.takesValue(name) ? words[next++] : undefined);
    tokens.push({ kind: 'flag', name, rawName, value, inline: inline !== undefined });
  };
  while (next < words.length) {
    const word = words[next++] ?? '';
    if (!word.startsWith('-') || word === '-') {
      tokens.push({ kind: 'positional', value: word });
    } else if (word.startsWith('--')) {
      // A name has one character at least: in `--=x` it is `=x`.
      const equals = word.indexOf('=', 3);
      const rawName = equals < 0 ? word : word.slice(0, equals);
      take(rawName, rawName.slice(2), equals < 0 ? undefined : word.slice(equals + 1));
    } else {
      for (let at = 1; at < word.length; at++) {
        const name = flags.nameOf(word.charAt(at));
        const rest = flags.takesValue(name) && at + 1 < word.length ? word.slice(at + 1) : undefined;
        take(`-${word.charAt(at)}`, name, rest);
        if (rest !== undefined) break;
      }
    }
  }
  return tokens;
}
