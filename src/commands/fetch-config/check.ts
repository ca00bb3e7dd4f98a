import { checkPair } from '../../clients/http/options.ts';
import { checkSources } from '../../clients/sources/check.ts';
import type { SourceAddress } from '../../config/source.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import { asksForTree, checkGit } from './git/usage.ts';
import { checkBesideSpec, checkWords } from './job.ts';
import type { fetchOptions } from './options.ts';
import { checkUnpack, fillsFolder } from './unpack/usage.ts';

/**
 * Checks what can be told without a file or a server.
 * @throws UsageError, as runFetchConfig does for the same
 */
export async function checkFetchConfig(
  { options, positionals: given, command }: Input<typeof fetchOptions, readonly SourceAddress[]>,
  { environment, ...around }: Surroundings,
): Promise<void> {
  if (options['print-role']) return;
  if (asksForTree(given, options)) checkGit(given, options);
  else if (fillsFolder(given, options)) checkUnpack(given, options);
  else if (options.spec !== undefined) checkBesideSpec(given, options);
  else checkWords(given, options, command !== undefined);
  checkPair(options);
  if (environment !== undefined)
    await checkSources(
      given.filter(({ scheme }) => !options.optional || (scheme !== 'env' && scheme !== 'ordinal')),
      options,
      { ...around, environment },
    );
}
