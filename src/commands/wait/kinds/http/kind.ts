import { isIP } from '../../../../clients/dns/ip-address.ts';
import type { WaitStage } from '../../../../wait/stage.ts';
import { httpTargetOptions } from '../../../wait-http/options.ts';
import { checkWaitHttp, requestTargets } from '../../../wait-http/run.ts';
import { parseTarget, type HttpTarget } from '../../../wait-http/target.ts';
import { defineKind } from '../../kind.ts';

export const http = defineKind({
  options: httpTargetOptions,
  optionsBehind: '#',
  limit: 5000,
  read({ address, options }, around) {
    const target = parseTarget(address, around.secret);
    checkWaitHttp({ options, positionals: [target] }, around);
    return {
      name: target.name,
      open(context) {
        const requests = requestTargets(options, [target], context);
        return {
          ...requests.targetOf(target),
          stages: stagesOf(target),
          [Symbol.dispose]: () => requests[Symbol.dispose](),
        };
      },
    };
  },
});

function stagesOf({ url, socketPath }: HttpTarget): readonly WaitStage[] {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return [
    ...(socketPath === undefined && !isIP(host) ? (['dns'] as const) : []),
    'tcp',
    ...(url.protocol === 'https:' ? (['tls'] as const) : []),
    'protocol',
    'assertion',
  ];
}
