import type { Fetched, SourceAddress } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { TemplateScene } from './consul-template/function.ts';
import type { Entry } from './data/gather.ts';
import { consulTemplateDelimiters, envDelimiters, liquidDelimiters } from './delimiters.ts';
import type { RenderOptions } from './options.ts';
import type { Template } from './templates.ts';

/** All that templates can name. */
export interface Data {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly environment: Environment;
  /** Variables that are not UTF-8, and so came to us changed. */
  readonly unreadable: ReadonlySet<string>;
}

/** Reads what a template asks for while it is rendered, each thing once for all of them. @throws Failure */
export type ReadWhileRendering = (address: SourceAddress) => Promise<Fetched>;

/** What a template reads by itself, beside the data. */
export interface TemplateReads {
  /** What it surely reads. */
  readonly known: readonly SourceAddress[];
  /** One of each kind of what it may read: what has to be opened for it. */
  readonly kinds: readonly SourceAddress[];
}

/** Everything that is wrong with a template: `3:5: …`, never a value. */
export interface Problems {
  readonly problems: readonly string[];
}

export interface MadeText {
  readonly text: string;
  /** All of it, where it is not UTF-8. */
  readonly bytes?: Uint8Array;
}

export type Made = MadeText | Problems;

/** Writes one template. */
export type Render = (data: Data, read: ReadWhileRendering) => Made | Promise<Made>;

/** A template that was read. */
export interface Compiled {
  readonly render: Render;
  readonly reads: TemplateReads;
}

/** Reads one template. */
export type Compile = (text: string) => Compiled | Problems;

/** Problems told at once. */
const shown = 50;

/** @throws UsageError where options do not go with the language */
export function checkLanguage({ language, only, delimiters }: RenderOptions): void {
  if (language !== 'env' && only.length > 0)
    throw new UsageError(`--only is for the language env: ${language} names what it replaces`);
  if (delimiters !== undefined) readDelimiters[language](delimiters);
}

const readDelimiters: Readonly<Record<RenderOptions['language'], (words: readonly string[]) => unknown>> = {
  env: envDelimiters,
  liquid: liquidDelimiters,
  'consul-template': consulTemplateDelimiters,
};

const readsNothing: TemplateReads = { known: [], kinds: [] };

/** For a language whose templates read nothing by themselves. */
function withoutReads(compile: (text: string) => Render | Problems): Compile {
  return (text) => {
    const made = compile(text);
    return 'problems' in made ? made : { render: made, reads: readsNothing };
  };
}

/** @throws UsageError where options do not go with the language */
export async function compilerOf(
  options: RenderOptions,
  scene: TemplateScene,
  signal: AbortSignal,
): Promise<Compile> {
  checkLanguage(options);
  if (options.language === 'consul-template')
    return (await import('./consul-template/language.ts')).consulTemplateCompiler(options, scene, signal);
  if (options.language === 'env')
    return withoutReads((await import('./env/language.ts')).envCompiler(options));
  return withoutReads((await import('./liquid.ts')).liquidCompiler(options, signal));
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
