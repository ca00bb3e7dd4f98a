// HTTP servers with faults, on loopback.
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import { createServer as createPlainServer, type Server, type Socket } from 'node:net';

export interface Listening extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Requests as they came, with when. */
  readonly requests: { readonly at: number; readonly request: IncomingMessage; readonly body: string }[];
  /** Connections that are open now. */
  readonly open: Set<Socket>;
  connections: number;
  close(): Promise<void>;
}

export interface Where {
  port?: number;
  host?: string;
  path?: string;
}

/** Serves plain HTTP, or HTTPS with `tls`. */
export async function serve(
  listener: RequestListener,
  { tls, ...where }: Where & { tls?: ServerOptions } = {},
): Promise<Listening> {
  const requests: Listening['requests'] = [];
  const handle: RequestListener = (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      requests.push({ at: performance.now(), request, body: Buffer.concat(parts).toString() });
      listener(request, response);
    });
  };
  const server = tls === undefined ? createServer(handle) : createSecureServer(tls, handle);
  return listen(server, requests, where, tls === undefined ? 'http' : 'https');
}

/** Takes connections and does with each what it is told, below HTTP. */
export async function serveSockets(behave: (socket: Socket) => void, where: Where = {}): Promise<Listening> {
  return listen(
    createPlainServer((socket) => {
      socket.on('error', () => {});
      behave(socket);
    }),
    [],
    where,
    'http',
  );
}

async function listen(
  server: Server,
  requests: Listening['requests'],
  { port = 0, host = '127.0.0.1', path }: Where,
  scheme: string,
): Promise<Listening> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    self.connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (path === undefined) server.listen(port, host, resolve);
    else server.listen(path, resolve);
  });
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : 0;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
    });
  const self: Listening = {
    port: bound,
    url: `${scheme}://${host}:${bound}`,
    requests,
    open,
    connections: 0,
    close,
    [Symbol.asyncDispose]: close,
  };
  return self;
}
