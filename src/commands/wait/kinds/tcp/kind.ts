import { isIP } from '../../../../clients/dns/ip-address.ts';
import { connectTarget } from '../../../wait-tcp/run.ts';
import { endpointName, parseEndpoint } from '../../../wait-tcp/target.ts';
import { defineKind } from '../../kind.ts';

export const tcp = defineKind({
  options: {},
  read({ address }, { secret }) {
    const endpoint = parseEndpoint(address, secret);
    return {
      name: endpointName(endpoint),
      open: (context) => ({
        ...connectTarget(endpoint, context),
        stages: endpoint.kind === 'tcp' && !isIP(endpoint.host) ? ['dns', 'tcp'] : ['tcp'],
      }),
    };
  },
});
