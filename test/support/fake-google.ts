// Google's metadata server, its endpoints for tokens, and Secret Manager, as far as their documentation tells how they answer.
// No program of Google's that could be run here does: this one shows that what we send is what the documentation says, and
// nothing about what Google makes of it.
import { generateKeyPairSync, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A request that came. */
export interface GoogleRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface FakeGoogle extends Disposable {
  /** `127.0.0.1:PORT`, for GCE_METADATA_HOST. */
  readonly host: string;
  readonly url: string;
  readonly requests: GoogleRequest[];
  /** Variables with which a client finds the metadata server and Secret Manager here. */
  readonly env: Record<string, string>;
  /** The content of a file of credentials of a service account. */
  serviceAccount(changes?: Record<string, unknown>): string;
  /** Of workload identity federation, with the token in a file. */
  externalAccount(tokenFile: string, changes?: Record<string, unknown>): string;
  /** Answers before anything else does; false where it did not. */
  answerFirst: (request: GoogleRequest, response: ServerResponse) => boolean;
}

export interface FakeVersion {
  readonly data?: string;
  readonly state?: 'DISABLED' | 'DESTROYED';
  /** In place of the right sum. */
  readonly crc32c?: string;
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

/** A key of nobody. */
export const unknownKey = otherKey.export({ type: 'pkcs8', format: 'pem' });

/** What a version's payload says of its bytes: bit by bit, as RFC 9260 defines the sum. */
export function slowCrc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  }
  return ~sum >>> 0;
}

/** @param secrets versions by `PROJECT/NAME`, the first of which is version 1 */
export async function startFakeGoogle(
  secrets: Readonly<Record<string, readonly FakeVersion[]>> = {},
): Promise<FakeGoogle> {
  const requests: GoogleRequest[] = [];
  const tokens = new Set<string>();
  let count = 0;
  const newToken = (of: string): string => {
    const token = `ya29.${of}-canary-${(count += 1)}`;
    tokens.add(token);
    return token;
  };
  const json = (response: ServerResponse, status: number, body: unknown, headers = {}): void => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  const refuse = (response: ServerResponse, status: number, code: string, message: string): void =>
    json(response, status, { error: { code: status, message, status: code } });

  const metadata = ({ path, headers }: GoogleRequest, response: ServerResponse): void => {
    const flavor = { 'Metadata-Flavor': 'Google' };
    if (headers['metadata-flavor'] !== 'Google')
      return void response.writeHead(403, flavor).end('Missing Metadata-Flavor');
    const what = path.replace('/computeMetadata/v1/', '');
    if (what === 'instance/service-accounts/default/token')
      return json(
        response,
        200,
        { access_token: newToken('pod'), expires_in: 3599, token_type: 'Bearer' },
        flavor,
      );
    if (what === 'instance/service-accounts/default/email')
      return void response.writeHead(200, flavor).end('api@shop-prod.iam.gserviceaccount.com');
    if (what === 'project/project-id') return void response.writeHead(200, flavor).end('shop-prod');
    response.writeHead(404, flavor).end('not defined');
  };
  const token = ({ body }: GoogleRequest, response: ServerResponse): void => {
    const form = new URLSearchParams(body);
    const [head = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const said = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}') as Record<string, unknown>;
    const right =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      verify('sha256', Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, 'base64url'));
    if (!right || said['aud'] !== `${fake.url}/token` || said['scope'] !== scope)
      return json(response, 400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' });
    const off = Math.abs(Number(said['iat']) - Date.now() / 1000);
    if (off > 300 || Number(said['exp']) - Number(said['iat']) > 3600)
      return json(response, 400, {
        error: 'invalid_grant',
        error_description: 'Invalid JWT: check your iat',
      });
    json(response, 200, { access_token: newToken('key'), expires_in: 3599, token_type: 'Bearer' });
  };
  const sts = ({ body }: GoogleRequest, response: ServerResponse): void => {
    const form = Object.fromEntries(new URLSearchParams(body));
    if (
      form['grant_type'] !== 'urn:ietf:params:oauth:grant-type:token-exchange' ||
      form['requested_token_type'] !== 'urn:ietf:params:oauth:token-type:access_token' ||
      form['subject_token_type'] !== 'urn:ietf:params:oauth:token-type:jwt' ||
      form['audience'] !== audience ||
      !form['subject_token']?.includes('subject-canary')
    )
      return json(response, 400, {
        error: 'invalid_grant',
        error_description: 'The audience in ID Token does not match.',
      });
    json(response, 200, { access_token: newToken('sts'), expires_in: 3600, token_type: 'Bearer' });
  };
  const impersonate = ({ body, headers }: GoogleRequest, response: ServerResponse): void => {
    const said = JSON.parse(body) as { scope: string[]; lifetime: string };
    if (!tokens.has(headers.authorization?.replace('Bearer ', '') ?? '') || said.scope[0] !== scope)
      return refuse(
        response,
        403,
        'PERMISSION_DENIED',
        "Permission 'iam.serviceAccounts.getAccessToken' denied",
      );
    const expireTime = new Date(Date.now() + 3_600_000).toISOString();
    json(response, 200, { accessToken: newToken('impersonated'), expireTime });
  };
  const access = ({ path, headers }: GoogleRequest, response: ServerResponse): void => {
    const [, project = '', location = '', name = '', asked = ''] =
      /^\/v1\/projects\/([^/]+)(\/locations\/[^/]+)?\/secrets\/([^/]+)\/versions\/([^/]+):access$/.exec(
        path,
      ) ?? [];
    if (!tokens.has(headers.authorization?.replace('Bearer ', '') ?? ''))
      return refuse(response, 401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    if (name === 'forbidden')
      return refuse(
        response,
        403,
        'PERMISSION_DENIED',
        `Permission 'secretmanager.versions.access' denied for resource 'projects/${project}/secrets/${name}/versions/${asked}' (or it may not exist).`,
      );
    const versions = secrets[`${decodeURIComponent(project)}/${name}`];
    const at = asked === 'latest' ? (versions?.length ?? 0) : Number(asked === 'blue' ? 1 : asked);
    const version = versions?.[at - 1];
    if (version === undefined)
      return refuse(
        response,
        404,
        'NOT_FOUND',
        versions === undefined
          ? `Secret [projects/1/secrets/${name}] not found or has no versions.`
          : `Secret Version [projects/1/secrets/${name}/versions/${asked}] not found.`,
      );
    if (version.state !== undefined)
      return refuse(
        response,
        400,
        'FAILED_PRECONDITION',
        `Secret Version [projects/1/secrets/${name}/versions/${at}] is in ${version.state} state.`,
      );
    const bytes = Buffer.from(version.data ?? '');
    json(response, 200, {
      name: `projects/1${location}/secrets/${name}/versions/${at}`,
      payload: { data: bytes.toString('base64'), dataCrc32c: version.crc32c ?? String(slowCrc32c(bytes)) },
    });
  };

  const server = createServer((message, response) => {
    const pieces: Buffer[] = [];
    message.on('data', (piece: Buffer) => pieces.push(piece));
    message.on('end', () => {
      const { method = '', url: path = '', headers } = message;
      const request = { method, path, headers, body: Buffer.concat(pieces).toString() };
      requests.push(request);
      if (fake.answerFirst(request, response)) return;
      if (path.startsWith('/computeMetadata/')) metadata(request, response);
      else if (path === '/token') token(request, response);
      else if (path === '/sts') sts(request, response);
      else if (path.endsWith(':generateAccessToken')) impersonate(request, response);
      else if (path.endsWith(':access')) access(request, response);
      else response.writeHead(404).end('Not Found');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const url = `http://${host}`;
  const fake: FakeGoogle = {
    host,
    url,
    requests,
    env: { GCE_METADATA_HOST: host, CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url },
    serviceAccount: (changes = {}) =>
      JSON.stringify({
        type: 'service_account',
        project_id: 'shop-prod',
        private_key_id: 'key-1',
        private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
        client_email: 'robot@shop-prod.iam.gserviceaccount.com',
        token_uri: `${url}/token`,
        ...changes,
      }),
    externalAccount: (tokenFile, changes = {}) =>
      JSON.stringify({
        type: 'external_account',
        audience,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${url}/sts`,
        credential_source: { file: tokenFile },
        ...changes,
      }),
    answerFirst: () => false,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
  return fake;
}

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const audience =
  '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/cluster/providers/oidc';
