import { UsageError } from '../../core/outcome.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { absolutePath } from '../../fs/directory/pinned-path.ts';
import { inputKind, namesInInput, whyUnread } from '../../fs/input-file.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { isPattern, NamePattern } from '../../fs/tree/name-pattern.ts';
import type { SourceRoot } from './sources.ts';

/** A source that is to be opened. */
export interface NamedSource {
  readonly text: string;
  /** Where a pattern stands for it: the folder in which the pattern begins, out of which nothing leads. */
  readonly base: string | undefined;
}

/** Each holds a descriptor: a folder with more is copied as a folder. */
const mostMatches = 1000;

/** @throws UsageError where a pattern is not one */
export function checkPattern(text: string): void {
  if (isPattern(text)) componentsOf(text);
}

/**
 * Finds what the patterns among the sources stand for, in the order of names, each pattern in its place. No shell does it
 * in a plan or in an image without one.
 * @param optional whether a pattern may stand for nothing
 * @throws UsageError
 */
export function expandSources(
  texts: readonly string[],
  exclude: Exclude | undefined,
  optional: boolean,
): readonly NamedSource[] {
  const found: NamedSource[] = [];
  for (const text of texts) {
    if (!isPattern(text)) {
      found.push({ text, base: undefined });
      continue;
    }
    const matches = matchesOf(text, exclude);
    if (matches.length === 0 && !optional)
      throw new UsageError(
        `${text} matches nothing; is it a path of this image, or of a volume mounted here? With --if-exists it may`,
      );
    if (matches.length > mostMatches)
      throw new UsageError(
        `${text} matches ${matches.length} names, over the limit of ${mostMatches}; name the folder, and --exclude what is not to be copied`,
      );
    found.push(...matches);
  }
  return found;
}

/** @throws UsageError where what a pattern stands for is somewhere else, through a link */
export function checkInBase({ text, base }: NamedSource, baseReal: string, { real }: SourceRoot): void {
  if (base === undefined || isWithin(real, baseReal)) return;
  throw new UsageError(
    `${text} leads out of ${base}, to ${real}; a pattern follows no such link: name it by itself, or --exclude it`,
  );
}

type Component = string | NamePattern;

/** @throws UsageError */
function componentsOf(text: string): readonly Component[] {
  return absolutePath(text)
    .split('/')
    .filter((part) => part !== '')
    .map((part) => {
      if (!isPattern(part) && !part.includes('\\')) return part;
      let pattern: NamePattern;
      try {
        pattern = new NamePattern(part);
      } catch (error) {
        throw new UsageError(`${text} is not a pattern: ${(error as Error).message}`, { cause: error });
      }
      if (pattern.hasDoubleStar)
        throw new UsageError(`${text}: ** is not supported; a folder is copied with all that is in it`);
      return pattern;
    });
}

function matchesOf(text: string, exclude: Exclude | undefined): readonly NamedSource[] {
  const components = componentsOf(text);
  const first = components.findIndex((one) => one instanceof NamePattern);
  const named = components.slice(0, first).filter((one) => typeof one === 'string');
  const base = `/${named.join('/')}`;
  const isLeft = (path: string): boolean =>
    exclude?.(path.slice(base === '/' ? 1 : base.length + 1)) !== true;
  let paths = [base];
  for (const [index, component] of components.slice(first).entries()) {
    const foldersOnly = first + index < components.length - 1 || text.endsWith('/');
    const next = paths.flatMap((path) => below(path, component, { foldersOnly, isLeft }));
    paths = foldersOnly ? next.filter((path) => kindOf(path) === 'folder') : next;
  }
  return paths.map((path) => ({ text: path, base }));
}

interface Wanted {
  readonly foldersOnly: boolean;
  readonly isLeft: (path: string) => boolean;
}

function below(path: string, component: Component, { foldersOnly, isLeft }: Wanted): string[] {
  const join = (name: string): string => `${path === '/' ? '' : path}/${name}`;
  if (typeof component === 'string') {
    const whole = join(component);
    return isLeft(whole) && kindOf(whole) !== undefined ? [whole] : [];
  }
  try {
    return namesInInput(
      path,
      (name, mayBeFolder) =>
        // Names with two dots are how a volume keeps its versions, and what runs of initbox prepare.
        !name.startsWith('..') &&
        component.matchesAsInShell(name) &&
        isLeft(join(name)) &&
        (!foldersOnly || mayBeFolder()),
    ).map(join);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new UsageError(`${path} ${whyUnread(error)}`, { cause: error });
  }
}

function kindOf(path: string): ReturnType<typeof inputKind> {
  try {
    return inputKind(path);
  } catch (error) {
    throw new UsageError(`${path} ${whyUnread(error)}`, { cause: error });
  }
}
