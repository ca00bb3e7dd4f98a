// HAProxy, as Debian has it: a proxy that makes a TCP connection of its own for each of its clients.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

export interface HaproxyOptions {
  /** Where it leads. */
  upstream: { readonly host: string; readonly port: number };
  /** Address to listen on; 127.0.0.1 unless given. */
  listen?: string;
  prefix?: readonly string[];
  /** Whether it looks every 100 ms for the server, and turns its clients away at once while that is down. */
  check?: boolean;
}

export interface Haproxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseHaproxy(): string | undefined {
  return whyMissing('haproxy', 'haproxy');
}

/** Starts it with the idle time of an hour that many have; throws MissingTool without HAProxy. */
export async function startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
  const { upstream, listen = '127.0.0.1' } = options;
  const binary = needTool('haproxy', 'haproxy');
  const port = await freePort();
  const folder = temporaryDirectory('haproxy');
  const file = join(folder.path, 'haproxy.cfg');
  const lines = [
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 1h',
    '  timeout server 1h',
    'listen postgres',
    `  bind ${listen}:${port}`,
    `  server one ${upstream.host}:${upstream.port}${options.check === true ? ' check inter 100ms fall 1 rise 1' : ''}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  chmodSync(file, 0o644);
  const server = await startServerProcess({
    // -V says when it serves; -db stays in the foreground.
    command: [...(options.prefix ?? []), binary, '-V', '-db', '-f', file],
    logFile: join(folder.path, 'log'),
    ready: (log) => /Loading success|Available polling systems/.test(log),
  });
  const stop = async () => {
    await server.stop('SIGTERM', 5_000);
    folder.remove();
  };
  return { host: listen, port, pid: server.pid, stop, [Symbol.asyncDispose]: stop };
}
