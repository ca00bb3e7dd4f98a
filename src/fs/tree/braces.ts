import { bracketAt } from './name-pattern.ts';

/** What one pattern may stand for; each is compared with each name. */
const mostAlternatives = 1000;

/** `{1..3}` and `{a..e}`, with a step or without (bash(1), Brace Expansion). */
const sequence = /^\{(?:-?\d+\.\.-?\d+|[A-Za-z]\.\.[A-Za-z])(?:\.\.-?\d+)?\}/;

/** A brace that is open: its alternatives, each with all that it stands for. */
interface Brace {
  readonly alternatives: string[][];
  last: string[];
}

/**
 * What a pattern with `{a,b}` stands for, as in bash(1): a brace without a comma, or one that is not closed, is itself.
 * In brackets and behind a backslash it is itself, too.
 * @throws Error where it is a sequence, stands for too much, or a bracket is not one
 */
export function expandBraces(pattern: string): string[] {
  const open: Brace[] = [];
  let top: Brace = { alternatives: [], last: [''] };
  const add = (texts: readonly string[]): void => {
    if (top.last.length * texts.length > mostAlternatives)
      throw new Error(
        `its braces stand for more than ${mostAlternatives} patterns; write * or ? in place of some of them`,
      );
    top.last = top.last.flatMap((before) => texts.map((text) => before + text));
  };
  const close = (): Brace => {
    const closed = top;
    top = open.pop() as Brace;
    return closed;
  };
  for (let at = 0; at < pattern.length;) {
    const character = pattern[at] as string;
    const end = endOfToken(pattern, at);
    if (character === '{') {
      const [found] = sequence.exec(pattern.slice(at, at + 100)) ?? [];
      if (found !== undefined)
        throw new Error(`the sequence ${found} is not supported; write its members, as in {1,2,3}`);
      open.push(top);
      top = { alternatives: [], last: [''] };
    } else if (character === ',' && open.length > 0) {
      top.alternatives.push(top.last);
      top.last = [''];
    } else if (character === '}' && open.length > 0) {
      const { alternatives, last } = close();
      add(alternatives.length === 0 ? last.map((text) => `{${text}}`) : [...alternatives, last].flat());
    } else add([pattern.slice(at, end)]);
    at = end;
  }
  while (open.length > 0) {
    const { alternatives, last } = close();
    add(['{']);
    for (const texts of alternatives) {
      add(texts);
      add([',']);
    }
    add(last);
  }
  return top.last;
}

/** Where the next thing begins that may have a meaning: a character, one behind a backslash, a bracket, or a plain run. */
function endOfToken(pattern: string, at: number): number {
  const character = pattern[at];
  if (character === '\\') return at + 2;
  if (character === '[') return bracketAt(pattern, at).end;
  const run = /[^\\[{},]+/y;
  run.lastIndex = at;
  return at + (run.exec(pattern)?.[0].length ?? 1);
}
