/** Any characters, also none: `*`. */
const any = '*';

/** One character of a name, as its code point: the one that it must be, or whether it may be there. */
type One = number | ((point: number) => boolean);
type Part = typeof any | One;

/**
 * The classes of bash(1), of Unicode: UTS #18, Annex C, the column "POSIX Compatible".
 * https://unicode.org/reports/tr18/#Compatibility_Properties
 */
const classes: Readonly<Record<string, RegExp>> = {
  alnum: /[\p{Alphabetic}0-9]/u,
  alpha: /\p{Alphabetic}/u,
  ascii: /[\0-\x7f]/u,
  blank: /[\p{Zs}\t]/u,
  cntrl: /\p{Cc}/u,
  digit: /[0-9]/u,
  graph: /[^\p{White_Space}\p{Cc}\p{Cs}\p{Cn}]/u,
  lower: /\p{Lowercase}/u,
  print: /[^\p{Zl}\p{Zp}\p{Cc}\p{Cs}\p{Cn}]/u,
  punct: /(?!\p{Alphabetic})[\p{P}\p{S}]/u,
  space: /\p{White_Space}/u,
  upper: /\p{Uppercase}/u,
  word: /[\p{Alphabetic}0-9_]/u,
  xdigit: /[0-9A-Fa-f]/u,
};

const className = /\[:([A-Za-z]*):\]/y;

/**
 * A pattern of one name as a shell has them: `*`, `?`, `[…]`, and `\` before a character that is itself
 * (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_14). Characters are code points, and
 * ranges go by their numbers, as in the locale C.UTF-8. What POSIX leaves undefined is refused.
 */
export class NamePattern {
  readonly #parts: readonly Part[];
  readonly #literal: string | undefined;

  /** Whether two stars follow each other. */
  readonly hasDoubleStar: boolean;

  /** @throws Error where it is not a pattern */
  constructor(text: string) {
    this.#parts = partsOf(text);
    this.hasDoubleStar = this.#parts.some((part, i) => part === any && this.#parts[i + 1] === any);
    const points = this.#parts.filter((part) => typeof part === 'number');
    if (points.length === this.#parts.length)
      this.#literal = points.map((point) => String.fromCodePoint(point)).join('');
  }

  /** Also a name that begins with a dot is matched by any pattern. */
  matches(name: string): boolean {
    if (this.#literal !== undefined) return name === this.#literal;
    return matchesParts(this.#parts, name);
  }

  /** A name that begins with a dot is matched only by a pattern that begins with that character itself. */
  matchesAsInShell(name: string): boolean {
    return (!name.startsWith('.') || this.#parts[0] === 0x2e) && this.matches(name);
  }
}

/**
 * Only the last star is ever tried again: what stands before it has been found at the earliest place, and a later one
 * leaves less for the rest. So it takes no more steps than the name's length times the pattern's.
 */
function matchesParts(parts: readonly Part[], name: string): boolean {
  let [at, next, star, resume] = [0, 0, -1, 0];
  while (at < name.length) {
    const point = name.codePointAt(at) as number;
    const part = parts[next];
    if (part === any) {
      star = next++;
      resume = at;
    } else if (part !== undefined && isOne(part, point)) {
      at += width(point);
      next++;
    } else if (star >= 0) {
      at = resume += width(name.codePointAt(resume) as number);
      next = star + 1;
    } else return false;
  }
  while (parts[next] === any) next++;
  return next === parts.length;
}

function isOne(part: One, point: number): boolean {
  return typeof part === 'number' ? part === point : part(point);
}

function width(point: number): 1 | 2 {
  return point > 0xffff ? 2 : 1;
}

function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < text.length;) {
    const character = text[at];
    if (character === '[') {
      const end = endOfBracket(text, at);
      if (end === undefined) throw new Error('"[" has no "]"; write [[] for the character itself');
      parts.push(bracket(text.slice(at + 1, end - 1)));
      at = end;
    } else if (character === '*') {
      parts.push(any);
      at++;
    } else if (character === '?') {
      parts.push(() => true);
      at++;
    } else {
      const [point, end] = pointAt(text, at);
      parts.push(point);
      at = end;
    }
  }
  return parts;
}

/** A character, or the one that a backslash stands before, and where the next begins. */
function pointAt(text: string, at: number): [point: number, end: number] {
  const start = text[at] === '\\' ? at + 1 : at;
  const point = text.codePointAt(start);
  if (point === undefined)
    throw new Error('a "\\" at the end stands before no character; write \\\\ for the character itself');
  return [point, start + width(point)];
}

/** Where a bracket that begins at `at` has ended, or `undefined` where it does not in this part of a path. */
export function endOfBracket(text: string, at: number): number | undefined {
  let here = at + (/^[!^]/.test(text.slice(at + 1, at + 2)) ? 2 : 1);
  if (text[here] === ']') here++;
  while (here < text.length) {
    const character = text[here];
    if (character === ']') return here + 1;
    if (character === '/') return undefined;
    here += character === '\\' ? 2 : (special(text, here)?.length ?? 1);
  }
  return undefined;
}

/** `[:alpha:]`, `[.a.]` or `[=a=]`, where one begins in a bracket. */
function special(text: string, at: number): string | undefined {
  if (text[at] !== '[') return undefined;
  className.lastIndex = at;
  const named = className.exec(text)?.[0];
  if (named !== undefined) return named;
  const mark = text[at + 1];
  if (mark !== '.' && mark !== '=') return undefined;
  // The character may be "]": [.].]
  const end = text.indexOf(`${mark}]`, at + 3);
  return end === -1 || text.slice(at, end).includes('/') ? `[${mark}` : text.slice(at, end + 2);
}

function bracket(text: string): One {
  const others = /^[!^]/.test(text);
  const ranges: (readonly [from: number, to: number])[] = [];
  const named: RegExp[] = [];
  for (let at = others ? 1 : 0; at < text.length;) {
    const inner = special(text, at);
    if (inner !== undefined) {
      named.push(classOf(inner));
      at += inner.length;
      continue;
    }
    const [from, end] = pointAt(text, at);
    if (text[end] !== '-' || end + 1 === text.length) {
      ranges.push([from, from]);
      at = end;
      continue;
    }
    if (special(text, end + 1) !== undefined)
      throw new Error(
        `the range ${text.slice(at, end + 1)} ends with ${special(text, end + 1)}; write a character, or "-" as the last one`,
      );
    const [to, after] = pointAt(text, end + 1);
    if (to < from)
      throw new Error(
        `the range ${text.slice(at, after)} ends before it begins; write its lower character first`,
      );
    ranges.push([from, to]);
    at = after;
  }
  return (point) =>
    others !==
    (ranges.some(([from, to]) => from <= point && point <= to) ||
      named.some((one) => one.test(String.fromCodePoint(point))));
}

function classOf(text: string): RegExp {
  if (text.startsWith('[:')) {
    const found = Object.entries(classes).find(([name]) => text === `[:${name}:]`);
    if (found !== undefined) return found[1];
    throw new Error(
      `there is no class ${text}; there are ${Object.keys(classes)
        .map((name) => `[:${name}:]`)
        .join(', ')}`,
    );
  }
  const what = text.startsWith('[.') ? 'a collating symbol' : 'an equivalence class';
  throw new Error(`${text}, ${what}, is not supported; write the characters themselves, and \\[ for "["`);
}
