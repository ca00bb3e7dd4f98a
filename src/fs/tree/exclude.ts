import picomatch from 'picomatch';

import type { Where } from './visitor.ts';

/**
 * Whether an entry is left out, with all that is below it. `path` is relative to the top of the tree; a walk says which
 * directory holds the entry.
 */
export type Exclude = (path: string, where?: Where) => boolean;

const plain = { noextglob: true, nonegate: true, posix: true } as const;

/** What is special to picomatch, and a character like others in glob(7). */
const special = /[()|+@\]]/;
const braces = /[{}]/;

/** Characters in brackets, `!` or `^` for all others, and `]` for itself where it comes first. */
const inBrackets = /^\[([!^]?)(\]?(?:\[:[a-z]+:\]|[^\]])*)\]/;

/**
 * A pattern as a shell has them (glob(7)), as picomatch reads it: `*`, `?` and `[…]`, in which `!` stands for all other
 * characters.
 * @param expands whether `{a,b}` stands for `a` and for `b`, as in bash(1)
 * @throws Error where a bracket is not closed
 */
function asInShell(pattern: string, expands: boolean): string {
  let text = '';
  for (let left = pattern; left !== '';) {
    const [whole, not, characters = ''] = inBrackets.exec(left) ?? [];
    if (whole !== undefined && characters !== '') {
      text += `[${not === '' ? '' : '^'}${characters.replace(/^\]|\\|\[(?!:[a-z]+:\])|\^/g, '\\$&')}]`;
      left = left.slice(whole.length);
      continue;
    }
    if (left.startsWith('[')) throw new Error('"[" has no "]"; write [[] for the character itself');
    const taken = left.startsWith('\\') ? 2 : 1;
    const part = left.slice(0, taken);
    text +=
      !part.startsWith('\\') && (special.test(part) || (!expands && braces.test(part))) ? `\\${part}` : part;
    left = left.slice(taken);
  }
  return text;
}

/**
 * A pattern without a slash is about a name at any depth, one with a slash about the path below the top, as in
 * .gitignore and rsync. Names that begin with a dot are matched like others.
 * @throws Error where a pattern is not one
 */
export function compileExclude(patterns: readonly string[]): Exclude {
  const matchers = patterns.map((pattern) => {
    const anchored = pattern.replace(/^\.?\/+/, '').replace(/\/+$/, '');
    if (anchored === '')
      throw new Error(`"${pattern}" matches nothing below the top; write a name or a path below it`);
    const basename = !pattern.replace(/\/+$/, '').includes('/');
    return picomatch(asInShell(anchored, true), { ...plain, dot: true, basename });
  });
  return (path) => matchers.some((matches) => matches(path));
}

/**
 * Whether a name is one that a shell's pattern stands for (glob(7)): `*`, `?` and `[…]`; one that begins with a dot only
 * where the pattern does. No braces, and `**` is `*`.
 */
export function compileName(pattern: string): (name: string) => boolean {
  return picomatch(asInShell(pattern, false), { ...plain, nobrace: true, dot: false, noglobstar: true });
}
