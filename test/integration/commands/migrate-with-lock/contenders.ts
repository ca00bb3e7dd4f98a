import { readFileSync, writeFileSync } from 'node:fs';
// Replicas of migrate-with-lock, and the journal in which their children write down when they ran.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import type { Postgres } from '../../../support/postgres.ts';
import { startInitbox, type ProgramOptions, type RunningProgram } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

/** Short times, so that a test sees in seconds what takes half a minute by default: settled after 1.5 s. */
export const quick = ['--heartbeat', '500ms', '--grace', '500ms'] as const;

export interface Journal extends Disposable {
  readonly path: string;
  /** `NAME begin TIME` and `NAME end TIME`, in the order in which they were written. */
  entries(): { name: string; what: string; at: number }[];
  /** Fails where two children ran at once; a begin without an end counts as over at `deaths[name]`. */
  assertNoOverlap(deaths?: ReadonlyMap<string, number>): void;
  /** A shell command that writes begin, does `work`, and writes end. */
  child(name: string, work: string): string[];
}

export function createJournal(): Journal {
  const folder = temporaryDirectory('journal');
  const path = join(folder.path, 'journal');
  writeFileSync(path, '', { mode: 0o666 });
  const entries = (): { name: string; what: string; at: number }[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [name = '', what = '', at = ''] = line.split(' ');
        return { name, what, at: Number(at) };
      });
  return {
    path,
    entries,
    assertNoOverlap(deaths = new Map()) {
      let running: string | undefined;
      for (const { name, what, at } of entries()) {
        if (what === 'end' && running === name) running = undefined;
        if (what !== 'begin') continue;
        if (running !== undefined) {
          const death = deaths.get(running);
          if (death === undefined || death > at) {
            throw new Error(`${name} began while ${running} ran:\n${readFileSync(path, 'utf8')}`);
          }
        }
        running = name;
      }
    },
    child(name, work) {
      // One write with O_APPEND each: lines of two processes do not mix.
      const note = (what: string): string => `echo "${name} ${what} $(date +%s.%N)" >>'${path}'`;
      return ['/bin/sh', '-c', `${note('begin')}; ${work}; r=$?; ${note('end')}; exit $r`];
    },
    [Symbol.dispose]: folder.remove,
  };
}

/** Starts a replica against that server, as the role `app`. */
export function startReplica(
  postgres: Pick<Postgres, 'url'>,
  args: readonly string[],
  options: ProgramOptions & { readonly url?: string } = {},
): Promise<RunningProgram> {
  const { url, ...rest } = options;
  return startInitbox(['migrate-with-lock', ...args], {
    ...rest,
    env: { DATABASE_URL: url ?? postgres.url(), HOSTNAME: 'pod', ...options.env },
  });
}

/** A way to the server that is closed until it is opened, for a replica that has started and asked nobody yet. */
export interface Gate extends AsyncDisposable {
  readonly url: string;
  /** Resolves with the first connection that waits at it. */
  readonly waiting: Promise<void>;
  open(): void;
}

export async function closedGate(postgres: Pick<Postgres, 'url'>): Promise<Gate> {
  const url = new URL(postgres.url());
  const to = { host: url.hostname, port: Number(url.port) };
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { promise: waiting, resolve: came } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.pause().on('error', () => socket.destroy()));
    came();
    void opened.then(() => {
      if (socket.destroyed) return;
      const onward = connect(to).on('error', () => socket.destroy());
      sockets.add(onward);
      socket.pipe(onward).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    waiting,
    open,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A way to the server on which is written down what goes over it; of one connection. */
export interface Relay extends AsyncDisposable {
  readonly url: string;
  /** All that the client sent so far. */
  sent(): string;
  /** Whether the server was the last to speak, and has said that it waits for a statement. */
  idle(): boolean;
  /** What the client sent once the server had said this; undefined where it never did. */
  sentAfter(said: RegExp): string | undefined;
}

/**
 * @param cut what the client says last: it goes on to the server, whose answer never comes, and every connection ends
 * @param how `dropped`: the server does not hear it either; `again`: new connections are let through after that
 */
export async function startRelay(
  postgres: Pick<Postgres, 'url'>,
  cut?: RegExp,
  how: { readonly dropped?: boolean; readonly again?: boolean } = {},
): Promise<Relay> {
  const url = new URL(postgres.url());
  const to = { host: url.hostname, port: Number(url.port) };
  /** In the order in which they came. */
  const talk: { readonly from: 'client' | 'server'; readonly text: string }[] = [];
  const textOf = (who: string, chunks: typeof talk): string =>
    chunks
      .filter(({ from }) => from === who)
      .map(({ text }) => text)
      .join('');
  const sockets = new Set<Socket>();
  let over = false;
  let cutAlready = false;
  const server = createServer((client) => {
    if (over) return void client.destroy();
    const onward = connect(to);
    for (const [from, end, other] of [
      ['client', client, onward],
      ['server', onward, client],
    ] as const) {
      sockets.add(end);
      end
        .on('data', (bytes: Buffer) => {
          talk.push({ from, text: bytes.toString('latin1') });
          const last = !cutAlready && from === 'client' && cut?.test(bytes.toString('latin1')) === true;
          if (last ? how.dropped !== true : !over || from === 'client') other.write(bytes);
          if (!last) return;
          over = cutAlready = true;
          setTimeout(() => {
            sockets.forEach((socket) => socket.destroy());
            sockets.clear();
            over = how.again !== true;
          }, 200);
        })
        .on('end', () => other.end())
        .on('error', () => other.destroy());
    }
    return undefined;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    sent: () => textOf('client', talk),
    // ReadyForQuery, outside of a transaction.
    idle: () => talk.at(-1)?.from === 'server' && talk.at(-1)?.text.endsWith('Z\0\0\0\x05I') === true,
    sentAfter(said) {
      const at = talk.findIndex(({ from, text }) => from === 'server' && said.test(text));
      return at < 0 ? undefined : textOf('client', talk.slice(at + 1));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** The backends that hold advisory locks, as the server lists them. */
export async function holders(postgres: Postgres): Promise<number[]> {
  const rows = await postgres.sql(
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted ORDER BY pid",
  );
  return rows.map(({ pid }) => Number(pid));
}

/** Every client connection of the program and its children. */
export async function connections(postgres: Postgres): Promise<string[]> {
  const rows = await postgres.sql(
    "SELECT application_name AS name FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend'",
  );
  return rows.map(({ name }) => String(name));
}
