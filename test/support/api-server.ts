import { writeFileSync } from 'node:fs';
// A small API server of Kubernetes over TLS: lists, watches and forgets as the real one does, and has faults on request.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { createCertificateAuthority, type CertificateAuthority, type Certificate } from './tls.ts';
import { temporaryDirectory } from './undo.ts';

export interface StoredObject {
  metadata: { name: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

interface WatchEvent {
  readonly version: number;
  readonly collection: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
}

/** What came in. */
export interface SeenRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
}

/** Answers instead of the server, where it returns true. */
export type Fault = (request: SeenRequest, response: ServerResponse) => boolean;

export class ApiServer implements AsyncDisposable {
  readonly port: number;
  readonly requests: SeenRequest[] = [];
  /** Tokens that are accepted; any where it is empty. */
  readonly tokens = new Set<string>();
  fault: Fault = () => false;
  readonly #authority: CertificateAuthority;
  readonly #certificate: Certificate;
  readonly #folder = temporaryDirectory('api-server');
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #sockets = new Set<Socket>();
  /** Watches under way: each is handed the events that come. */
  readonly #watches = new Set<{ collection: string; name: string; response: ServerResponse }>();
  #events: WatchEvent[] = [];
  #version = 100;
  /** Events up to this one are forgotten. */
  #forgotten = 100;
  #server: Server | undefined;

  private constructor(port: number, authority: CertificateAuthority, certificate: Certificate) {
    this.port = port;
    this.#authority = authority;
    this.#certificate = certificate;
  }

  static async start(): Promise<ApiServer> {
    const authority = await createCertificateAuthority();
    const server = new ApiServer(await freePort(), authority, await authority.server());
    await server.up();
    return server;
  }

  /** Listens (again); what was known before is still known. */
  async up(): Promise<void> {
    const server = createServer(
      { cert: this.#certificate.certificate, key: this.#certificate.key },
      (request, response) => this.#answer(request, response),
    );
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) =>
      server.once('error', reject).listen(this.port, '127.0.0.1', resolve),
    );
    this.#server = server;
  }

  /** Stops as if it was killed. */
  async down(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server?.close(() => resolve()));
    this.cutConnections();
    await closed;
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Forgets all events: who comes with an older version gets 410. */
  forget(): void {
    this.#version += 10;
    this.#forgotten = this.#version;
    this.#events = [];
  }

  get watching(): number {
    return this.#watches.size;
  }

  /** @param collection `/apis/batch/v1/namespaces/default/jobs` */
  set(collection: string, object: StoredObject): void {
    const objects = this.#objects.get(collection) ?? new Map<string, StoredObject>();
    this.#objects.set(collection, objects);
    const type = objects.has(object.metadata.name) ? 'MODIFIED' : 'ADDED';
    const stored = this.#stamped(object);
    objects.set(object.metadata.name, stored);
    this.#emit({ version: this.#version, collection, type, object: stored });
  }

  /** @param last how it was last, where no event has told that before */
  delete(collection: string, name: string, last?: StoredObject): void {
    const found = last ?? this.#objects.get(collection)?.get(name);
    if (found === undefined) throw new Error(`there is no ${collection}/${name}`);
    this.#objects.get(collection)?.delete(name);
    this.#emit({ version: this.#version + 1, collection, type: 'DELETED', object: this.#stamped(found) });
  }

  /** Writes to every watch that runs, whatever it is. */
  write(text: string): void {
    for (const { response } of this.#watches) response.write(text);
  }

  /** Ends every watch as at the end of its time. */
  endWatches(): void {
    for (const { response } of this.#watches) response.end();
  }

  /** A kubeconfig file for it. */
  kubeconfig(user: Record<string, unknown>, cluster: Record<string, unknown> = {}): string {
    const path = join(this.#folder.path, `config-${Math.random().toString(36).slice(2)}`);
    const config = {
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'here', user: 'me', namespace: 'default' } }],
      clusters: [
        {
          name: 'here',
          cluster: {
            server: `https://localhost:${this.port}`,
            'certificate-authority-data': Buffer.from(this.#authority.certificate).toString('base64'),
            ...cluster,
          },
        },
      ],
      users: [{ name: 'me', user }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  get authorityFile(): string {
    return this.#authority.certificateFile;
  }

  get folder(): string {
    return this.#folder.path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    this.#folder.remove();
    this.#authority.remove();
  }

  #stamped(object: StoredObject): StoredObject {
    this.#version += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
  }

  #emit(event: WatchEvent): void {
    this.#events.push(event);
    for (const watch of this.#watches) this.#deliver(watch, event);
  }

  #deliver(
    { collection, name, response }: { collection: string; name: string; response: ServerResponse },
    event: WatchEvent,
  ): void {
    if (event.collection !== collection || (name !== '' && event.object.metadata.name !== name)) return;
    response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'https://localhost');
    const seen = {
      path: pathname,
      query,
      authorization: request.headers.authorization,
      accept: request.headers.accept,
    };
    this.requests.push(seen);
    if (this.fault(seen, response)) return;
    const token = /^Bearer (.*)$/.exec(seen.authorization ?? '')?.[1] ?? '';
    if (this.tokens.size > 0 && !this.tokens.has(token))
      return status(response, 401, 'Unauthorized', 'Unauthorized');
    const name = /^metadata\.name=(.*)$/.exec(query.get('fieldSelector') ?? '')?.[1] ?? '';
    if (query.get('watch') === 'true') return this.#watch(pathname, name, query, response);
    const [, collection = '', one = ''] = /^(.*)\/([^/]+)$/.exec(pathname) ?? [];
    const found = this.#objects.get(decodeURIComponent(collection))?.get(one);
    if (found !== undefined) return json(response, 200, found);
    // A name follows the plural: /api/v1/namespaces/NAMESPACE/secrets/NAME.
    if (/\/namespaces\/[^/]+\/[^/]+\/[^/]+$/.test(pathname))
      return status(response, 404, 'NotFound', `${pathname} not found`);
    const items = [...(this.#objects.get(pathname)?.values() ?? [])].filter(
      ({ metadata }) => name === '' || metadata.name === name,
    );
    json(response, 200, { kind: 'List', metadata: { resourceVersion: String(this.#version) }, items });
  }

  #watch(collection: string, name: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders();
    if (from < this.#forgotten) {
      const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      response.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`);
      return;
    }
    const watch = { collection, name, response };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    for (const event of this.#events) if (event.version > from) this.#deliver(watch, event);
    setTimeout(() => response.end(), Number(query.get('timeoutSeconds')) * 1000).unref();
  }
}

export function json(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** An answer that is a Status of the API. */
export function status(response: ServerResponse, code: number, reason: string, message: string): void {
  json(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });
}
