import { jsonShapeFault } from '../../../config/json-shape.ts';
import { lineAndColumn } from '../line-and-column.ts';

/** Why a text is not JSON that is accepted, with line and column and nothing of it; undefined where it is. */
export function jsonProblem(text: string): string | undefined {
  const fault = jsonShapeFault(text);
  if (fault !== undefined) return `${lineAndColumn(text, fault.at)}: ${fault.words}`;
  try {
    JSON.parse(text);
    return undefined;
  } catch {
    // V8 tells the place of some faults only, and quotes the text.
    const offset = faultOf(text);
    const where = lineAndColumn(text, offset);
    return offset >= text.length
      ? `${where}: it ends here, in the middle of the JSON`
      : `${where}: it is not JSON from here on`;
  }
}

const blanks = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- strings may not hold them (RFC 8259, 7)
const text = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])/y;

/** What may come next: a value, a value or the end of a list, a key, a key or the end, or what follows a value. */
type Expected = 'value' | 'item' | 'key' | 'member' | 'after';

/** Where a text that is no JSON stops being it. */
function faultOf(source: string): number {
  const inside: ('[' | '{')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found) at = pattern.lastIndex;
    return found !== null;
  };
  for (;;) {
    take(blanks);
    const char = source[at];
    const top = inside.at(-1);
    if (expected === 'after') {
      if (char === ',' && top !== undefined) expected = top === '[' ? 'value' : 'key';
      else if (char === (top === '[' ? ']' : '}') && top !== undefined) inside.pop();
      else return at;
      at++;
    } else if ((expected === 'item' && char === ']') || (expected === 'member' && char === '}')) {
      inside.pop();
      expected = 'after';
      at++;
    } else if (expected === 'key' || expected === 'member') {
      if (!take(text)) return at;
      take(blanks);
      if (source[at] !== ':') return at;
      at++;
      expected = 'value';
    } else if (char === '[' || char === '{') {
      inside.push(char);
      expected = char === '[' ? 'item' : 'member';
      at++;
    } else {
      if (!take(text) && !take(word)) return at;
      expected = 'after';
    }
  }
}
