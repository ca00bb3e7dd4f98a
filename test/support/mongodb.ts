// MongoDB's protocol: FerretDB, built from its Go module once per checkout, and servers that answer as they are told.
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { canGetGo, goBinary } from './go.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { temporaryDirectory } from './undo.ts';

const version = 'v1.24.2';

/** For requireOrSkip. */
export function canUseFerretdb(): string | undefined {
  return canGetGo();
}

export interface Ferretdb extends AsyncDisposable {
  readonly port: number;
  /** Undefined without a certificate. */
  readonly tlsPort: number | undefined;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface FerretdbOptions {
  port?: number;
  tls?: { certificateFile: string; keyFile: string; authorityFile: string };
  /** Made by its first start, as the server’s only one, for SCRAM; nobody logs in without it. */
  user?: { name: string; password: string };
}

/** Its own command lacks a file that its releases have, so that it is built from a copy of the module’s source. */
const build = `
source=$("$GO" mod download -json github.com/FerretDB/FerretDB@${version} | sed -n 's/^.*"Dir": "\\(.*\\)",*$/\\1/p')
cp -r "$source" "$OUT/source" && chmod -R u+w "$OUT/source" && cd "$OUT/source"
printf ${version} > build/version/version.txt
"$GO" build -trimpath -buildvcs=false -mod=mod -tags ferretdb_no_postgresql -o "$OUT/ferretdb" ./cmd/ferretdb >&2
cd "$OUT" && rm -r source`;

/** Path of the server; where it is built first, that takes minutes on a machine that has none of its modules. */
export async function ferretdbBinary(): Promise<string> {
  const built = await makeOnce(join(projectCacheDirectory(), `ferretdb-${version}`), build, {
    GO: await goBinary(),
    GOFLAGS: '',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  });
  return join(built, 'ferretdb');
}

/** Starts a server on 127.0.0.1 that keeps its data in SQLite. It is alone: it knows no replica sets. */
export async function startFerretdb(options: FerretdbOptions = {}): Promise<Ferretdb> {
  const { tls, user } = options;
  const port = options.port ?? (await freePort());
  const tlsPort = tls && (await freePort());
  const folder = temporaryDirectory('ferretdb');
  const server = await startServerProcess({
    command: [
      await ferretdbBinary(),
      '--handler=sqlite',
      `--sqlite-url=file:${folder.path}/`,
      `--state-dir=${folder.path}`,
      `--listen-addr=127.0.0.1:${port}`,
      '--debug-addr=-',
      '--telemetry=disable',
      ...(tls === undefined
        ? []
        : [
            `--listen-tls=127.0.0.1:${tlsPort}`,
            `--listen-tls-cert-file=${tls.certificateFile}`,
            `--listen-tls-key-file=${tls.keyFile}`,
            `--listen-tls-ca-file=${tls.authorityFile}`,
          ]),
      ...(user === undefined
        ? []
        : [
            '--test-enable-new-auth',
            `--setup-username=${user.name}`,
            `--setup-password=${user.password}`,
            '--setup-database=app',
          ]),
    ],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes(tls === undefined ? 'Listening on TCP' : 'Listening on TLS'),
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGKILL');
    folder.remove();
  };
  return { port, tlsPort, pid: server.pid, stop, [Symbol.asyncDispose]: stop };
}

export interface PlayedDocument {
  readonly [name: string]: string | number | boolean | Uint8Array | readonly string[] | PlayedDocument;
}

/** What a server that is played answers to a command: a document, bytes as they are, or `close`. */
export type PlayedAnswer = PlayedDocument | Uint8Array | 'close' | undefined;

export interface PlayedMongodb extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** The commands that came, by their first name. */
  readonly commands: readonly string[];
}

/** A server of the protocol that answers each command as it is told; undefined is silence. */
export async function playMongodb(
  answer: (command: string, address: string, message: Buffer) => PlayedAnswer,
  given?: number,
): Promise<PlayedMongodb> {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  let address = '';
  const server = createServer((socket) => {
    sockets.add(socket);
    let heard = Buffer.alloc(0);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      while (heard.length >= 4 && heard.length >= heard.readInt32LE(0)) {
        const length = heard.readInt32LE(0);
        // Behind the document's length and the type of its first field.
        const command = heard.toString('utf8', 26, heard.indexOf(0, 26));
        commands.push(command);
        const said = answer(command, address, Buffer.from(heard.subarray(0, length)));
        if (said === 'close') socket.end();
        else if (said instanceof Uint8Array) socket.write(said);
        else if (said !== undefined) socket.write(mongodbMessage(heard.readInt32LE(4), said));
        heard = heard.subarray(length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(given ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  address = `127.0.0.1:${port}`;
  return {
    port,
    address,
    commands,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** An answer to the request of this number, as a server sends it. */
export function mongodbMessage(request: number, document: PlayedDocument): Buffer {
  const body = bsonOf(document);
  return Buffer.concat([...[21 + body.length, 4711, request, 2013, 0].map(int32), Buffer.from([0]), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** A document as BSON: whole numbers and `ok`, which is a double, texts, booleans, bytes, lists of texts, documents. */
function bsonOf(document: PlayedDocument | readonly string[]): Buffer {
  const fields = Object.entries(document).map(([name, value]: [string, PlayedDocument[string]]) => {
    const [type, bytes] = valueOf(name, value);
    return Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), bytes]);
  });
  const body = Buffer.concat([...fields, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function valueOf(name: string, value: PlayedDocument[string]): [type: number, bytes: Buffer] {
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0`);
    return [2, Buffer.concat([int32(text.length), text])];
  }
  if (typeof value === 'boolean') return [8, Buffer.from([value ? 1 : 0])];
  if (value instanceof Uint8Array) return [5, Buffer.concat([int32(value.length), Buffer.from([0]), value])];
  if (typeof value === 'object') return [Array.isArray(value) ? 4 : 3, bsonOf(value)];
  if (name !== 'ok') return [16, int32(value)];
  const double = Buffer.alloc(8);
  double.writeDoubleLE(value);
  return [1, double];
}
