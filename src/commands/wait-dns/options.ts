import { recordTypes } from '../../clients/dns/query.ts';
import { parseService } from '../../clients/dns/service.ts';
import { choiceParser, integer, list, parseText, value, valueOr } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { parseServer } from './server.ts';

/** What is asked of whom for a name, and what the answer must hold. */
export const nameOptions = {
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
};

export const waitDnsOptions = {
  service: list({
    description:
      'a Service of this cluster: its full name is made from the pod’s namespace and the cluster’s domain',
    placeholder: 'NAME[.NAMESPACE]',
    parse: (given: string) => parseService(given, 'initbox wait-dns'),
  }),
  ...nameOptions,
  ...waitOptions,
};
