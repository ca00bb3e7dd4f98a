import { quoted } from '../../core/misplaced-secret.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

export const copyExample = 'initbox copy /app/plugins /plugins';

export interface SourcesAndDestination {
  readonly sources: readonly string[];
  readonly destination: string;
}

export function parseSourcesAndDestination(given: readonly Given[]): SourcesAndDestination {
  if (given.length < 2)
    throw new UsageError(
      `${given.length === 0 ? 'no source and no DEST were given' : `one word was given, ${quoted(given[0]?.text ?? '')}: DEST comes after the sources`}; for example: ${copyExample}`,
    );
  everyOne(given, ({ text, origin }) => refuseUnexpanded('path', text, origin));
  const words = given.map(({ text }) => text);
  return { sources: words.slice(0, -1), destination: words.at(-1) ?? '' };
}
