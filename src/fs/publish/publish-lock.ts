import { connect, createServer, type Server, type Socket } from 'node:net';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';

/** A turn to change one directory. */
export interface Turn extends Disposable {
  /** True where no other run in this pod changes the directory meanwhile. */
  readonly alone: boolean;
}

/** How long to wait for another run, in milliseconds: its fetching is over, it only writes. */
const patience = 10_000;

/** Before another look at a name that answers nothing, in milliseconds. */
const shortPause = 20;

/**
 * Takes turns with other runs in this pod. An abstract socket's name (unix(7)) is held by one process of a network
 * namespace, which a pod's containers share, and is free again however that process ends. It leaves nothing on the
 * volume. Where it cannot be had, the caller goes on: names are unique, and the last swap wins.
 * @param directory what to take turns for: its device and inode
 * @param wait how long to wait for another run, in milliseconds
 */
export async function takeTurn(
  directory: string,
  context: Pick<Context, 'signal' | 'clock'>,
  wait = patience,
): Promise<Turn> {
  const path = `\0initbox-publish-${directory}`;
  const end = context.clock.now() + wait;
  for (;;) {
    if (context.signal.aborted) throw reasonOf(context.signal);
    const held = await hold(path);
    if (held === 'unavailable') return { alone: false, [Symbol.dispose]() {} };
    if (held !== 'taken') return held;
    const left = end - context.clock.now();
    if (left <= 0) return { alone: false, [Symbol.dispose]() {} };
    await holderGone(path, left, context);
  }
}

function hold(path: string): Promise<Turn | 'taken' | 'unavailable'> {
  return new Promise((resolve) => {
    const waiting = new Set<Socket>();
    const server: Server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => {}).on('close', () => waiting.delete(socket));
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'taken' : 'unavailable'),
    );
    server.once('listening', () => {
      server.unref();
      resolve({
        alone: true,
        [Symbol.dispose]() {
          server.close();
          for (const socket of waiting) socket.destroy();
        },
      });
    });
    listen(server, path);
  });
}

/**
 * As server.listen does, without what that loads beforehand: node:cluster, whose workers share their listeners, and with it
 * node:child_process, which take 4 ms. (lib/net.js has the name; where a Node has it not, it is listen itself.)
 */
function listen(server: Server & { readonly _listen2?: Listen }, path: string): void {
  if (server._listen2 === undefined) server.listen({ path });
  else server._listen2(path, noPort, noPort);
}

/** -1 stands in place of a port, and of the type of an address, of a socket that has neither. */
type Listen = (path: string, port: typeof noPort, addressType: typeof noPort) => void;
const noPort = -1;

/** The holder never speaks: the connection ends when it is done or dead. */
function holderGone(
  path: string,
  limit: number,
  { signal, clock }: Pick<Context, 'signal' | 'clock'>,
): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const finish = (): void => {
      cancel();
      signal.removeEventListener('abort', finish);
      socket.destroy();
      resolve();
    };
    let cancel = clock.after(limit, finish);
    signal.addEventListener('abort', finish, { once: true });
    // Refused: it was going at this very moment, or has too many waiting. Not again at once.
    socket.on('error', () => {
      cancel();
      cancel = clock.after(shortPause, finish);
    });
    socket.on('end', finish);
    socket.resume();
  });
}
