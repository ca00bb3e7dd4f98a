import { quoted } from '../../core/misplaced-secret.ts';
import { expandBraces } from './braces.ts';
import { NamePattern } from './name-pattern.ts';
import type { Where } from './visitor.ts';

/**
 * Whether an entry is left out, with all that is below it. `path` is relative to the top of the tree; a walk says which
 * directory holds the entry.
 */
export type Exclude = (path: string, where?: Pick<Where, 'path'>) => boolean;

/** Any number of folders, also none. */
const folders = '**';
type Part = typeof folders | NamePattern;

/**
 * A pattern without a slash is about a name at any depth, one with a slash about the path below the top, as in
 * .gitignore and rsync. Names that begin with a dot are matched like others.
 * @throws Error where a pattern is not one
 */
export function compileExclude(patterns: readonly string[]): Exclude {
  const matchers = patterns.map(matcherOf);
  return (path) => matchers.some((matches) => matches(path));
}

function matcherOf(pattern: string): Exclude {
  const isName = !pattern.replace(/\/+$/, '').includes('/');
  let paths: readonly Part[][];
  try {
    paths = expandBraces(pattern).map((text) => partsOf(text));
  } catch (error) {
    throw new Error(`${quoted(pattern)} is not a pattern: ${(error as Error).message}`, { cause: error });
  }
  if (paths.some((parts) => parts.length === 0))
    throw new Error(`${quoted(pattern)} matches nothing below the top; write a name or a path below it`);
  if (!isName) return (path) => paths.some((parts) => matchesPath(parts, path.split('/')));
  const names = paths.map(([part]) => (part instanceof NamePattern ? part : new NamePattern('*')));
  return (path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return names.some((one) => one.matches(name));
  };
}

/** @throws Error where a part is not a pattern */
function partsOf(text: string): Part[] {
  return text
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => {
      if (part === '..') throw new Error('.. leads out of the top; write a name or a path below it');
      return part === folders ? folders : new NamePattern(part);
    });
}

/** As with the stars in a name, only the last one is ever tried again. */
function matchesPath(parts: readonly Part[], names: readonly string[]): boolean {
  let [at, next, last, resume] = [0, 0, -1, 0];
  while (at < names.length) {
    const part = parts[next];
    if (part === folders) {
      last = next++;
      resume = at;
    } else if (part !== undefined && part.matches(names[at] as string)) {
      at++;
      next++;
    } else if (last >= 0) {
      at = ++resume;
      next = last + 1;
    } else return false;
  }
  while (parts[next] === folders) next++;
  return next === parts.length;
}
