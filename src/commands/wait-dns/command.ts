import { isIP } from '../../clients/dns/ip-address.ts';
import { recordTypes } from '../../clients/dns/query.ts';
import { readResolvConf, type ResolverConfig } from '../../clients/dns/resolv-conf.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { defineCommand, each } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { choiceParser, integer, list, parseText, value, valueOr } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { notYet, type NotYet, type Probe, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { attemptLookup, type Expectation } from './attempt.ts';
import { parseName } from './name.ts';
import { parseServer, type Server, serverAt } from './server.ts';
import { parseService, serviceHost } from './service.ts';

const positionals = {
  usage: '[NAME…]',
  name: 'names',
  description: 'names to resolve; none are needed beside --service',
  parse: each('name', parseName, { min: 0, example: 'initbox wait-dns postgres-service' }),
};

export const waitDns = defineCommand({
  name: 'wait-dns',
  summary: 'wait until names resolve',
  description: `Waits until every name resolves, as a pod resolves it: the hosts file, then the name servers of resolv.conf with its search list and ndots; a trailing dot means the name as it is. Every attempt asks anew. While it waits it says which of the expanded names got NXDOMAIN, which SERVFAIL, which no answer.

A name is no endpoint: a Service with a cluster IP resolves before anything serves it. Wait for its port with wait-tcp, or for a headless Service's pods with --min-addresses.`,
  examples: [
    'initbox wait-dns postgres-service.default.svc.cluster.local',
    'initbox wait-dns --service postgres-service',
    'initbox wait-dns --service kafka.streaming --min-addresses 3',
    'initbox wait-dns --type SRV _postgresql._tcp.db.default.svc.cluster.local',
    'initbox wait-dns api.internal --server 10.96.0.10 --expect 10.0.0.4',
  ],
  positionals,
  options: {
    service: list({
      description:
        'a Service of this cluster: its full name is made from the pod’s namespace and the cluster’s domain',
      placeholder: 'NAME[.NAMESPACE]',
      parse: parseService,
    }),
    type: list({
      description: 'the record types to ask for, of which one with records is enough; unset, A and AAAA',
      placeholder: recordTypes.join('|'),
      parse: (given: string) => choiceParser(recordTypes)(given.toUpperCase()),
      choices: recordTypes,
    }),
    'min-addresses': valueOr({
      description:
        'how many records of one type the answer must have, as one of each pod behind a headless Service',
      placeholder: 'COUNT',
      parse: integer({ min: 1, max: 100_000 }),
      fallback: '1',
    }),
    expect: list({
      description: 'a record that must be among the answers',
      placeholder: 'ADDRESS',
      parse: parseText,
    }),
    server: value({
      description: 'the name server to ask, instead of those of resolv.conf and the hosts file',
      placeholder: 'HOST[:PORT]',
      parse: parseServer,
    }),
    ...waitOptions,
  },
  afterDashes: 'successor',
  timeout: '5m',
  check({ options, positionals: given }) {
    if (given.length + options.service.length === 0) throw noName();
  },
  async run({ options, positionals: given }, context) {
    const config = readResolvConf(context.paths.resolvConf);
    const services = options.service.map((name) => serviceHost(name, config, context.paths.serviceAccount));
    const names = [...new Set([...given, ...services])];
    if (names.length === 0) throw noName();
    const expectation = {
      types: options.type.length > 0 ? options.type : (['A', 'AAAA'] as const),
      minAddresses: options['min-addresses'],
      expected: options.expect,
    };
    checkExpected(expectation);
    const hosts = options.server === undefined ? context.paths.hosts : undefined;
    const asked = serversOf(options.server, config, context);
    context.log.debug(
      `name servers ${options.server === undefined ? `${config.servers.join(', ')} (${config.origin})` : `${serverAt(options.server.host, options.server.port)} (--server)`}; search ${config.search.join(' ')}; ndots ${config.ndots}`,
    );
    const targets = names.map((name): Target => ({
      name,
      async attempt(probe) {
        const servers = await asked(probe);
        return 'state' in servers
          ? servers
          : attemptLookup(name, expectation, { ...config, servers }, hosts, probe);
      },
    }));
    return waitOutcome(await waitFor(targets, waitPlanOf(options, targets.length), context));
  },
});

function noName(): UsageError {
  return new UsageError('no name was given; for example: initbox wait-dns --service postgres-service');
}

type Servers = (probe: Probe) => Promise<readonly string[] | NotYet>;

/** The name servers to ask; one that is given by name is itself resolved first, at every attempt. */
function serversOf(server: Server | undefined, config: ResolverConfig, context: Context): Servers {
  if (server === undefined) return async () => config.servers;
  if (isIP(server.host)) return async () => [serverAt(server.host, server.port)];
  const resolve = createResolver(context.paths);
  return async (probe) => {
    const answer = await resolve(server.host, probe);
    if (answer.state === 'found') return answer.addresses.map((address) => serverAt(address, server.port));
    // Not "absent": that the server is unknown proves nothing about what it would be asked.
    return notYet(`the name server ${server.host} is unknown: ${answer.reason}`, { hint: answer.hint });
  };
}

/** @throws UsageError where a record is expected that no answer can have */
function checkExpected({ types, expected }: Expectation): void {
  if (types.some((type) => type !== 'A' && type !== 'AAAA')) return;
  for (const record of expected) {
    const family = isIP(record);
    if (family === 0)
      throw new UsageError(
        `--expect: "${record}" is no IP address, as all records are of the types ${types.join(', ')}`,
      );
    if (!types.includes(family === 6 ? 'AAAA' : 'A'))
      throw new UsageError(
        `--expect: ${record} is an IPv${family} address, and only ${types.join(', ')} records are asked for`,
      );
  }
}
