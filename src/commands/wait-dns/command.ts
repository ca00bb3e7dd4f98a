import { defineCommand, each } from '../../core/command.ts';
import { noName, parseName } from './name.ts';
import { waitDnsOptions } from './options.ts';
import { checkExpected, runWaitDns } from './run.ts';

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

A name that resolves doesn’t mean that anything is serving: a Service with a cluster IP resolves before anything serves it. Wait for its port with wait-tcp, or for a headless Service's pods with --min-addresses.`,
  examples: [
    'initbox wait-dns postgres-service.default.svc.cluster.local',
    'initbox wait-dns --service postgres-service',
    'initbox wait-dns --service kafka.streaming --min-addresses 3',
    'initbox wait-dns --type SRV _postgresql._tcp.db.default.svc.cluster.local',
    'initbox wait-dns api.internal --server 10.96.0.10 --expect 10.0.0.4',
  ],
  positionals,
  options: waitDnsOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check({ options, positionals: given }) {
    if (given.length + options.service.length === 0) throw noName();
    checkExpected(options);
  },
  run: runWaitDns,
});
