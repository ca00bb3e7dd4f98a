import { connectWords } from '../../core/socket-errors.ts';
import { notYet, type NotYet } from '../../wait/attempt.ts';
import type { Asked } from './lookup.ts';
import type { Reply } from './query.ts';

const shown = 6;

/** What was said, as far as the hint goes. */
type Kind = Reply['kind'] | 'closed';

/** Says which of the expanded names got which answer, and what to look at. */
export function explainDnsError(asked: readonly Asked[]): NotYet {
  const names = new Map<string, string[]>();
  const kinds = new Set<Kind>();
  for (const { name, replies } of asked) {
    for (const [said, kind] of saidOf(replies)) {
      kinds.add(kind);
      names.set(said, [...(names.get(said) ?? []), name]);
    }
  }
  const reason = [...names].map(([said, list]) => `${said} for ${listed(list)}`).join('; ');
  return notYet(reason === '' ? 'no answer from any name server' : reason, {
    hint: hintFor(kinds),
    absent: kinds.size > 0 && [...kinds].every((kind) => kind === 'nxdomain' || kind === 'nodata'),
  });
}

/** The distinct things said of one name over its record types; a failure outweighs the absence of records. */
function saidOf(replies: ReadonlyMap<string, Reply>): Map<string, Kind> {
  const said = new Map<string, Kind>();
  const empty: string[] = [];
  for (const [type, reply] of replies) {
    if (reply.kind === 'nxdomain') said.set('NXDOMAIN', reply.kind);
    if (reply.kind === 'nodata') empty.push(type);
    if (reply.kind === 'failed') {
      const kind = reply.code === connectWords('ECONNREFUSED') ? 'closed' : reply.kind;
      said.set(`${reply.code} from ${reply.server}`, kind);
    }
    if (reply.kind === 'silent') said.set(`no answer from ${listed(reply.servers)}`, reply.kind);
  }
  if (empty.length > 0) said.set(`no ${empty.join(' or ')} record`, 'nodata');
  return said;
}

function hintFor(kinds: ReadonlySet<Kind>): string | undefined {
  if (kinds.has('silent')) {
    return 'a name server does not answer: is port 53 (UDP and TCP) allowed by the NetworkPolicy, and is CoreDNS up?';
  }
  if (kinds.has('closed'))
    return 'nothing listens at port 53 of a name server (or at the port that --server names): is its address right, and are the pods of CoreDNS ready?';
  if (kinds.has('failed'))
    return 'a name server failed: look at the log of CoreDNS and at the servers that it forwards to';
  if (kinds.has('nodata')) {
    return 'the name exists without such records: a headless Service has none until a pod behind it is ready (kubectl get endpointslices)';
  }
  if (kinds.has('nxdomain')) {
    return 'no such name: does the Service exist, in this namespace, under this spelling (kubectl get services -A)?';
  }
  return undefined;
}

function listed(words: readonly string[]): string {
  return words.length <= shown
    ? words.join(', ')
    : `${words.slice(0, shown).join(', ')} and ${words.length - shown} more`;
}
