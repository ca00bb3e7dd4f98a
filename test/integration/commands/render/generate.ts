// Templates made at random, written in render's language and in a shell's.

/** A piece of text, or a reference; `word` is what follows the operator. */
export type Piece =
  | string
  | { readonly name: string; readonly operator: string; readonly word: readonly Piece[] };

/** Whole numbers below `limit`, the same for the same seed (mulberry32). */
export function randomOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const characters = Array.from('ab Z09_\n\t"\'`\\{}$#%*~é&;|<>()[]!:-+?=/.,');
const operators = ['', '', '', ':-', '-', ':+', '+', ':?', '?'];

export function generate(
  random: (limit: number) => number,
  names: readonly string[],
  depth = 0,
): readonly Piece[] {
  return Array.from({ length: 1 + random(depth === 0 ? 8 : 3) }, () => {
    if (random(2) === 0 || depth > 3) {
      return Array.from({ length: 1 + random(6) }, () => characters[random(characters.length)]).join('');
    }
    const operator = operators[random(operators.length)] ?? '';
    const word = operator === '' ? [] : generate(random, names, depth + 1);
    return { name: names[random(names.length)] ?? '', operator, word };
  });
}

/** Simple references where no letter follows, so that both ways of writing them are met. */
export function inTemplate(pieces: readonly Piece[], inWord = false): string {
  return pieces
    .map((piece, index) => {
      if (typeof piece === 'string')
        return inWord
          ? piece.replace(/[\\}]/g, '\\$&').replaceAll('$', '$$$$')
          : piece.replaceAll('$', '$$$$');
      const next = pieces[index + 1];
      const bare = piece.operator === '' && (typeof next !== 'string' || /^\W/.test(next));
      if (bare) return `$${piece.name}`;
      return `\${${piece.name}${piece.operator}${inTemplate(piece.word, true)}}`;
    })
    .join('');
}

/** The same in double quotes of a shell. */
export function inShell(pieces: readonly Piece[], inWord = false): string {
  return pieces
    .map((piece) => {
      if (typeof piece === 'string') return piece.replace(inWord ? /[\\"`$}]/g : /[\\"`$]/g, '\\$&');
      return `\${${piece.name}${piece.operator}${inShell(piece.word, true)}}`;
    })
    .join('');
}
