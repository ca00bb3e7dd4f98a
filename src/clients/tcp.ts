import { connect } from 'node:net';

import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { connectHint, connectWords } from '../core/socket-errors.ts';
import { notYet, satisfied, type Answer, type Probe } from '../wait/attempt.ts';
import type { ResolveAddresses } from '../wait/name-lookup.ts';
import type { Endpoint } from './connection/endpoint.ts';

/**
 * How one connect ended; `silent` where nothing had answered when it was cut, `dropped` where it was open too shortly, `cut`
 * where it was open when it was cut, and had not been so for long enough.
 */
type Ending = 'open' | 'itself' | 'silent' | 'dropped' | 'cut' | (string & {});

/** Nothing is there: proof, as against silence. */
const proofs: ReadonlySet<string> = new Set(['ECONNREFUSED', 'itself', 'ENOENT', 'dropped']);

/** Milliseconds without an answer that mean something: what was cut sooner was perhaps only slow. */
const silence = 500;

/** How long an accepted connection must stay open, in milliseconds; 0 where it need not. */
interface Hold {
  readonly milliseconds: number;
  readonly clock: Clock;
}

/**
 * One attempt: every address of the name at once; one open address is enough.
 * @param held milliseconds for which the other end must not close what it has accepted; 0 asks for nothing
 */
export async function attemptConnect(
  endpoint: Endpoint,
  resolve: ResolveAddresses,
  probe: Probe,
  clock: Clock,
  held = 0,
): Promise<Answer> {
  const hold: Hold = { milliseconds: held, clock };
  if (endpoint.kind === 'unix') {
    const ending = await connectOnce(endpoint, probe.signal, hold, () => accepted(endpoint.path));
    probe.atWork?.(false);
    return judge([[endpoint.path, ending]], true, held);
  }
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
      const to = { kind: 'tcp', host, port: endpoint.port } as const;
      const ending = await connectOnce(to, signal, hold, () => accepted(host));
      if (ending === 'open') others.abort();
      return [host, ending];
    }),
  );
  probe.atWork?.(false);
  return judge(endings, clock.now() - startedAt >= silence, held);

  function accepted(address: string): void {
    probe.reached?.('tcp');
    if (held === 0) return;
    probe.phase(`accepted (${address}); it must stay open for ${formatDuration(held)}`);
    // A newer attempt would find out the same, later.
    probe.atWork?.(true);
  }
}

/** @param long whether it took long enough for silence to mean something */
function judge(
  endings: readonly (readonly [address: string, ending: Ending])[],
  long: boolean,
  held: number,
): Answer {
  const open = endings.find(([, ending]) => ending === 'open');
  if (open)
    return satisfied(
      held === 0 ? `open (${open[0]})` : `open, and stays so for ${formatDuration(held)} (${open[0]})`,
    );
  const addresses = new Map<string, string[]>();
  for (const [address, ending] of endings) {
    const said = endingWords(ending, held);
    addresses.set(said, [...(addresses.get(said) ?? []), address]);
  }
  const first = endings[0]?.[1] ?? 'silent';
  return notYet([...addresses].map(([said, list]) => `${said} (${list.join(', ')})`).join('; '), {
    hint:
      first === 'dropped'
        ? 'a proxy or mesh accepts for a server that is down: has that one ready pods (kubectl get endpointslices)?'
        : first === 'silent' && !long
          ? undefined
          : connectHint(first),
    absent: endings.every(([, ending]) => proofs.has(ending)),
  });
}

function endingWords(ending: Ending, held: number): string {
  if (ending === 'dropped') return `accepted and closed within ${formatDuration(held)}`;
  return ending === 'cut' ? `accepted, and not yet open for ${formatDuration(held)}` : connectWords(ending);
}

function connectOnce(
  endpoint: Endpoint,
  signal: AbortSignal,
  hold: Hold,
  accepted: () => void,
): Promise<Ending> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('silent');
    const socket = connect(
      endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port },
    );
    let isOpen = false;
    let stop = (): void => {};
    const finish = (ending: Ending): void => {
      stop();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(ending);
    };
    const onAbort = (): void => finish(isOpen ? 'cut' : 'silent');
    const drop = (): void => finish('dropped');
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(isOpen ? 'dropped' : (error.code ?? error.message)),
    );
    socket.on('connect', () => {
      // A closed loopback port in the ephemeral range can be given to the connecting end itself (RFC 9293, 3.5:
      // simultaneous open).
      const itself = socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
      if (endpoint.kind === 'tcp' && itself) return finish('itself');
      isOpen = true;
      accepted();
      if (hold.milliseconds === 0) return finish('open');
      // What it says is read, and thrown away, as its end comes after it.
      socket.on('end', drop).on('close', drop).resume();
      stop = hold.clock.after(hold.milliseconds, () => finish('open'));
      return undefined;
    });
    return undefined;
  });
}
