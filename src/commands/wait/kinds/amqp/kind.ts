import { attemptAmqp, type AmqpDemands } from '../../../../clients/amqp/attempt.ts';
import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { quotedValue } from '../../../../core/misplaced-secret.ts';
import { list } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { Secret } from '../../../../core/redaction/redactor.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const amqpOptions = {
  ...credentialOptions,
  queue: list({ description: 'a queue that must be there', placeholder: 'NAME', parse: parseShort }),
  exchange: list({ description: 'an exchange that must be there', placeholder: 'NAME', parse: parseShort }),
  ...tlsTargetOptions,
};

/** RabbitMQ's own (https://www.rabbitmq.com/docs/access-control#default-state). */
const guest = 'guest';

export const amqp = defineKind({
  options: amqpOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: scheme === 'amqps' ? 5671 : 5672 }, around);
    // https://www.rabbitmq.com/docs/uri-spec: without one it is the usual one, `/`, which is written %2F.
    const vhost = url.path === '' ? '/' : parseShort(url.path);
    const [endpoint] = url.endpoints;
    const { user, password } = readCredentials(url, options, around);
    if (user !== undefined && password === undefined && around.environment !== undefined)
      throw new UsageError(
        `the user ${JSON.stringify(user)} has no password; give password-file or password-env`,
      );
    checkTls(options, scheme, 'amqps');
    const name = `${endpointName(endpoint)}${vhost === '/' ? '' : `/${vhost}`}`;
    return {
      name,
      open(context) {
        const given = readCredentials(url, options, context);
        const tls = scheme === 'amqps' ? readTls(options, context.environment) : undefined;
        const demands: AmqpDemands = {
          place: { endpoint, tls },
          user: given.user ?? guest,
          password: given.password ?? new Secret(guest),
          vhost,
          queues: options.queue,
          exchanges: options.exchange,
        };
        const tools = serverTools(context);
        const stages = serverStages([endpoint], {
          tls: tls !== undefined,
          login: true,
          assertion: options.queue.length + options.exchange.length > 0,
        });
        return { name, stages, attempt: (probe) => attemptAmqp(demands, tools, probe) };
      },
    };
  },
});

/** A short string of the protocol. @throws Error that says what is accepted */
function parseShort(given: string): string {
  if (given === '' || Buffer.byteLength(given) > 255 || /\p{Cc}/u.test(given))
    throw new Error(`${quotedValue(given, 60)} is not a name of 1 to 255 bytes`);
  return given;
}
