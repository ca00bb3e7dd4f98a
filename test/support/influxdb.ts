// InfluxDB 1, from Debian's package influxdb.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { findInPath, needTool } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

export interface Influxdb extends AsyncDisposable {
  readonly port: number;
}

/** For requireOrSkip. */
export function canUseInfluxdb(): string | undefined {
  return findInPath('influxd') === undefined ? 'influxd is missing (Debian package influxdb)' : undefined;
}

/** Starts a server on 127.0.0.1. */
export async function startInfluxdb(
  given?: number,
  tls?: { readonly certificate: string; readonly key: string },
): Promise<Influxdb> {
  const port = given ?? (await freePort());
  const folder = temporaryDirectory('influxdb');
  const file = join(folder.path, 'influxdb.conf');
  const sections = [
    `bind-address = "127.0.0.1:${await freePort()}"`,
    'reporting-disabled = true',
    ...['meta', 'data'].flatMap((name) => [`[${name}]`, `dir = "${join(folder.path, name)}"`]),
    `wal-dir = "${join(folder.path, 'wal')}"`,
    '[http]',
    `bind-address = "127.0.0.1:${port}"`,
    ...(tls === undefined
      ? []
      : [
          'https-enabled = true',
          `https-certificate = "${tls.certificate}"`,
          `https-private-key = "${tls.key}"`,
        ]),
    '[monitor]',
    'store-enabled = false',
  ];
  writeFileSync(file, `${sections.join('\n')}\n`);
  const server = await startServerProcess({
    command: [needTool('influxd', 'influxdb'), '-config', file],
    env: { HOME: folder.path },
    logFile: join(folder.path, 'log'),
    ready: (log) => /Listening on HTTP/i.test(log),
    timeout: 60_000,
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL');
      folder.remove();
    },
  };
}
