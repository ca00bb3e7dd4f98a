// Azure's Blob Storage by Azurite, installed from npm once per checkout, over https, which it wants for tokens. It looks at a
// token's issuer, audience and end, and not at who signed it.
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import type { CertificateAuthority } from './tls.ts';
import { nodePath } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

const version = '3.37.0';

export interface Azurite extends AsyncDisposable {
  /** `https://localhost:PORT`. */
  readonly url: string;
  readonly account: string;
  /** Makes a request to the account: `call('PUT', '/container?restype=container')`. */
  call(method: string, path: string, body?: string | Buffer, headers?: Record<string, string>): Promise<void>;
}

const account = 'devstoreaccount1';

/** @param token for the requests of `call` */
export async function startAzurite(authority: CertificateAuthority, token: string): Promise<Azurite> {
  const built = await makeOnce(
    join(projectCacheDirectory(), `azurite-${version}`),
    `npm install --prefix "$OUT" --no-audit --no-fund --no-save --ignore-scripts azurite@${version} >&2`,
  );
  const { certificateFile, keyFile } = await authority.server();
  const port = await freePort();
  const folder = temporaryDirectory('azurite');
  const server = await startServerProcess({
    command: [
      nodePath(),
      join(built, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js'),
      '--blobHost=127.0.0.1',
      `--blobPort=${port}`,
      `--location=${folder.path}`,
      `--cert=${certificateFile}`,
      `--key=${keyFile}`,
      '--oauth=basic',
      '--disableTelemetry',
      '--silent',
    ],
    cwd: folder.path,
    env: { HOME: folder.path },
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('successfully listens'),
    timeout: 60_000,
  });
  const url = `https://localhost:${port}`;
  const { request } = await import('node:https');
  return {
    url,
    account,
    call: (method, path, body = '', headers = {}) =>
      new Promise((resolve, reject) => {
        const sent = request(
          `${url}/${account}${path}`,
          {
            method,
            ca: authority.certificate,
            headers: {
              'x-ms-version': '2021-12-02',
              Authorization: `Bearer ${token}`,
              'Content-Length': Buffer.byteLength(body),
              ...headers,
            },
          },
          (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
            answer.on('end', () =>
              (answer.statusCode ?? 500) < 300
                ? resolve()
                : reject(new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`)),
            );
          },
        );
        sent.on('error', reject);
        sent.end(body);
      }),
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL');
      folder.remove();
    },
  };
}
