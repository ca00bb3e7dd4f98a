import { quoted } from '../../core/misplaced-secret.ts';
import type { Values } from '../../core/options/option.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { type chownOptions, modeOptions } from './options.ts';
import { type OwnerText, parseNewOwner } from './owner.ts';

export const chownExample = 'initbox chown 1000:1000 /data';

export interface OwnerAndPaths {
  /** Undefined where the first word can only be a path. */
  readonly owner: OwnerText | undefined;
  /** All words, the owner's too: with --reference it is a path. */
  readonly words: readonly string[];
}

/** @throws UsageError where the words and flags do not fit together */
export function pathsOf(
  { owner, words }: OwnerAndPaths,
  given: Values<typeof chownOptions>,
): readonly string[] {
  const modesAlone =
    given.reference === undefined && owner === undefined && modeOptions.some((name) => isGiven(given[name]));
  if (given.reference === undefined && owner === undefined && !modesAlone)
    throw new UsageError(
      `no owner was given before ${quoted(words[0] ?? '')}, and no mode; for example: ${chownExample}`,
    );
  if (given.reference !== undefined && words.length > 1 && looksLikeOwner(words[0] as string))
    throw new UsageError(
      `both the owner ${words[0]} and --reference were given; use one, not both; a path of that name is written ./${words[0]}`,
    );
  const paths = given.reference === undefined && !modesAlone ? words.slice(1) : words;
  if (paths.length === 0)
    throw new UsageError(
      `no path was given; for example: ${chownExample}; where only modes are to change, begin the path with / or ./`,
    );
  if (modesAlone && given.policy === 'root-mismatch')
    throw new UsageError(
      '--policy root-mismatch goes by the owner of the top directory; give an owner, or leave it out',
    );
  if (given.create && given['if-exists']) throw new UsageError('--create and --if-exists cannot be combined');
  if (!given.recursive && given.exclude.length > 0)
    throw new UsageError('--exclude is about what lies below; it does nothing with --no-recursive');
  return paths;
}

function isGiven(value: string | boolean | undefined): boolean {
  return value !== undefined && value !== false;
}

/** Numbers with a colon, or alone: hardly a path. */
function looksLikeOwner(word: string): boolean {
  return /^\d*(:\d*)?$/.test(word);
}

/** The first word is the owner, unless it can only be a path (which --reference allows). */
export function parseOwnerAndPaths(given: readonly Given[]): OwnerAndPaths {
  if (given.length === 0)
    throw new UsageError(`no owner and no path were given; for example: ${chownExample}`);
  const [owner] = everyOne(given, (one) => (one === given[0] ? readOwner(one) : checkPath(one)));
  return { owner, words: given.map(({ text }) => text) };
}

function readOwner({ text, origin }: Given): OwnerText | undefined {
  const isPath = /^[./]/.test(text);
  refuseUnexpanded(isPath ? 'path' : 'name', text, origin);
  if (isPath) return undefined;
  try {
    return parseNewOwner(text);
  } catch (error) {
    throw new UsageError(`${origin}: ${(error as Error).message}`);
  }
}

function checkPath({ text, origin }: Given): undefined {
  if (text === '') throw new UsageError(`${origin}: the path is empty`);
  refuseUnexpanded('path', text, origin);
}
