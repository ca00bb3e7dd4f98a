import { UsageError } from '../../core/outcome.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { absolutePath } from '../../fs/directory/pinned-path.ts';
import { inputKind, namesInInput, whyUnread } from '../../fs/input-file.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import type { SourceRoot } from './sources.ts';

/** A source that is to be opened. */
export interface NamedSource {
  readonly text: string;
  /** Where a pattern stands for it: the folder in which the pattern begins, out of which nothing leads. */
  readonly base: string | undefined;
}

/** Each holds a descriptor: a folder with more is copied as a folder. */
const mostMatches = 1000;

/** Whether a source is a pattern of names, as a shell has them; `[*]` is a star itself. */
export function isPattern(text: string): boolean {
  return /[*?[]/.test(text);
}

/** @throws UsageError where a pattern is not one */
export async function checkPattern(text: string): Promise<void> {
  if (isPattern(text)) await matchersOf(text);
}

/**
 * Finds what the patterns among the sources stand for, in the order of names, each pattern in its place. No shell does it
 * in a plan or in an image without one.
 * @param optional whether a pattern may stand for nothing
 * @throws UsageError
 */
export async function expandSources(
  texts: readonly string[],
  exclude: Exclude | undefined,
  optional: boolean,
): Promise<readonly NamedSource[]> {
  const found: NamedSource[] = [];
  for (const text of texts) {
    if (!isPattern(text)) {
      found.push({ text, base: undefined });
      continue;
    }
    const matches = await matchesOf(text, exclude);
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

type Component = { readonly literal: string } | { readonly matches: (name: string) => boolean };

/** @throws UsageError */
async function matchersOf(text: string): Promise<readonly Component[]> {
  const { compileName } = await import('../../fs/tree/exclude.ts');
  return absolutePath(text)
    .split('/')
    .filter((part) => part !== '')
    .map((part): Component => {
      if (!isPattern(part)) return { literal: part };
      if (part.includes('**'))
        throw new UsageError(`${text}: ** is not supported; a folder is copied with all that is in it`);
      try {
        return { matches: compileName(part) };
      } catch (error) {
        throw new UsageError(`${text} is not a pattern: ${(error as Error).message}`, { cause: error });
      }
    });
}

async function matchesOf(text: string, exclude: Exclude | undefined): Promise<readonly NamedSource[]> {
  const components = await matchersOf(text);
  const first = components.findIndex((one) => 'matches' in one);
  const literals = components.slice(0, first).map((one) => ('literal' in one ? one.literal : ''));
  const base = `/${literals.join('/')}`;
  let paths = [base];
  for (const [index, component] of components.slice(first).entries()) {
    const next = paths.flatMap((path) => below(path, component));
    const left = next.filter((path) => exclude?.(path.slice(base === '/' ? 1 : base.length + 1)) !== true);
    const last = first + index === components.length - 1;
    paths = last && !text.endsWith('/') ? left : left.filter((path) => kindOf(path) === 'folder');
  }
  return paths.map((path) => ({ text: path, base }));
}

function below(path: string, component: Component): string[] {
  const join = (name: string): string => `${path === '/' ? '' : path}/${name}`;
  if ('literal' in component) {
    const whole = join(component.literal);
    return kindOf(whole) === undefined ? [] : [whole];
  }
  try {
    // Names with two dots are how a volume keeps its versions, and what runs of initbox prepare.
    return namesInInput(path, (name) => !name.startsWith('..') && component.matches(name)).map(join);
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
