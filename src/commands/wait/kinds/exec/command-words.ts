/**
 * Takes a command line apart at blanks; quotes keep blanks in a word, and nothing else has a meaning: there is no shell.
 * @throws Error where a quote is not closed
 */
export function commandWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (const character of text) {
    if (quote !== '') {
      if (character === quote) quote = '';
      else word = `${word ?? ''}${character}`;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = `${word ?? ''}${character}`;
  }
  if (quote !== '') throw new Error(`the command has a ${quote} that is not closed`);
  return word === undefined ? words : [...words, word];
}
