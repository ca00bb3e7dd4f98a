import { endpointName, parseEndpoint } from '../../../../clients/connection/endpoint.ts';
import { isIP } from '../../../../clients/dns/ip-address.ts';
import { text } from '../../../../core/options/option.ts';
import type { WaitStage } from '../../../../wait/stage.ts';
import { connectOptions } from '../../../wait-tcp/options.ts';
import { connectTarget } from '../../../wait-tcp/run.ts';
import { defineKind } from '../../kind.ts';

const tcpOptions = {
  ...connectOptions,
  expect: text({
    description:
      'a text that the server must say, such as 220 of SMTP; an open port alone is not enough then',
    placeholder: 'TEXT',
  }),
  send: text({
    description: 'a text to send first, where the server speaks only when it is asked; %0D%0A ends a line',
    placeholder: 'TEXT',
  }),
};

export const tcp = defineKind({
  options: tcpOptions,
  read({ address, options }, { secret }) {
    const endpoint = parseEndpoint(address, secret);
    const { expect, send, hold } = options;
    if (hold !== undefined && expect !== undefined)
      throw new Error('hold cannot be combined with expect: what the server says is proof enough');
    if (send !== undefined && expect === undefined)
      throw new Error('send has no effect without expect: nobody would look at the answer');
    const name = endpointName(endpoint);
    const stages: WaitStage[] = endpoint.kind === 'tcp' && !isIP(endpoint.host) ? ['dns', 'tcp'] : ['tcp'];
    if (expect === undefined)
      return {
        name,
        open: (context) => ({
          ...connectTarget(endpoint, context, hold),
          stages: hold ? [...stages, 'assertion'] : stages,
        }),
      };
    return {
      name,
      limit: 5000,
      async open(context) {
        const { bannerAttempts } = await import('./banner.ts');
        const attempt = bannerAttempts({ endpoint, send, expect }, context);
        return { name, stages: [...stages, 'assertion'], attempt };
      },
    };
  },
});
