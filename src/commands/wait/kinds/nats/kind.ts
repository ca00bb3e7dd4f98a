import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { attemptNats } from '../../../../clients/nats/attempt.ts';
import { quoted } from '../../../../core/misplaced-secret.ts';
import { list, secret as secretOption } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { Secret } from '../../../../core/redaction/redactor.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const natsOptions = {
  ...credentialOptions,
  token: secretOption({ description: 'the file that holds the token, instead of user and password' }),
  stream: list({
    description: 'a stream of JetStream that must be there',
    placeholder: 'NAME',
    parse: parseStream,
  }),
  ...tlsTargetOptions,
};

/** Those of the tool nats. */
const variables = { user: 'NATS_USER', password: 'NATS_PASSWORD' };

export const nats = defineKind({
  options: natsOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: 4222 }, around);
    if (url.path !== '') throw new Error('nothing follows the host of a NATS URL; write nats://HOST:4222');
    const [endpoint] = url.endpoints;
    // A server of nats:// may ask for TLS, too.
    checkTls(options, 'natss', 'natss');
    const { user, password } = readCredentials(url, options, around, variables);
    // NATS' clients take a user alone, in a URL, for a token.
    if (url.user !== undefined && password === undefined) around.secret(url.user);
    if (options.token !== undefined && (user !== undefined || password !== undefined))
      throw new UsageError('the login is given by token-file and by a user; use one, not both');
    const name = endpointName(endpoint);
    return {
      name,
      open(context) {
        const given = readCredentials(url, options, context, variables);
        const token =
          options.token ??
          (url.user !== undefined && given.password === undefined ? new Secret(url.user) : undefined);
        const tools = serverTools(context);
        const demands = {
          endpoint,
          tls: readTls(options, context.environment),
          secure: scheme === 'natss',
          ...given,
          token,
          streams: options.stream,
        };
        const stages = serverStages([endpoint], {
          tls: demands.secure,
          login: true,
          assertion: options.stream.length > 0,
        });
        return { name, stages, attempt: (probe) => attemptNats(demands, tools, probe) };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseStream(given: string): string {
  if (!/^[^\s.*>/\\\p{Cc}]{1,255}$/u.test(given))
    throw new Error(`${quoted(given)} is not the name of a stream`);
  return given;
}
