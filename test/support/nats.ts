// NATS, built from its Go module once per checkout.
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { canGetGo, goBinary } from './go.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { temporaryDirectory } from './undo.ts';

const version = 'v2.11.8';

export interface Nats extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseNats(): string | undefined {
  return canGetGo();
}

/** Starts a server on 127.0.0.1, with these arguments (nats-server --help). */
export async function startNats(settings: readonly string[] = [], given?: number): Promise<Nats> {
  const built = await makeOnce(
    join(projectCacheDirectory(), `nats-server-${version}`),
    `GOBIN="$OUT" "$GO" install -trimpath github.com/nats-io/nats-server/v2@${version} >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  const port = given ?? (await freePort());
  const folder = temporaryDirectory('nats');
  const server = await startServerProcess({
    command: [
      join(built, 'nats-server'),
      '--addr=127.0.0.1',
      `--port=${port}`,
      `--store_dir=${join(folder.path, 'store')}`,
      ...settings,
    ],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('Server is ready'),
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGKILL');
    folder.remove();
  };
  return { port, pid: server.pid, stop, [Symbol.asyncDispose]: stop };
}
