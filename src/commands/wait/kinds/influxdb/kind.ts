import {
  checkTls,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { remembered } from '../../../../clients/dns/remembered.ts';
import { createResolver } from '../../../../clients/dns/resolver.ts';
import { hasAuthorization, readHeaders } from '../../../../clients/http/headers.ts';
import { requestOptions } from '../../../../clients/http/options.ts';
import { readProxies } from '../../../../clients/http/proxy.ts';
import { secret as secretOption, value } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { parseTarget } from '../../../wait-http/target.ts';
import { defineKind } from '../../kind.ts';
import { serverStages } from '../../server-target.ts';

export const influxdb = defineKind({
  options: {
    version: value({
      description: 'the major version that it must have',
      placeholder: '1|2|3',
      choices: ['1', '2', '3'],
      parse: parseVersion,
    }),
    token: secretOption({ description: 'the file that holds the token to send' }),
    'header-file': requestOptions['header-file'],
    'header-env': requestOptions['header-env'],
    ...tlsTargetOptions,
  },
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: 8086 }, around);
    checkTls(options, scheme, 'influxdbs');
    if (url.user !== undefined || url.password !== undefined)
      throw new Error(`a ${scheme} URL has no user and password; give the token by token-file`);
    const [endpoint] = url.endpoints;
    if (endpoint.kind !== 'tcp') throw new Error(`the ${scheme} URL has no host`);
    const secure = scheme === 'influxdbs';
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    const prefix = url.path.replace(/\/+$/, '');
    const ping = parseTarget(
      `http${secure ? 's' : ''}://${host}:${endpoint.port}${prefix === '' ? '' : `/${encodeURI(prefix)}`}/ping`,
      around.secret,
    );
    const name = `${host}:${endpoint.port}${prefix === '' ? '' : `/${prefix}`}`;
    return {
      name,
      async open(context) {
        const headers = readHeaders({ ...options, user: undefined }, new Set(), context);
        if (options.token !== undefined && hasAuthorization(headers))
          throw new UsageError('token-file cannot be combined with the header Authorization, which it sets');
        const [{ createHttpClient, usualHttpLimits }, { attemptInfluxdb }] = await Promise.all([
          import('../../../../clients/http/transport.ts'),
          import('../../../../clients/influxdb/attempt.ts'),
        ]);
        const client = createHttpClient({
          resolve: remembered(createResolver(context), context.clock),
          clock: context.clock,
          proxy: readProxies(context, [ping.url]),
          tls: readTls(options, context.environment),
          patience: usualHttpLimits,
          parallel: 10,
          fresh: true,
          forgiving: true,
        });
        const demands = {
          client,
          version: options.version,
          request: {
            method: 'GET',
            url: ping.url,
            headers: {
              Accept: '*/*',
              ...(options.token === undefined ? {} : { Authorization: `Token ${options.token.reveal()}` }),
              ...headers,
            },
            ignoreBody: true,
            maxBody: 64 * 1024,
            maxBodyOrigin: 'its limit',
          },
        } as const;
        return {
          name,
          stages: serverStages([endpoint], { tls: secure, login: false, assertion: true }),
          attempt: (probe) => attemptInfluxdb(demands, probe),
          [Symbol.dispose]: () => client[Symbol.dispose](),
        };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseVersion(given: string): 1 | 2 | 3 {
  if (given === '1' || given === '2' || given === '3') return Number(given) as 1 | 2 | 3;
  throw new Error('expected 1, 2 or 3');
}
