import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  checkTls,
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { attemptZookeeper } from '../../../../clients/zookeeper/attempt.ts';
import { quoted } from '../../../../core/misplaced-secret.ts';
import { integer, list, valueOr } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

const zookeeperOptions = {
  ...credentialOptions,
  quorum: valueOr({
    description: 'how many of the servers must serve; each that does is part of a quorum',
    placeholder: 'COUNT',
    parse: integer({ min: 1 }),
    fallback: '1',
  }),
  node: list({
    description: 'a node that must be there, below the path of the URL',
    placeholder: '/PATH',
    parse: parseNode,
  }),
  ...tlsTargetOptions,
};

export const zookeeper = defineKind({
  options: zookeeperOptions,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const url = readServerUrl(address, { port: 2181, several: true }, around);
    const root = url.path === '' ? '' : parseNode(`/${url.path}`);
    // One that is named twice is one of the quorum.
    const endpoints = [...new Map(url.endpoints.map((one) => [endpointName(one), one])).values()];
    checkTls(options, scheme, 'zookeepers');
    readCredentials(url, options, around);
    if (options.quorum > endpoints.length)
      throw new UsageError(
        `quorum: ${options.quorum} servers cannot serve where the URL names ${endpoints.length}`,
      );
    const name = `${endpoints.map(endpointName).join(',')}${root}`;
    const nodes = options.node.length === 0 && root !== '' ? [root] : options.node.map((node) => root + node);
    return {
      name,
      open(context) {
        const credentials = readCredentials(url, options, context);
        const tls = scheme === 'zookeepers' ? readTls(options, context.environment) : undefined;
        const tools = serverTools(context);
        const demands = { endpoints, tls, ...credentials, quorum: options.quorum, nodes };
        const stages = serverStages(endpoints, {
          tls: tls !== undefined,
          login: credentials.user !== undefined,
          assertion: nodes.length > 0,
        });
        return { name, stages, attempt: (probe) => attemptZookeeper(demands, tools, probe) };
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseNode(given: string): string {
  if (!/^(?:\/[^/\p{Cc}]+)+$/u.test(given) || /(?:^|\/)\.{1,2}(?:\/|$)/.test(given))
    throw new Error(`${quoted(given)} is not the path of a node; write /PATH`);
  return given;
}
