import { endpointName, type Endpoint } from '../../clients/connection/endpoint.ts';
import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { attemptConnect } from '../../clients/tcp.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { warnOfMesh } from './mesh.ts';
import type { waitTcpOptions } from './options.ts';

/** Connects to every target until all accept. */
export async function runWaitTcp(
  { options, positionals: given }: Input<typeof waitTcpOptions, readonly Endpoint[]>,
  context: Context,
): Promise<Outcome> {
  const endpoints = new Map(given.map((endpoint) => [endpointName(endpoint), endpoint]));
  const targets = [...endpoints.values()].map((endpoint) => connectTarget(endpoint, context, options.hold));
  return waitOutcome(await waitFor(targets, waitPlanOf(options, targets.length), context));
}

/**
 * What connects to one of them.
 * @param hold milliseconds for which what was accepted must stay open
 */
export function connectTarget(
  endpoint: Endpoint,
  context: Pick<Context, 'paths' | 'clock' | 'log' | 'host'>,
  hold = 0,
): Target {
  const { clock } = context;
  const addresses = remembered(createResolver(context), clock);
  return {
    name: endpointName(endpoint),
    async attempt(probe) {
      const answer = await attemptConnect(endpoint, addresses, probe, clock, hold);
      if (hold === 0 && answer.state === 'satisfied') warnOfMesh(endpoint, context);
      return answer;
    },
  };
}
