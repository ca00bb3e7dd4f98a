// A gRPC server with the standard health service, by Google's own packages (grpc-health/main.go), built once per checkout.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { canGetGo, goBinary } from './go.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { quote, temporaryDirectory } from './undo.ts';

export interface GrpcServer extends AsyncDisposable {
  readonly port: number;
  /** Goes from the states that it began with to those of `-then`. */
  goOn(): void;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseGrpc(): string | undefined {
  return canGetGo();
}

/** Starts a server on 127.0.0.1, with these flags of main.go. */
export async function startGrpc(flags: readonly string[] = [], given?: number): Promise<GrpcServer> {
  const source = join(import.meta.dirname, 'grpc-health');
  const key = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) key.update(readFileSync(join(source, file)));
  const built = await makeOnce(
    join(projectCacheDirectory(), `grpc-health-${key.digest('hex').slice(0, 12)}`),
    `cd ${quote(source)}; "$GO" build -trimpath -mod=readonly -o "$OUT/grpc-health" . >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  const port = given ?? (await freePort());
  const folder = temporaryDirectory('grpc');
  const server = await startServerProcess({
    command: [join(built, 'grpc-health'), `-address=127.0.0.1:${port}`, ...flags],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('serving at '),
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGKILL');
    folder.remove();
  };
  return { port, goOn: () => process.kill(server.pid, 'SIGUSR1'), stop, [Symbol.asyncDispose]: stop };
}
