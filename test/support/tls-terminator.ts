// A proxy that ends a client's TLS, as PostgreSQL starts it, and speaks to the server without or with TLS of its own.
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';

import type { Certificate } from './tls.ts';

export interface TlsTerminator extends AsyncDisposable {
  readonly port: number;
}

const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** @param anew whether it speaks TLS to the server, too */
export async function startTlsTerminator(
  upstream: { readonly host: string; readonly port: number },
  { key, certificate }: Pick<Certificate, 'key' | 'certificate'>,
  anew: boolean,
): Promise<TlsTerminator> {
  const open = new Set<Socket>();
  const keep = <S extends Socket>(socket: S): S => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    keep(client).once('data', () => {
      client.write('S');
      const inner = keep(new TLSSocket(client, { isServer: true, key, cert: certificate }));
      const plain = keep(connectTcp(upstream));
      const join = (outer: Socket): void => {
        inner.pipe(outer).pipe(inner);
        inner.on('close', () => outer.destroy());
        outer.on('close', () => inner.destroy());
      };
      if (!anew) return join(plain);
      plain.write(sslRequest);
      plain.once('data', () => join(keep(connectTls({ socket: plain, rejectUnauthorized: false }))));
      return undefined;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
