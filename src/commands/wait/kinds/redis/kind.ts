import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { attemptRedis } from '../../../../clients/redis/attempt.ts';
import { flag, list, parseText, secret, text } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { parsePattern, patternSearch, patternTime, type PatternSearch } from '../../../../core/pattern.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const redisOptions = {
  ...credentialOptions,
  primary: flag({ description: 'it must be a primary that takes writes' }),
  key: list({ description: 'a key that must be there', placeholder: 'NAME', parse: parseText }),
  matches: list({
    description: 'a regular expression that must match somewhere in the value of each key',
    placeholder: 'REGEX',
    parse: parsePattern,
  }),
  'sentinel-master': text({
    description: 'what the Sentinels that the URL names call the primary to wait for',
    placeholder: 'NAME',
  }),
  'sentinel-password': secret({ description: 'the file that holds the password of the Sentinels' }),
  ...tlsTargetOptions,
};

/** redis-cli's own (https://redis.io/docs/latest/develop/tools/cli/). */
const variables = { password: 'REDISCLI_AUTH' };

export const redis = defineKind({
  options: redisOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const master = options['sentinel-master'];
    const usual = master === undefined ? { port: 6379 } : { port: 26_379, several: true };
    const url = readServerUrl(address, usual, around);
    const database = databaseIn(url.path);
    const { endpoints } = url;
    if (options['sentinel-password'] !== undefined && master === undefined)
      throw new UsageError('sentinel-password-file has no effect without sentinel-master');
    if (options.matches.length > 0 && options.key.length === 0)
      throw new UsageError('matches looks into the value of a key; give key');
    readCredentials(url, options, around, variables);
    checkTls(options, scheme, 'rediss');
    const where = endpoints.map(endpointName).join(',');
    const name = `${where}${master === undefined ? '' : ` ${master}`}${url.path === '' ? '' : `/${database}`}`;
    return {
      name,
      open(context) {
        const credentials = readCredentials(url, options, context, variables);
        const tls = scheme === 'rediss' ? readTls(options, context.environment) : undefined;
        const demands = {
          endpoints,
          tls,
          sentinel: master === undefined ? undefined : { master, password: options['sentinel-password'] },
          ...credentials,
          database,
          primary: options.primary,
          keys: options.key,
        };
        const { matches } = options;
        const judgeOfAttempt = () =>
          matches.length === 0 ? undefined : valueJudge(matches, patternSearch(context.clock));
        const tools = serverTools(context);
        const stages = serverStages(endpoints, { tls: tls !== undefined, login: true, assertion: true });
        return {
          name,
          stages,
          attempt: (probe) => attemptRedis({ ...demands, judgeValue: judgeOfAttempt() }, tools, probe),
        };
      },
    };
  },
});

/** Says which pattern is not in a value; not the value, which may be a secret. */
function valueJudge(
  patterns: readonly RegExp[],
  search: PatternSearch,
): (value: string) => Promise<string | undefined> {
  return async (value) => {
    for (const pattern of patterns) {
      const matched = await search(pattern, value);
      if (matched === undefined)
        return `takes longer than ${patternTime}ms to be matched with ${pattern.source}`;
      if (!matched) return `does not match ${pattern.source}`;
    }
    return undefined;
  };
}

/** @throws Error that says what is accepted */
function databaseIn(path: string): number {
  if (path === '') return 0;
  if (!/^\d{1,6}$/.test(path))
    throw new Error(
      'what follows the host of a redis URL is the number of a database, as redis://HOST:6379/0',
    );
  return Number(path);
}
