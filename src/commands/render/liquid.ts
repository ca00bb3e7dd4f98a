import { createLiquid, LiquidProblem } from '../../clients/liquid.ts';
import { liquidDelimiters } from './delimiters.ts';
import { outputText, quotingFilters } from './filters.ts';
import type { Data, Made, Problems } from './language.ts';
import type { RenderOptions } from './options.ts';

/** Milliseconds for one template: far beyond any, and signals wait for it. */
const longest = 5000;

/** The language `liquid`. */
export function liquidCompiler(
  { delimiters, 'max-size': largest }: Pick<RenderOptions, 'delimiters' | 'max-size'>,
  signal: AbortSignal,
): (text: string) => ((data: Data) => Promise<Made>) | Problems {
  const read = createLiquid({
    delimiters: delimiters && liquidDelimiters(delimiters),
    filters: quotingFilters,
    output: outputText,
    largest,
    longest,
    signal,
  });
  // The same for all templates of a run; the names beside it are each template's own, as `increment` makes some.
  let last: { readonly data: Data; readonly env: object } | undefined;
  const namesFor = (data: Data): Record<string, unknown> => {
    if (last?.data !== data) last = { data, env: variablesOf(data) };
    return namesOf(data, last.env);
  };
  return (text) => {
    try {
      const template = read(text);
      return async (data) => {
        try {
          return { text: await template.render(namesFor(data)) };
        } catch (error) {
          return problemsOf(error);
        }
      };
    } catch (error) {
      return problemsOf(error);
    }
  };
}

/** @throws what is none */
function problemsOf(error: unknown): Problems {
  if (!(error instanceof LiquidProblem)) throw error;
  const lines = error.issues.map(({ line, column, message }) => `${line}:${column}: ${message}`);
  return { problems: [...new Set(lines)] };
}

/** No prototypes at the top: a template names data and nothing else. */
function namesOf({ entries }: Data, env: object): Record<string, unknown> {
  const names = Object.create(null) as Record<string, unknown>;
  for (const [name, { value }] of entries) names[name] = value;
  names['env'] = env;
  return names;
}

function variablesOf({ environment, unreadable }: Data): object {
  const env = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(environment)) if (!unreadable.has(name)) env[name] = value;
  return env;
}
