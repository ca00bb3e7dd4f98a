import { connect } from 'node:net';

import type { Clock } from '../core/clock.ts';
import { connectHint, connectWords } from '../core/socket-errors.ts';
import { notYet, satisfied, type Answer, type Probe } from '../wait/attempt.ts';
import type { ResolveAddresses } from '../wait/name-lookup.ts';

/** Where something may listen. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** How one connect ended; `silent` where nothing had answered when it was cut. */
type Ending = 'open' | 'itself' | 'silent' | (string & {});

/** Nothing is there: proof, as against silence. */
const proofs: ReadonlySet<string> = new Set(['ECONNREFUSED', 'itself', 'ENOENT']);

/** Milliseconds without an answer that mean something: what was cut sooner was perhaps only slow. */
const silence = 500;

/** One attempt: every address of the name at once; one open address is enough. */
export async function attemptConnect(
  endpoint: Endpoint,
  resolve: ResolveAddresses,
  probe: Probe,
  clock: Clock,
): Promise<Answer> {
  if (endpoint.kind === 'unix')
    return judge([[endpoint.path, await connectOnce(endpoint, probe.signal)]], true);
  const resolved = await resolve(endpoint.host, probe);
  if (resolved.state !== 'found') return resolved;
  const startedAt = clock.now();
  probe.phase(`connecting to ${resolved.addresses.join(', ')}`);
  const others = new AbortController();
  // One address has no others to be cut, and a signal of signals takes half a millisecond of a start.
  const signal =
    resolved.addresses.length > 1 ? AbortSignal.any([probe.signal, others.signal]) : probe.signal;
  const endings = await Promise.all(
    resolved.addresses.map(async (host): Promise<[string, Ending]> => {
      const ending = await connectOnce({ kind: 'tcp', host, port: endpoint.port }, signal);
      if (ending === 'open') {
        probe.reached?.('tcp');
        others.abort();
      }
      return [host, ending];
    }),
  );
  return judge(endings, clock.now() - startedAt >= silence);
}

/** @param long whether it took long enough for silence to mean something */
function judge(endings: readonly (readonly [address: string, ending: Ending])[], long: boolean): Answer {
  const open = endings.find(([, ending]) => ending === 'open');
  if (open) return satisfied(`open (${open[0]})`);
  const addresses = new Map<string, string[]>();
  for (const [address, ending] of endings) {
    const said = connectWords(ending);
    addresses.set(said, [...(addresses.get(said) ?? []), address]);
  }
  const first = endings[0]?.[1] ?? 'silent';
  return notYet([...addresses].map(([said, list]) => `${said} (${list.join(', ')})`).join('; '), {
    hint: first === 'silent' && !long ? undefined : connectHint(first),
    absent: endings.every(([, ending]) => proofs.has(ending)),
  });
}

function connectOnce(endpoint: Endpoint, signal: AbortSignal): Promise<Ending> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('silent');
    const socket = connect(
      endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port },
    );
    const finish = (ending: Ending): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(ending);
    };
    const onAbort = (): void => finish('silent');
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.on('connect', () => {
      // A closed loopback port in the ephemeral range can be given to the connecting end itself (RFC 9293, 3.5:
      // simultaneous open).
      const itself = socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
      finish(endpoint.kind === 'tcp' && itself ? 'itself' : 'open');
    });
  });
}
