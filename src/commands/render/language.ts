import type { Environment } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Entry } from './data/gather.ts';
import { envDelimiters, liquidDelimiters } from './delimiters.ts';
import type { RenderOptions } from './options.ts';
import type { Template } from './templates.ts';

/** All that templates can name. */
export interface Data {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly environment: Environment;
  /** Variables that are not UTF-8, and so came to us changed. */
  readonly unreadable: ReadonlySet<string>;
}

/** Everything that is wrong with a template: `3:5: …`, never a value. */
export interface Problems {
  readonly problems: readonly string[];
}

export type Made = { readonly text: string } | Problems;

/** Writes one template. */
export type Render = (data: Data) => Made | Promise<Made>;

/** Reads one template. */
export type Compile = (text: string) => Render | Problems;

/** Problems told at once. */
const shown = 50;

/** @throws UsageError where options do not go with the language */
export function checkLanguage({ language, only, delimiters }: RenderOptions): void {
  if (language === 'liquid' && only.length > 0)
    throw new UsageError('--only is for the language env: liquid names what it replaces');
  if (delimiters !== undefined) (language === 'env' ? envDelimiters : liquidDelimiters)(delimiters);
}

/** @throws UsageError where options do not go with the language */
export async function compilerOf(options: RenderOptions, signal: AbortSignal): Promise<Compile> {
  checkLanguage(options);
  if (options.language === 'env') return (await import('./env/language.ts')).envCompiler(options);
  return (await import('./liquid.ts')).liquidCompiler(options, signal);
}

/**
 * Does the same for all templates and gathers what is wrong with any of them.
 * @throws UsageError with all of it
 */
export async function forAll<T extends { readonly template: Template }, R extends object>(
  items: readonly T[],
  what: (item: T) => R | Problems | Promise<R | Problems>,
): Promise<(T & { readonly made: R })[]> {
  const problems: string[] = [];
  const made: (T & { readonly made: R })[] = [];
  for (const item of items) {
    const result = await what(item);
    if ('problems' in result) problems.push(...result.problems.map((one) => `${item.template.path}:${one}`));
    else made.push({ ...item, made: result });
  }
  if (problems.length === 0) return made;
  const more = problems.length > shown ? [`and ${problems.length - shown} more`] : [];
  throw new UsageError([...problems.slice(0, shown), ...more]);
}
