import { flattened, withheld } from './excerpt.ts';

/** Characters that decisions look at: a pattern may take the square of their number in steps. */
const lookedAt = 4096;

/**
 * What a server or a library said, as it came. It isn't a string, so that nothing can cut it, change it or put it on one line
 * before the redactor has seen it: afterwards a secret is not found in it.
 */
export class SaidText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** For decisions: nothing of it is shown. */
  says(pattern: RegExp): boolean {
    return pattern.test(this.#text.slice(0, lookedAt));
  }

  /** Several of them for people, redacted, each on one line, and cut; empty where nothing was said. */
  static shown(all: readonly SaidText[], most: number, redact: (text: string) => string): string {
    // Each of them is looked through by itself.
    const length = all.reduce((sum, said) => sum + said.#text.length + 16, -16);
    const instead = withheld(length);
    if (instead !== undefined) return instead;
    const words = all.map((said) => flattened(redact(said.#text))).filter((text) => text !== '');
    const clean = words.join('; ');
    return clean.length > most ? `${clean.slice(0, most)}…` : clean;
  }

  toString(): string {
    return '[not shown]';
  }

  toJSON(): string {
    return '[not shown]';
  }
}
