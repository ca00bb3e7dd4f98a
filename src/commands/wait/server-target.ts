import type { Endpoint } from '../../clients/connection/endpoint.ts';
import type { TalkContext } from '../../clients/connection/talk.ts';
import { isIP } from '../../clients/dns/ip-address.ts';
import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import type { Context } from '../../core/context.ts';
import type { WaitStage } from '../../wait/stage.ts';

/** What a client of a server needs of the context; the answers of name servers are remembered for all attempts. */
export function serverTools(context: Context): TalkContext {
  return {
    resolve: remembered(createResolver(context), context.clock),
    clock: context.clock,
    redact: context.redactor.redact,
  };
}

/** The stages of a target that is a server, in their order: those that every attempt passes, and those that it has. */
export function serverStages(
  endpoints: readonly Endpoint[],
  has: { readonly tls: boolean; readonly login: boolean; readonly assertion: boolean },
): readonly WaitStage[] {
  const named = endpoints.some((endpoint) => endpoint.kind === 'tcp' && !isIP(endpoint.host));
  return [
    ...(named ? (['dns'] as const) : []),
    'tcp',
    ...(has.tls ? (['tls'] as const) : []),
    'protocol',
    ...(has.login ? (['login'] as const) : []),
    ...(has.assertion ? (['assertion'] as const) : []),
  ];
}
