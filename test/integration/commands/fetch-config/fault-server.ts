// An HTTP server that breaks in a chosen place: each path is one behaviour, written on the socket by hand.
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface FaultServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Requests so far: method and path, and all header lines in small letters. */
  readonly requests: { readonly line: string; readonly headers: readonly string[] }[];
}

export type Behaviour = (socket: Socket, request: string) => void;

/** Sends a whole response. */
export function respond(status: number, body: string, headers: Record<string, string> = {}): Behaviour {
  return (socket) => {
    const lines = Object.entries({ 'Content-Length': String(Buffer.byteLength(body)), ...headers });
    socket.write(
      `HTTP/1.1 ${status} X\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
    );
  };
}

export async function startFaultServer(
  behaviours: Readonly<Record<string, Behaviour | readonly Behaviour[]>>,
  tls?: TlsOptions,
): Promise<FaultServer> {
  const requests: FaultServer['requests'] = [];
  const sockets = new Set<Socket>();
  const counts = new Map<string, number>();
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line = '', ...headers] = text.slice(0, end).split('\r\n');
      const request = text;
      text = '';
      requests.push({ line, headers: headers.map((header) => header.toLowerCase()) });
      const path = line.split(' ')[1] ?? '';
      const chosen = behaviours[path.replace(/\?.*$/, '')] ?? respond(404, 'nothing here');
      const list = Array.isArray(chosen) ? (chosen as Behaviour[]) : [chosen as Behaviour];
      const count = counts.get(path) ?? 0;
      counts.set(path, count + 1);
      list[Math.min(count, list.length - 1)]?.(socket, request);
    });
  };
  const server: Server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
