// A Redis server, as Debian has it.
import { chmodSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';
import { dropTo, serverAccount } from './unprivileged.ts';

export interface RedisOptions {
  /** A free one unless given; 0 where only `--tls-port` is listened on. */
  port?: number;
  /** Flags of redis-server: `['--requirepass', 'x']`. */
  flags?: readonly string[];
  /** Content of a configuration file, which a Sentinel must have and rewrites. */
  config?: string;
  /** Waits until the log says so; until it takes connections, unless given. */
  readyWhen?: RegExp;
}

export interface Redis extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  logs(): string;
  /** Sends a line of a command, such as `SET a 1`, and gives the first line of the answer. */
  ask(...lines: readonly string[]): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** For requireOrSkip. */
export function canUseRedis(): string | undefined {
  return whyMissing('redis-server', 'redis-server');
}

/** Starts a server without files of its own; throws MissingTool without redis-server. */
export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const binary = needTool('redis-server', 'redis-server');
  const port = options.port ?? (await freePort());
  const folder = temporaryDirectory('redis');
  chmodSync(folder.path, 0o777);
  const config = join(folder.path, 'redis.conf');
  if (options.config !== undefined) {
    writeFileSync(config, options.config);
    chmodSync(config, 0o666);
  }
  const server = await startServerProcess({
    command: [
      ...dropTo(serverAccount()),
      binary,
      ...(options.config === undefined ? [] : [config]),
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      folder.path,
      ...(options.flags ?? []),
    ],
    logFile: join(folder.path, 'log'),
    ready: (log) => (options.readyWhen ?? /eady to accept connections/).test(log),
  });
  return {
    port,
    pid: server.pid,
    logs: () => server.logs(),
    ask: (...lines) => askRedis(port, lines),
    stop: (signal) => server.stop(signal),
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL');
      folder.remove();
    },
  };
}

/** Sends lines, and gives the first line of the last answer. */
function askRedis(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n`));
    let heard = '';
    socket.setEncoding('utf8').on('error', reject);
    socket.on('data', (text: string) => {
      heard += text;
      const answers = heard.split('\r\n').slice(0, -1);
      if (answers.length < lines.length) return;
      socket.destroy();
      resolve(answers.at(-1) ?? '');
    });
  });
}
