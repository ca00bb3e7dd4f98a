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

/** Whether a text is a pattern of names, as a shell has them; `[*]` and `\*` are a star itself. */
export function isPattern(text: string): boolean {
  return /[*?[]/.test(text);
}

/**
 * A pattern of one name as a shell has them: `*`, `?`, `[…]`, and `\` before a character that is itself
 * (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_14). Characters are code points, and
 * ranges go by their numbers, as in the locale C.UTF-8. What shells read in
 * different ways, or in one that is hardly meant, is refused.
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
      const { one, end } = bracketAt(text, at);
      parts.push(one);
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

/**
 * The bracket that begins at `at`, and where it has ended.
 * @throws Error where it is not one, or not in this part of a path
 */
export function bracketAt(text: string, at: number): { readonly one: One; readonly end: number } {
  const others = /^[!^]/.test(text.slice(at + 1, at + 2));
  const first = at + (others ? 2 : 1);
  const ranges: (readonly [from: number, to: number])[] = [];
  const named: RegExp[] = [];
  let here = first;
  while (text[here] !== ']' || here === first) {
    if (here >= text.length || text[here] === '/')
      throw new Error('"[" has no "]"; write [[] for the character itself');
    const inner = classAt(text, here);
    if (inner === undefined) {
      const { from, to, end } = rangeAt(text, here);
      ranges.push([from, to]);
      here = end;
    } else {
      named.push(inner.characters);
      here = inner.end;
    }
  }
  const one = (point: number): boolean =>
    others !==
    (ranges.some(([from, to]) => from <= point && point <= to) ||
      named.some((characters) => characters.test(String.fromCodePoint(point))));
  return { one, end: here + 1 };
}

/** `a`, or `a-z`. */
function rangeAt(text: string, at: number): { from: number; to: number; end: number } {
  const [from, end] = pointAt(text, at);
  if (text[end] !== '-' || /^[\]/]?$/.test(text.slice(end + 1, end + 2))) return { from, to: from, end };
  if (classAt(text, end + 1) !== undefined)
    throw new Error(
      `the range ${text.slice(at, end + 1)} ends with a class; write a character, or "-" as the last one`,
    );
  const [to, after] = pointAt(text, end + 1);
  if (to < from)
    throw new Error(
      `the range ${text.slice(at, after)} ends before it begins; write its lower character first`,
    );
  return { from, to, end: after };
}

const className = /\[:([A-Za-z]*):\]/y;

/** `[:alpha:]` within a bracket. @throws Error where it is what POSIX has beside it, or unknown */
function classAt(text: string, at: number): { characters: RegExp; end: number } | undefined {
  if (text[at] !== '[') return undefined;
  const mark = text[at + 1];
  if (mark === '.' || mark === '=')
    throw new Error(
      `[${mark} begins ${mark === '.' ? 'a collating symbol' : 'an equivalence class'}, which is not supported; write the characters themselves, and \\[ for "["`,
    );
  className.lastIndex = at;
  const [whole, name] = className.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const characters = Object.entries(classes).find(([known]) => known === name)?.[1];
  if (characters !== undefined) return { characters, end: at + whole.length };
  const all = Object.keys(classes).map((known) => `[:${known}:]`);
  throw new Error(`there is no class ${whole}; there are ${all.join(', ')}`);
}
