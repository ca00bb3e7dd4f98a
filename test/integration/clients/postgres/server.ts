// A server that says what a script has for each thing that the client says.
import { createServer, type Socket } from 'node:net';

/** What to say to a client's next message; undefined closes the connection. */
export type Answerer = (turn: number, said: Buffer) => Buffer | readonly Buffer[] | undefined;

export interface HostileServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Connections so far. */
  readonly count: number;
  /** Bytes said so far, on all connections. */
  readonly written: number;
}

/**
 * Listens on 127.0.0.1, or on a Unix socket in a folder.
 * @param answerer makes the script of a new connection
 * @param first is said before the client says anything
 * @param patience milliseconds without a word of the client after which the connection is closed
 */
export async function startHostile(
  answerer: (socket: Socket) => Answerer,
  {
    first,
    path,
    patience,
  }: { readonly first?: Buffer; readonly path?: string; readonly patience?: number } = {},
): Promise<HostileServer> {
  const open = new Set<Socket>();
  let count = 0;
  let written = 0;
  const server = createServer((socket) => {
    count++;
    open.add(socket);
    socket
      .on('error', () => {})
      .on('close', () => {
        open.delete(socket);
        written += socket.bytesWritten;
      });
    if (first !== undefined) socket.write(first);
    const answer = answerer(socket);
    if (patience !== undefined) socket.setTimeout(patience, () => socket.destroySoon());
    let turn = 0;
    socket.on('data', (said: Buffer) => {
      const words = answer(turn++, said);
      if (words === undefined) return void socket.end();
      for (const bytes of Buffer.isBuffer(words) ? [words] : words) socket.write(bytes);
      return undefined;
    });
  });
  await new Promise<void>((resolve) =>
    path === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve),
  );
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 5432;
  return {
    port,
    url: `postgres://app:x@127.0.0.1:${port}/app`,
    get count() {
      return count;
    },
    get written() {
      return [...open].reduce((sum, socket) => sum + socket.bytesWritten, written);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Says N to the request for TLS, then one thing for each thing that the client says, then nothing. */
export function inOrder(...answers: readonly (Buffer | readonly Buffer[])[]): () => Answerer {
  return () => {
    let at = 0;
    return (_turn, said) => {
      if (said.length === 8 && said.readInt32BE(4) === 80_877_103) return Buffer.from('N');
      return answers[at++] ?? Buffer.alloc(0);
    };
  };
}
