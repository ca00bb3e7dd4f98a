import picomatch from 'picomatch';

import type { Where } from './visitor.ts';

/**
 * Whether an entry is left out, with all that is below it. `path` is relative to the top of the tree; a walk says which
 * directory holds the entry.
 */
export type Exclude = (path: string, where?: Where) => boolean;

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
    return picomatch(anchored, { dot: true, basename, strictBrackets: true, nonegate: true });
  });
  return (path) => matchers.some((matches) => matches(path));
}

/**
 * Whether a name is one that a shell's pattern stands for (glob(7)): `*`, `?` and `[…]`; one that begins with a dot only
 * where the pattern does. No braces, and `**` is `*`.
 */
export function compileName(pattern: string): (name: string) => boolean {
  return picomatch(pattern, {
    dot: false,
    nobrace: true,
    noextglob: true,
    noglobstar: true,
    nonegate: true,
    strictBrackets: true,
  });
}
