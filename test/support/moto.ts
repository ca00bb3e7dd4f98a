// AWS Secrets Manager, Parameter Store and S3 (and the rest that moto imitates) over HTTP, from the PyPI package moto.
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { canInstallPython, pythonPackage } from './python-packages.ts';
import { startServerProcess } from './server-process.ts';
import { temporaryDirectory } from './undo.ts';

const requirement = 'moto[server]==5.2.5';
/** Headers of a request to a service. */
type Headers = Record<string, string>;
const region = 'eu-central-1';

export interface MotoOptions {
  port?: number;
  listen?: string;
  prefix?: readonly string[];
}

export interface Moto extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly region: string;
  /** What a client needs: endpoint, region, and keys that moto accepts. */
  readonly env: Record<string, string>;
  /** Calls Secrets Manager: `secretsManager('CreateSecret', { Name: 'prod/api', SecretString: '…' })`. */
  secretsManager(action: string, body: Record<string, unknown>): Promise<{ status: number; body: unknown }>;
  /** Calls Parameter Store: `parameterStore('PutParameter', { Name: '/app/key', … })`. */
  parameterStore(action: string, body: Record<string, unknown>): Promise<{ status: number; body: unknown }>;
  /** Calls S3, by path: `objects('PUT', '/bucket/key', 'content')`. */
  objects(method: string, path: string, body?: string | Buffer, headers?: Headers): Promise<Response>;
  /** Forgets everything that was stored. */
  reset(): Promise<void>;
  logs(): string;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseMoto(): string | undefined {
  return canInstallPython();
}

/** Starts a server; the first call in a checkout installs it (under a minute). */
export async function startMoto(options: MotoOptions = {}): Promise<Moto> {
  // The server compiles what it imports, a small part of it, when it is started first.
  const { python, folder } = await pythonPackage(requirement, ['--no-compile']);
  const listen = options.listen ?? '127.0.0.1';
  const port = options.port ?? (await freePort());
  const files = temporaryDirectory('moto');
  const address = `http://${listen}:${port}`;
  const server = await startServerProcess({
    command: [
      ...(options.prefix ?? []),
      python,
      '-c',
      'from moto.server import main; main()',
      '-H',
      listen,
      '-p',
      `${port}`,
    ],
    env: { PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '', HOME: files.path, AWS_DEFAULT_REGION: region },
    logFile: join(files.path, 'log'),
    ready: (log) => log.includes('Running on http'),
    timeout: 60_000,
  });
  // moto reads the service out of the credential's scope and checks no signature.
  const authorization = (service: string): string =>
    `AWS4-HMAC-SHA256 Credential=testing/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
  const call = async (service: string, target: string, body: Record<string, unknown>) => {
    const reply = await fetch(address, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.1',
        'X-Amz-Target': target,
        Authorization: authorization(service),
      },
      body: JSON.stringify(body),
    });
    return { status: reply.status, body: await reply.json() };
  };
  const stop = async () => {
    await server.stop('SIGTERM', 2_000);
    files.remove();
  };
  return {
    address,
    port,
    pid: server.pid,
    region,
    env: {
      AWS_ENDPOINT_URL_SECRETS_MANAGER: address,
      AWS_ENDPOINT_URL_SSM: address,
      AWS_ENDPOINT_URL_S3: address,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: 'testing',
      AWS_SECRET_ACCESS_KEY: 'testing-secret-key',
    },
    secretsManager: (action, body) => call('secretsmanager', `secretsmanager.${action}`, body),
    parameterStore: (action, body) => call('ssm', `AmazonSSM.${action}`, body),
    objects: (method, path, body, headers = {}) =>
      fetch(`${address}${path}`, {
        method,
        headers: { Authorization: authorization('s3'), ...headers },
        ...(body === undefined ? {} : { body: body as string }),
      }),
    async reset() {
      const reply = await fetch(`${address}/moto-api/reset`, { method: 'POST' });
      if (!reply.ok) throw new Error(`moto did not reset: ${reply.status}`);
      await reply.text();
    },
    logs: server.logs,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
