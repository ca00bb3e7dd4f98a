// Repositories of Debian's Git, served by its own `git http-backend` behind a small HTTP server, as any web server runs it.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { dirname, join } from 'node:path';

import type { Certificate } from './tls.ts';
import { needTool } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

/** What a file of a commit is: its content, or a link, a program, or the commit of a submodule. */
export type GitFile =
  | string
  | Uint8Array
  | { readonly link: string }
  | { readonly program: string }
  | { readonly submodule: string };

export interface GitRepository {
  readonly path: string;
  /** Runs git in it, and returns what it prints. */
  git(...args: readonly string[]): string;
  /**
   * Commits a tree of just these files.
   * @returns the commit's hash
   */
  commit(files: Readonly<Record<string, GitFile>>, branch?: string): string;
}

/** Git without the settings of whoever runs the tests. */
const environment = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '1767225600 +0000',
  GIT_COMMITTER_NAME: 'C',
  GIT_COMMITTER_EMAIL: 'c@example.org',
  GIT_COMMITTER_DATE: '1767225600 +0000',
};

/** When every commit was made, in milliseconds since 1970. */
export const commitTime = 1_767_225_600_000;

/** A new repository without a working tree, whose default branch is main. */
export function createRepository(path: string, format: 'sha1' | 'sha256' = 'sha1'): GitRepository {
  const git = needTool('git', 'git');
  mkdirSync(path, { recursive: true });
  const run = (
    args: readonly string[],
    input?: string | Uint8Array,
    env: Record<string, string> = {},
  ): string =>
    execFileSync(git, args, {
      cwd: path,
      env: { ...environment, ...env },
      maxBuffer: 1 << 28,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(input === undefined ? {} : { input }),
    })
      .toString()
      .trim();
  run(['init', '--quiet', '--bare', '--initial-branch=main', `--object-format=${format}`]);
  return {
    path,
    git: (...args) => run(args),
    commit(files, branch = 'main') {
      const index = { GIT_INDEX_FILE: join(path, 'index-of-test') };
      run(['read-tree', '--empty'], undefined, index);
      const lines = Object.entries(files).map(([name, file]) => {
        if (typeof file === 'object' && 'submodule' in file) return `160000 ${file.submodule}\t${name}\n`;
        const [mode, content] =
          typeof file === 'string' || file instanceof Uint8Array
            ? ['100644', file]
            : 'link' in file
              ? ['120000', file.link]
              : ['100755', file.program];
        return `${mode} ${run(['hash-object', '-w', '--stdin'], content)}\t${name}\n`;
      });
      run(['update-index', '--add', '--index-info'], lines.join(''), index);
      const tree = run(['write-tree'], undefined, index);
      const parent = run(['for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]);
      const commit = run(['commit-tree', tree, '-m', 'of a test', ...(parent === '' ? [] : ['-p', parent])]);
      run(['update-ref', `refs/heads/${branch}`, commit]);
      return commit;
    },
  };
}

export interface GitServerOptions {
  /** HTTPS with this certificate. */
  readonly tls?: Pick<Certificate, 'key' | 'certificate'>;
  /** `USER:PASSWORD` without which it answers 401. */
  readonly login?: string;
  /** It speaks the old version of the protocol alone. */
  readonly old?: boolean;
  /** Answers a request itself, and returns true, or leaves it to Git. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Bytes of a pack after which the connection is cut. */
  cutAfter?: number | undefined;
}

export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Its repositories are the folders in it. */
  readonly root: string;
  /** `METHOD PATH` of all requests, and the Authorization of each. */
  readonly requests: { readonly line: string; readonly authorization: string | undefined }[];
  repository(name: string, format?: 'sha1' | 'sha256'): GitRepository;
  /** May be changed while it runs. */
  readonly options: GitServerOptions;
}

export async function startGitServer(options: GitServerOptions = {}): Promise<GitServer> {
  const git = needTool('git', 'git');
  const folder = temporaryDirectory('git-server');
  const requests: GitServer['requests'] = [];
  const sockets = new Set<Socket>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { authorization } = request.headers;
    requests.push({ line: `${request.method} ${request.url}`, authorization });
    if (options.instead?.(request, response) === true) return;
    const wanted =
      options.login === undefined ? undefined : `Basic ${Buffer.from(options.login).toString('base64')}`;
    if (wanted !== undefined && authorization !== wanted) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
      return;
    }
    serve(git, folder.path, request, response, options);
  };
  const server =
    options.tls === undefined
      ? createServer(answer)
      : createSecureServer({ key: options.tls.key, cert: options.tls.certificate }, answer);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    root: folder.path,
    requests,
    options,
    repository: (name, format) => createRepository(join(folder.path, name), format),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      folder.remove();
    },
  };
}

/** RFC 3875. */
function serve(
  git: string,
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  { old = false, cutAfter }: GitServerOptions,
): void {
  const url = new URL(request.url ?? '/', 'http://server');
  const protocol = request.headers['git-protocol'];
  const child = spawn(git, ['http-backend'], {
    env: {
      ...environment,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      // Whoever runs the tests may not own what they made.
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-length'] === undefined
        ? {}
        : { CONTENT_LENGTH: request.headers['content-length'] }),
      ...(protocol === undefined || old ? {} : { GIT_PROTOCOL: String(protocol) }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin).on('error', () => {});
  let head: Buffer | undefined = Buffer.alloc(0);
  let sent = 0;
  const cuts = cutAfter !== undefined && url.pathname.endsWith('/git-upload-pack');
  child.stdout.on('data', (bytes: Buffer) => {
    let body = bytes;
    if (head !== undefined) {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      for (const line of head.toString('latin1', 0, end).split('\r\n')) {
        const [, name = '', value = ''] = /^([^:]+): *(.*)$/.exec(line) ?? [];
        if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      body = head.subarray(end + 4);
      head = undefined;
    }
    if (cuts && sent + body.length > cutAfter) {
      response.write(body.subarray(0, cutAfter - sent), () => response.socket?.destroy());
      child.kill();
      return;
    }
    sent += body.length;
    response.write(body);
  });
  child.stdout.on('end', () => response.end());
  child.on('error', () => response.destroy());
  response.on('close', () => child.kill());
}

/** Writes files below a folder. */
export function writeTree(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}
