// Ports for servers that cannot bind port 0 and tell.
import { createServer } from 'node:net';

function canBind(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A TCP port that nobody listens on. It is taken from below the ephemeral range (32768 and up on Linux), so that no
 * outgoing connection can take it before the server does, and a connect to it cannot meet itself.
 */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await canBind(port, address)) return port;
  }
  throw new Error(`no free port on ${address}`);
}
