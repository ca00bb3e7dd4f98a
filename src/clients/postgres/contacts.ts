import type { Socket } from 'node:net';

import { reasonOf, type Clock } from '../../core/clock.ts';
import { shownHostPort } from '../../core/host-port.ts';
import type { NotYet, Probe } from '../../wait/attempt.ts';
import type { ResolveAddresses } from '../../wait/name-lookup.ts';
import type { ConnectionSettings, PostgresHost } from './connection-string.ts';
import { judgeSocket } from './server-errors.ts';
import { openSocket } from './socket.ts';

/** One address of one host. */
export interface Address {
  readonly host: PostgresHost;
  readonly address: string;
  /** `db:5432, 10.0.0.4`, for people. */
  readonly peer: string;
}

interface Candidate extends Address {
  /** Of its host. */
  readonly first: boolean;
  /** Of all. */
  readonly last: boolean;
}

/** An address that accepted a connection. */
export interface Contact {
  readonly state: 'open';
  readonly at: Address;
  readonly socket: Socket;
  /** Milliseconds that it took to open. */
  readonly took: number;
}

/** Milliseconds without an answer after which a host's next address is tried beside it (RFC 8305, 5). */
const nextAddress = 250;

/** The same for the next host: the first one is meant, and a lost packet is sent again after a second. */
const nextHost = 1500;

/**
 * Connects to a list of hosts, in order, one address beside the other where one is silent, and hands the connections
 * over as they come. While nobody asks for one, none is begun.
 */
export class Contacts implements Disposable {
  readonly #settings: Pick<ConnectionSettings, 'connectTimeout'>;
  readonly #clock: Clock;
  readonly #probe: Probe;
  readonly #addresses: AsyncGenerator<NotYet | Candidate>;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  /** Of those that do not answer, for people. */
  readonly #pending = new Set<Address>();
  readonly #found: (Contact | NotYet)[] = [];
  #seeking = false;
  /** Whose time has not come yet. */
  #next: Address | undefined;
  #exhausted = false;
  #asked = false;
  #due = true;
  #startedAt = 0;
  #cancelTimer = (): void => {};
  #wake = (): void => {};

  constructor(
    settings: Pick<ConnectionSettings, 'connectTimeout' | 'hosts'>,
    context: { readonly resolve: ResolveAddresses; readonly clock: Clock },
    probe: Probe,
  ) {
    this.#settings = settings;
    this.#clock = context.clock;
    this.#probe = probe;
    this.#signal = AbortSignal.any([probe.signal, this.#over.signal]);
    this.#addresses = addressesOf(settings.hosts, context.resolve, probe);
  }

  /** Whether another address may still answer, beside those that were handed over. */
  get more(): boolean {
    return this.#pending.size > 0 || this.#found.length > 0 || this.#next !== undefined || !this.#exhausted;
  }

  /** The next connection, or why an address or a host has none; undefined where nothing is left to try. */
  async next(): Promise<Contact | NotYet | undefined> {
    this.#asked = true;
    try {
      while (!this.#probe.signal.aborted) {
        const found = this.#found.shift();
        if (found !== undefined) return found;
        if (this.#due || this.#pending.size === 0) this.#seek();
        if (!this.more) return undefined;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          this.#signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      return this.#found.shift();
    } finally {
      this.#asked = false;
    }
  }

  [Symbol.dispose](): void {
    this.#cancelTimer();
    this.#over.abort(new Error('another address was taken'));
    for (const found of this.#found) if (found.state === 'open') found.socket.destroy();
  }

  /** Goes on to the next address; a host's first one waits a little for the hosts before it. */
  #seek(): void {
    if (this.#next !== undefined) {
      const wait = this.#pending.size > 0 ? nextHost - this.#since() : 0;
      if (wait <= 0) this.#begin(this.#next);
      else this.#later(wait, () => this.#seek());
      return;
    }
    if (this.#seeking || this.#exhausted) return;
    this.#seeking = true;
    void this.#addresses.next().then(({ value, done }) => {
      this.#seeking = false;
      if (done === true || ('last' in value && value.last)) this.#exhausted = true;
      if (done !== true && !this.#signal.aborted) {
        if ('state' in value) this.#found.push(value);
        else if (value.first) {
          this.#next = value;
          this.#seek();
        } else this.#begin(value);
      }
      this.#wake();
    });
  }

  #since(): number {
    return this.#clock.now() - this.#startedAt;
  }

  #later(milliseconds: number, action: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(milliseconds, action);
  }

  #begin(at: Address): void {
    this.#next = undefined;
    this.#pending.add(at);
    this.#startedAt = this.#clock.now();
    this.#due = false;
    this.#tell();
    this.#later(nextAddress, () => {
      this.#due = true;
      if (this.#asked) this.#seek();
    });
    void this.#open(at).then((found) => {
      this.#pending.delete(at);
      if (this.#over.signal.aborted) {
        if (found.state === 'open') found.socket.destroy();
        return;
      }
      this.#found.push(found);
      if (found.state === 'not-yet') {
        this.#due = true;
        this.#tell();
      }
      this.#wake();
    });
  }

  async #open(at: Address): Promise<Contact | NotYet> {
    const startedAt = this.#clock.now();
    const timeout = new AbortController();
    const cancel = this.#clock.after(this.#settings.connectTimeout, () =>
      timeout.abort(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
    );
    const signal = AbortSignal.any([this.#signal, timeout.signal]);
    try {
      const socket = await openSocket(socketOf(at), signal);
      // Until it is used, nobody listens to it.
      socket.on('error', () => {});
      return { state: 'open', at, socket, took: this.#clock.now() - startedAt };
    } catch (error) {
      return judgeSocket(signal.aborted ? reasonOf(signal) : error, at.peer);
    } finally {
      cancel();
    }
  }

  /** Says who is silent. */
  #tell(): void {
    const peers = [...this.#pending].map(({ peer }) => peer);
    if (peers.length > 0) this.#probe.phase(`connecting to ${peers.join(' and ')}`);
  }
}

/** What to connect to. */
export function socketOf({
  host,
  address,
}: Pick<Address, 'host' | 'address'>): Parameters<typeof openSocket>[0] {
  return host.host.startsWith('/')
    ? { path: `${host.host}/.s.PGSQL.${host.port}` }
    : { host: address, port: host.port };
}

async function* addressesOf(
  hosts: readonly PostgresHost[],
  resolve: ResolveAddresses,
  probe: Probe,
): AsyncGenerator<NotYet | Candidate> {
  for (const host of hosts) {
    const found = await addressesOfOne(host, resolve, probe);
    if (!Array.isArray(found)) {
      yield found as NotYet;
      continue;
    }
    for (const [index, address] of found.entries())
      yield {
        host,
        address,
        peer: peerName(host, address),
        first: index === 0,
        last: index === found.length - 1 && host === hosts.at(-1),
      };
  }
}

async function addressesOfOne(
  host: PostgresHost,
  resolve: ResolveAddresses,
  probe: Probe,
): Promise<readonly string[] | NotYet> {
  if (host.host.startsWith('/')) return [host.host];
  if (host.address) return [host.address];
  const found = await resolve(host.host, probe);
  return found.state === 'found' ? found.addresses : found;
}

/** `db:5432, 10.0.0.4` */
function peerName(host: PostgresHost, address: string): string {
  if (host.host.startsWith('/')) return `${host.host}/.s.PGSQL.${host.port}`;
  const name = shownHostPort(host.host, host.port);
  return address === host.host ? name : `${name}, ${address}`;
}
