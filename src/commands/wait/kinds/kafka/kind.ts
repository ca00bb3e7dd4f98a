import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { attemptKafka, type KafkaDemands } from '../../../../clients/kafka/attempt.ts';
import { saslMechanisms } from '../../../../clients/kafka/login.ts';
import { quotedValue } from '../../../../core/misplaced-secret.ts';
import { integer, list, oneOf, valueOr } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const count = (description: string) =>
  valueOr({ description, placeholder: 'COUNT', parse: integer({ min: 1 }), fallback: '1' });

const kafkaOptions = {
  ...credentialOptions,
  'sasl-mechanism': oneOf({
    description: 'how the user logs in',
    choices: saslMechanisms,
    fallback: 'PLAIN',
  }),
  brokers: count('how many brokers must have joined'),
  topic: list({ description: 'a topic that must be there', placeholder: 'NAME', parse: parseTopic }),
  partitions: count('how many partitions each topic must have at least'),
  'in-sync': count('how many replicas of each partition must be in sync'),
  ...tlsTargetOptions,
};

export const kafka = defineKind({
  options: kafkaOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: scheme === 'kafkas' ? 9093 : 9092, several: true }, around);
    if (url.path !== '')
      throw new Error('nothing follows the hosts of a Kafka URL; a topic is written ?topic=NAME');
    const { endpoints } = url;
    checkTls(options, scheme, 'kafkas');
    const { user, password } = readCredentials(url, options, around);
    if (user !== undefined && password === undefined && around.environment !== undefined)
      throw new UsageError(
        `the user ${JSON.stringify(user)} has no password; give password-file or password-env`,
      );
    if (options.topic.length === 0 && (options.partitions > 1 || options['in-sync'] > 1))
      throw new UsageError('partitions and in-sync are those of a topic; give topic');
    const name = endpoints.map(endpointName).join(',');
    return {
      name,
      open(context) {
        const given = readCredentials(url, options, context);
        const tls = scheme === 'kafkas' ? readTls(options, context.environment) : undefined;
        const demands: KafkaDemands = {
          endpoints,
          tls,
          login:
            given.user === undefined
              ? undefined
              : { user: given.user, password: given.password, mechanism: options['sasl-mechanism'] },
          brokers: options.brokers,
          topics: options.topic,
          partitions: options.partitions,
          inSync: options['in-sync'],
        };
        const tools = serverTools(context);
        const stages = serverStages(endpoints, {
          tls: tls !== undefined,
          login: demands.login !== undefined,
          assertion: true,
        });
        return { name, stages, attempt: (probe) => attemptKafka(demands, tools, probe) };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseTopic(given: string): string {
  // Topic.validate of Kafka.
  if (!/^[\w.-]{1,249}$/.test(given) || given === '.' || given === '..')
    throw new Error(`${quotedValue(given, 60)} is not the name of a topic`);
  return given;
}
