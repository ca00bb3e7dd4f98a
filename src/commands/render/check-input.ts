import { checkPair } from '../../clients/http/options.ts';
import { checkSources } from '../../clients/sources/check.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import { everyOne } from '../../core/outcome.ts';
import { checkNames } from './data/gather.ts';
import { addressesOf, parseDataRequest } from './data/request.ts';
import { checkInto } from './into/check-into.ts';
import { checkLanguage } from './language.ts';
import { requiredTo, type renderOptions } from './options.ts';

/**
 * Checks what can be told without a file or a server.
 * @throws UsageError, as runRender does for the same
 */
export async function checkRender(
  { options }: Input<typeof renderOptions, readonly string[]>,
  { environment, ...around }: Surroundings,
): Promise<void> {
  everyOne(
    [
      () => void requiredTo(options),
      () => void checkInto(options),
      () => checkLanguage(options),
      () => checkPair(options),
    ],
    (check) => check(),
  );
  const secret = (value: string): void => void around.redactor.secret(value);
  const requests = everyOne(options.data, (text) => parseDataRequest(text, secret));
  checkNames(requests, options.var);
  if (environment !== undefined)
    await checkSources(addressesOf(requests), options, { ...around, environment });
}
