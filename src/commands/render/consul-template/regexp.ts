import { ValueFault } from './values.ts';

/** Letters behind a backslash that mean the same to RE2 and to JavaScript's flag `u`, and those that are written out. */
const classes: Readonly<Record<string, string>> = {
  d: '0-9',
  w: '0-9A-Za-z_',
  s: '\\t\\n\\f\\r ',
};
const posix: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  blank: '\\t ',
  digit: '0-9',
  lower: 'a-z',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  xdigit: '0-9A-Fa-f',
};

const unsupported = (what: string): ValueFault =>
  new ValueFault(`the pattern has ${what}, which is not supported here; write it another way`);

/**
 * A pattern of Go's regexp (https://pkg.go.dev/regexp/syntax) as one of JavaScript's: what means the same to both is taken over,
 * classes are written out, and all else is refused.
 * @throws ValueFault
 */
export function goPattern(pattern: string, flags: string): RegExp {
  let source = '';
  let own = '';
  let at = 0;
  const leading = /^\(\?([ims]+)\)/.exec(pattern);
  if (leading !== null) {
    own = leading[1] ?? '';
    at = leading[0].length;
  }
  while (at < pattern.length) {
    const rest = pattern.slice(at);
    const char = pattern.charAt(at);
    if (char === '[') {
      const [made, length] = charClass(rest);
      source += made;
      at += length;
    } else if (char === '\\') {
      const letter = pattern.charAt(at + 1);
      if (classes[letter.toLowerCase()] !== undefined)
        source += `[${letter === letter.toLowerCase() ? '' : '^'}${classes[letter.toLowerCase()]}]`;
      else if (letter === 'A') source += '(?<![\\s\\S])';
      else if (letter === 'z') source += '(?![\\s\\S])';
      else source += escaped(letter);
      at += 2;
    } else if (char === '.') {
      source += own.includes('s') ? '[\\s\\S]' : '[^\\n]';
      at++;
    } else if (char === '(' && pattern.charAt(at + 1) === '?') {
      const [opening, , groupName] = /^\(\?(:|P?<([A-Za-z_]\w*)>)/.exec(rest) ?? [];
      if (opening === undefined) throw unsupported('a group (?…) other than (?:…) and (?P<name>…)');
      source += groupName === undefined ? '(?:' : `(?<${groupName}>`;
      at += opening.length;
    } else if (char === '{' && !/^\{\d+(,\d*)?\}/.test(rest)) {
      // To Go a brace that begins no count is a character.
      source += '\\{';
      at++;
    } else if (char === '{') {
      const count = rest.slice(0, rest.indexOf('}') + 1);
      source += count;
      at += count.length;
    } else {
      source += char === '}' || char === ']' || char === '/' ? `\\${char}` : char;
      at++;
    }
  }
  try {
    return new RegExp(source, `${flags}u${own.includes('i') ? 'i' : ''}${own.includes('m') ? 'm' : ''}`);
  } catch (error) {
    throw new ValueFault('the pattern is not a regular expression', { cause: error });
  }
}

function escaped(letter: string): string {
  if (/^[tnfrvbB]$/.test(letter)) return `\\${letter}`;
  if (letter === '') throw unsupported('a backslash at its end');
  if (/[A-Za-z0-9]/.test(letter)) throw unsupported(`\\${letter}`);
  return /[\^$\\.*+?()[\]{}|/]/.test(letter) ? `\\${letter}` : letter;
}

/** A class in brackets, and how long it is. */
function charClass(rest: string): [made: string, length: number] {
  let at = 1;
  let made = '[';
  if (rest[at] === '^') {
    made += '^';
    at++;
  }
  // A bracket that comes first is a character.
  if (rest[at] === ']') {
    made += '\\]';
    at++;
  }
  for (;;) {
    const char = rest.charAt(at);
    if (char === '') throw new ValueFault('the pattern has a [ that is not closed');
    if (char === ']') return [`${made}]`, at + 1];
    if (char === '[') {
      const [whole, name] = /^\[:(\w+):\]/.exec(rest.slice(at)) ?? [];
      if (whole === undefined) made += '\\[';
      else if (name === undefined || posix[name] === undefined) throw unsupported(whole);
      else made += posix[name];
      at += whole?.length ?? 1;
    } else if (char === '\\') {
      const letter = rest.charAt(at + 1);
      if (classes[letter] !== undefined) made += classes[letter];
      else if (letter === '-') made += '\\-';
      else if (letter === 'b' || letter === 'B') throw unsupported(`\\${letter} in brackets`);
      else made += escaped(letter);
      at += 2;
    } else {
      made += /[()|{}/]/.test(char) ? `\\${char}` : char;
      at++;
    }
  }
}

/** Go's template of a replacement: `$1`, `${name}`, `$$`; what names no group is nothing (regexp.Expand). */
export function expanded(replacement: string, groups: ReadonlyMap<string, string | undefined>): string {
  return replacement.replace(
    /\$(?:(\$)|(\w+)|\{(\w+)\})/g,
    (_, dollar?: string, name?: string, braced?: string) =>
      dollar === undefined ? (groups.get(name ?? braced ?? '') ?? '') : '$',
  );
}
