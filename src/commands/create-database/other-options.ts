import { UsageError } from '../../core/outcome.ts';
import type { CreateDatabaseOptions } from './options.ts';

/** @throws UsageError where an option of another kind of server is given */
export function refuseOptionsOf(
  options: CreateDatabaseOptions,
  names: readonly (keyof CreateDatabaseOptions)[],
  kind: string,
  found: string,
): void {
  for (const name of names) {
    const given = options[name];
    if (given === undefined || (Array.isArray(given) && given.length === 0)) continue;
    throw new UsageError(`--${name} is an option for ${kind}, and the URL is one of ${found}`);
  }
}
