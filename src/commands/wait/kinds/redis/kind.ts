import { attemptRedis } from '../../../../clients/redis/attempt.ts';
import { flag, list, parseText } from '../../../../core/options/option.ts';
import { endpointName } from '../../../wait-tcp/target.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../server-url.ts';

const redisOptions = {
  ...credentialOptions,
  primary: flag({ description: 'it must be a primary that takes writes' }),
  key: list({ description: 'a key that must be there', placeholder: 'NAME', parse: parseText }),
  ...tlsTargetOptions,
};

/** redis-cli's own (https://redis.io/docs/latest/develop/tools/cli/). */
const variables = { password: 'REDISCLI_AUTH' };

export const redis = defineKind({
  options: redisOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: 6379 }, around);
    const database = databaseIn(url.path);
    const [endpoint] = url.endpoints;
    readCredentials(url, options, around, variables);
    checkTls(options, scheme, 'rediss');
    const name = `${endpointName(endpoint)}${url.path === '' ? '' : `/${database}`}`;
    return {
      name,
      open(context) {
        const credentials = readCredentials(url, options, context, variables);
        const tls = scheme === 'rediss' ? readTls(options, context.environment) : undefined;
        const demands = {
          place: { endpoint, tls },
          ...credentials,
          database,
          primary: options.primary,
          keys: options.key,
        };
        const tools = serverTools(context);
        const stages = serverStages([endpoint], { tls: tls !== undefined, login: true, assertion: true });
        return { name, stages, attempt: (probe) => attemptRedis(demands, tools, probe) };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function databaseIn(path: string): number {
  if (path === '') return 0;
  if (!/^\d{1,6}$/.test(path))
    throw new Error(
      'what follows the host of a redis URL is the number of a database, as redis://HOST:6379/0',
    );
  return Number(path);
}
