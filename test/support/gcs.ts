// Cloud Storage by fake-gcs-server, built from its Go module once per checkout. It asks for no token.
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { canGetGo, goBinary } from './go.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { temporaryDirectory } from './undo.ts';

const version = 'v1.56.1';

export interface CloudStorage extends AsyncDisposable {
  readonly url: string;
  /** Makes a bucket. */
  makeBucket(name: string): Promise<void>;
  /** Puts an object there. */
  put(bucket: string, name: string, content: string | Buffer, type?: string): Promise<void>;
  remove(bucket: string, name: string): Promise<void>;
}

/** For requireOrSkip. */
export function canUseCloudStorage(): string | undefined {
  return canGetGo();
}

/** Starts a server on 127.0.0.1. */
export async function startCloudStorage(): Promise<CloudStorage> {
  const built = await makeOnce(
    join(projectCacheDirectory(), `fake-gcs-server-${version}`),
    `GOBIN="$OUT" "$GO" install -trimpath github.com/fsouza/fake-gcs-server@${version} >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  const port = await freePort();
  const folder = temporaryDirectory('gcs');
  const url = `http://127.0.0.1:${port}`;
  const server = await startServerProcess({
    command: [
      join(built, 'fake-gcs-server'),
      '-backend=memory',
      '-scheme=http',
      '-host=127.0.0.1',
      `-port=${port}`,
      `-public-host=127.0.0.1:${port}`,
      `-external-url=${url}`,
    ],
    cwd: folder.path,
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('server started'),
  });
  const call = async (method: string, path: string, body?: string | Buffer, headers = {}): Promise<void> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as string }),
    });
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  return {
    url,
    makeBucket: (name) =>
      call('POST', '/storage/v1/b?project=test', JSON.stringify({ name }), {
        'Content-Type': 'application/json',
      }),
    put: (bucket, name, content, type = 'application/octet-stream') =>
      call(
        'POST',
        `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`,
        content,
        { 'Content-Type': type },
      ),
    remove: (bucket, name) => call('DELETE', `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`),
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL');
      folder.remove();
    },
  };
}
