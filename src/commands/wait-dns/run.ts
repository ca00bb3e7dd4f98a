import { isIP } from '../../clients/dns/ip-address.ts';
import { readResolvConf, type ResolverConfig } from '../../clients/dns/resolv-conf.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { serviceHost } from '../../clients/dns/service.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Values } from '../../core/options/option.ts';
import { UsageError, type Outcome } from '../../core/outcome.ts';
import { notYet, type NotYet, type Probe, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { attemptLookup, type Expectation } from './attempt.ts';
import { noName } from './name.ts';
import type { nameOptions, waitDnsOptions } from './options.ts';
import { serverAt, type Server } from './server.ts';

/** Resolves every name until all are as expected. */
export async function runWaitDns(
  { options, positionals: given }: Input<typeof waitDnsOptions, readonly string[]>,
  context: Context,
): Promise<Outcome> {
  const config = readResolvConf(context.paths.resolvConf);
  const services = options.service.map((name) => serviceHost(name, config, context.paths.serviceAccount));
  const names = [...new Set([...given, ...services])];
  if (names.length === 0) throw noName();
  const targets = names.map(lookupTargets(options, config, context));
  return waitOutcome(await waitFor(targets, waitPlanOf(options, targets.length), context));
}

/**
 * Makes of a name what resolves it.
 * @throws UsageError where a record is expected that no answer can have
 */
export function lookupTargets(
  options: Values<typeof nameOptions>,
  config: ResolverConfig,
  context: Pick<Context, 'paths' | 'log' | 'host'>,
): (name: string) => Target {
  const expectation = checkExpected(options);
  const hosts = options.server === undefined ? context.paths.hosts : undefined;
  const asked = serversOf(options.server, config, context);
  context.log.debug(
    `name servers ${options.server === undefined ? `${config.servers.join(', ')} (${config.origin})` : `${serverAt(options.server.host, options.server.port)} (--server)`}; search ${config.search.join(' ')}; ndots ${config.ndots}`,
  );
  return (name) => ({
    name,
    async attempt(probe) {
      const servers = await asked(probe);
      return 'state' in servers
        ? servers
        : attemptLookup(name, expectation, { ...config, servers }, hosts, probe);
    },
  });
}

type Servers = (probe: Probe) => Promise<readonly string[] | NotYet>;

/** The name servers to ask; one that is given by name is itself resolved first, at every attempt. */
function serversOf(
  server: Server | undefined,
  config: ResolverConfig,
  context: Pick<Context, 'paths' | 'host'>,
): Servers {
  if (server === undefined) return async () => config.servers;
  if (isIP(server.host)) return async () => [serverAt(server.host, server.port)];
  const resolve = createResolver(context);
  return async (probe) => {
    const answer = await resolve(server.host, probe);
    if (answer.state === 'found') return answer.addresses.map((address) => serverAt(address, server.port));
    // Not "absent": that the server is unknown proves nothing about what it would be asked.
    return notYet(`the name server ${server.host} is unknown: ${answer.reason}`, { hint: answer.hint });
  };
}

/** @throws UsageError where a record is expected that no answer can have */
export function checkExpected(
  options: Pick<Values<typeof nameOptions>, 'type' | 'min-addresses' | 'expect'>,
): Expectation {
  const types = options.type.length > 0 ? options.type : (['A', 'AAAA'] as const);
  const expected = options.expect;
  const expectation = { types, minAddresses: options['min-addresses'], expected };
  if (types.some((type) => type !== 'A' && type !== 'AAAA')) return expectation;
  for (const record of expected) {
    const family = isIP(record);
    if (family === 0)
      throw new UsageError(
        `--expect: "${record}" is not an IP address, as all records are of the types ${types.join(', ')}`,
      );
    if (!types.includes(family === 6 ? 'AAAA' : 'A'))
      throw new UsageError(
        `--expect: ${record} is an IPv${family} address, and only ${types.join(', ')} records are asked for`,
      );
  }
  return expectation;
}
