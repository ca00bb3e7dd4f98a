import { checkPair } from '../../clients/http/options.ts';
import { checkSources } from '../../clients/sources/check.ts';
import type { SourceAddress } from '../../config/source.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import { checkBesideSpec, checkWords } from './job.ts';
import type { fetchOptions } from './options.ts';
import { checkUnpack } from './unpack/usage.ts';

/**
 * Checks what can be told without a file or a server.
 * @throws UsageError, as runFetchConfig does for the same
 */
export async function checkFetchConfig(
  { options, positionals: given, command }: Input<typeof fetchOptions, readonly SourceAddress[]>,
  { environment, ...around }: Surroundings,
): Promise<void> {
  if (options.unpack) checkUnpack(given, options);
  else if (options.spec !== undefined) checkBesideSpec(given, options);
  else checkWords(given, options, command !== undefined);
  checkPair(options);
  if (environment !== undefined)
    await checkSources(
      given.filter(({ scheme }) => !options.optional || scheme !== 'env'),
      options,
      { ...around, environment },
    );
}
