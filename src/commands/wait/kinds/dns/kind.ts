import { readResolvConf } from '../../../../clients/dns/resolv-conf.ts';
import { parseName } from '../../../wait-dns/name.ts';
import { nameOptions } from '../../../wait-dns/options.ts';
import { checkExpected, lookupTargets } from '../../../wait-dns/run.ts';
import { defineKind } from '../../kind.ts';

export const dns = defineKind({
  options: nameOptions,
  read({ address, options }) {
    const name = parseName(address.slice('dns:'.length));
    checkExpected(options);
    return {
      name,
      open(context) {
        const targetOf = lookupTargets(options, readResolvConf(context.paths.resolvConf), context);
        return { ...targetOf(name), stages: ['dns', 'assertion'] };
      },
    };
  },
});
