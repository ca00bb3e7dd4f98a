// Microsoft Entra, the metadata server of Azure's virtual machines, and Key Vault, as far as their documentation tells how they
// answer. No program of Microsoft's that could be run here does: this one shows that what we send is what the documentation
// says, and nothing about what Azure makes of it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A request that came. */
export interface AzureRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface FakeSecret {
  readonly value: string;
  readonly version: string;
  readonly disabled?: boolean;
}

export interface FakeAzure extends Disposable {
  readonly url: string;
  readonly requests: AzureRequest[];
  /** Variables of AKS Workload Identity, but for the file of the token. */
  readonly env: Record<string, string>;
  /** Answers before anything else does; false where it did not. */
  answerFirst: (request: AzureRequest, response: ServerResponse) => boolean;
}

export const tenant = '11111111-2222-3333-4444-555555555555';
export const client = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';

/** What Entra gives, of a form that Azurite reads: the middle part has its claims. */
export function accessToken(resource: string, count: number): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: resource,
    iss: `https://sts.windows.net/${tenant}/`,
    iat: now,
    nbf: now - 60,
    exp: now + 3600,
  };
  const parts = [{ alg: 'none', typ: 'JWT' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${parts.join('.')}.token-canary-${count}`;
}

/** @param secrets versions by name, the last of which is the current one */
export async function startFakeAzure(
  secrets: Readonly<Record<string, readonly FakeSecret[]>> = {},
): Promise<FakeAzure> {
  const requests: AzureRequest[] = [];
  const tokens = new Map<string, string>();
  const json = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };
  const give = (response: ServerResponse, resource: string, expires: unknown): void => {
    const token = accessToken(resource, tokens.size + 1);
    tokens.set(token, resource);
    json(response, 200, { token_type: 'Bearer', expires_in: expires, access_token: token });
  };
  const entra = ({ body }: AzureRequest, response: ServerResponse): void => {
    const form = Object.fromEntries(new URLSearchParams(body));
    const [, resource = ''] = /^(https:\/\/.+)\/\.default$/.exec(form['scope'] ?? '') ?? [];
    if (form['grant_type'] !== 'client_credentials' || form['client_id'] !== client || resource === '')
      return json(response, 400, {
        error: 'unauthorized_client',
        error_description: `AADSTS700016: Application with identifier '${form['client_id']}' was not found`,
      });
    const byToken =
      form['client_assertion_type'] === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
      form['client_assertion']?.endsWith('.pod-canary');
    if (!byToken && form['client_secret'] !== 'secret-canary')
      return json(response, 401, {
        error: 'invalid_client',
        error_description: `AADSTS70021: No matching federated identity record found for presented assertion ${form['client_assertion'] ?? form['client_secret']}`,
      });
    give(response, resource, 3599);
  };
  const imds = ({ path, headers }: AzureRequest, response: ServerResponse): void => {
    const query = new URL(path, 'http://x').searchParams;
    const resource = query.get('resource') ?? '';
    if (headers['metadata'] !== 'true' || query.get('api-version') !== '2018-02-01' || resource === '')
      return json(response, 400, {
        error: 'invalid_request',
        error_description: 'Required metadata header not specified',
      });
    if (![null, client].includes(query.get('client_id')))
      return json(response, 400, { error: 'invalid_request', error_description: 'Identity not found' });
    // As a text, as the real one does.
    give(response, resource, '86399');
  };
  const vault = ({ path, headers }: AzureRequest, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(path, 'http://x');
    const [, name = '', asked] = /^\/secrets\/([^/]+)(?:\/([^/]+))?$/.exec(pathname) ?? [];
    const refuse = (status: number, code: string, message: string, inner?: string): void =>
      json(response, status, { error: { code, message, ...(inner ? { innererror: { code: inner } } : {}) } });
    if (searchParams.get('api-version') !== '7.4') return refuse(400, 'BadParameter', 'api-version');
    if (tokens.get(headers.authorization?.replace('Bearer ', '') ?? '') !== 'https://vault.azure.net')
      return refuse(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.');
    if (name === 'forbidden')
      return refuse(
        403,
        'Forbidden',
        'Caller is not authorized to perform action on resource.',
        'ForbiddenByRbac',
      );
    if (name === 'walled')
      return refuse(403, 'Forbidden', 'Client address is not authorized', 'ForbiddenByFirewall');
    const versions = secrets[name];
    const secret =
      asked === undefined ? versions?.at(-1) : versions?.find(({ version }) => version === asked);
    if (secret === undefined)
      return refuse(
        404,
        'SecretNotFound',
        `A secret with (name/id) ${name} was not found in this key vault.`,
      );
    if (secret.disabled)
      return refuse(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
    json(response, 200, {
      value: secret.value,
      id: `https://shop.vault.azure.net/secrets/${name}/${secret.version}`,
      attributes: { enabled: true, created: 1_700_000_000, updated: 1_700_000_000 },
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
      if (path === `/${tenant}/oauth2/v2.0/token`) entra(request, response);
      else if (path.startsWith('/metadata/identity/oauth2/token')) imds(request, response);
      else if (path.startsWith('/secrets/')) vault(request, response);
      else response.writeHead(404).end('Not Found');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const fake: FakeAzure = {
    url,
    requests,
    env: { AZURE_AUTHORITY_HOST: url, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client },
    answerFirst: () => false,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
  return fake;
}
