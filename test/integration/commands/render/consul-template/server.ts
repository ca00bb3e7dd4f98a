// What both programs read: Vault with a KV engine of each version, a database and a PKI, and Consul's keys, as far as templates
// ask for them. Answers are those of the documented API.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createCertificateAuthority } from '../../../../support/tls.ts';

export interface ReadServer extends AsyncDisposable {
  /** For VAULT_ADDR and CONSUL_HTTP_ADDR. */
  readonly address: string;
  /** `GET secret/data/app`, as they came; without those of mounts and tokens. */
  readonly asked: string[];
  /** Bodies of what was written. */
  readonly written: unknown[];
  /** Tokens that came to Consul, and those that were handed out or revoked. */
  readonly tokens: string[];
}

export const token = 'root-of-the-tests';

/** What `{{ env }}` finds; no other variables are handed to either program. */
export const variables: Readonly<Record<string, string>> = {
  APP_NAME: 'shop',
  EMPTY: '',
  LIST: 'a, b,c',
  LEVEL: 'info',
  NUMBER: '42',
  TRUE: 'true',
};

export const secrets = {
  app: {
    username: 'shop',
    password: 'p4ss"w0rd<&>\'s',
    port: 5432,
    ratio: 0.25,
    large: 12345678901234567000,
    enabled: true,
    disabled: false,
    nothing: null,
    empty: '',
    multi: 'line one\nline two\n\nline four\n',
    umlaut: 'Zürich, naïve, 東京, 😀',
    'dashed-key': 'dash',
    hosts: ['a.example', 'b.example', 'c.example'],
    none: [],
    nested: { zone: 'eu', area: { id: 7, name: 'north' }, list: [{ n: 'x' }, { n: 'y' }] },
    json: '{"url":"https://x.example/?a=1&b=2","count":3,"big":1000000,"small":0.000001,"huge":1e21,"list":[1,2.5,"t",null,true],"in":{"k":"v"}}',
    encoded: Buffer.from('decoded ✓ text\n').toString('base64'),
    binary: Buffer.from([0xfe, 0xed, 0xfe, 0xed, 0, 1, 2, 0x80, 0xff]).toString('base64'),
    urlsafe: Buffer.from('~~~???>>>').toString('base64url'),
    pem: '-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n',
  },
  other: { user: 'other', path: 'app' },
  cut: {
    slash: 'Kq7ZxWm9Tr-a/hV4pdB8sQz',
    data: 'data/Kq7ZxWm9Tr',
    at: 'Kq7ZxWm9Tr@hV4pdB8sQz',
    query: 'Kq7ZxWm9Tr?hV4pdB8sQz',
  },
};

const keys: Readonly<Record<string, string>> = {
  'app/level': 'debug',
  'app/text': 'two\nlines\n',
  'app/empty': '',
};

/** Paths of Vault's mounts, and which KV engine serves them. */
const mounts: Readonly<Record<string, '1' | '2' | undefined>> = {
  'secret/': '2',
  'kv1/': '1',
  'database/': undefined,
  'pki/': undefined,
};

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** @returns undefined for what is not there */
export async function startReadServer(): Promise<
  ReadServer & { readonly pems: Readonly<Record<string, string>> }
> {
  using authority = await createCertificateAuthority();
  const { certificate, key } = await authority.server(['app.example']);
  const pems = { certificate: certificate.trim(), key: key.trim(), authority: authority.certificate.trim() };
  const asked: string[] = [];
  const written: unknown[] = [];
  const tokens: string[] = [];
  let leases = 0;

  const stored = (value: unknown, version = 3): unknown => ({
    request_id: 'request',
    lease_id: '',
    lease_duration: 0,
    renewable: false,
    data: {
      data: value,
      metadata: { created_time: '2026-11-22T18:00:00Z', deletion_time: '', destroyed: false, version },
    },
  });

  const vault = ({ method, path, query, body }: Asked): unknown => {
    if (path.startsWith('sys/internal/ui/mounts/')) {
      const inside = path.slice('sys/internal/ui/mounts/'.length);
      const mount = Object.keys(mounts).find((one) => inside.startsWith(one));
      if (mount === undefined) return undefined;
      const version = mounts[mount];
      return {
        data: {
          path: mount,
          type: version === undefined ? mount.slice(0, -1) : 'kv',
          options: version === undefined ? null : { version },
        },
      };
    }
    if (path === 'auth/userpass/login/app') {
      tokens.push('login');
      return { auth: { client_token: token, accessor: 'accessor', policies: ['app'], lease_duration: 600 } };
    }
    if (path === 'auth/token/revoke-self') {
      tokens.push('revoke');
      return {};
    }
    if (path === 'auth/token/lookup-self' && tokens.length > 0)
      return { data: { accessor: 'accessor', ttl: 600 } };
    if (path === 'auth/token/lookup-self') return { data: { accessor: '', ttl: 0, id: token } };
    asked.push(`${method} ${path}${query.size > 0 ? `?${query.toString()}` : ''}`);
    if (body !== undefined) written.push(body);
    if (method !== 'GET') {
      if (path !== 'pki/issue/web') return undefined;
      const data = {
        certificate: pems.certificate,
        private_key: pems.key,
        issuing_ca: pems.authority,
        ca_chain: [pems.authority],
        serial_number: '01:02',
        expiration: 1800000000,
      };
      return { lease_id: '', lease_duration: 0, renewable: false, data };
    }
    if (path === 'secret/data/app')
      return query.get('version') === '2' ? stored({ password: 'older' }, 2) : stored(secrets.app);
    if (path === 'secret/data/other') return stored(secrets.other);
    if (path === 'secret/data/cut') return stored(secrets.cut);
    if (path === 'secret/metadata/app') return { data: { current_version: 3, max_versions: 0 } };
    if (path === 'kv1/app')
      return { lease_id: '', lease_duration: 2764800, renewable: false, data: secrets.app };
    if (path === 'kv1/other')
      return { lease_id: '', lease_duration: 2764800, renewable: false, data: secrets.other };
    if (path === 'database/creds/app')
      return {
        lease_id: `database/creds/app/${++leases}`,
        lease_duration: 3600,
        renewable: true,
        data: { username: `v-app-${leases}`, password: `made-${leases}` },
      };
    return undefined;
  };

  const consul = (path: string, query: URLSearchParams, response: ServerResponse): void => {
    const value = keys[path];
    asked.push(`KEY ${path}`);
    response.setHeader('X-Consul-Index', '7');
    if (value === undefined) response.writeHead(404).end();
    else if (query.has('raw')) response.writeHead(200, { 'Content-Type': 'text/plain' }).end(value);
    else
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(
        JSON.stringify([
          {
            Key: path,
            Value: Buffer.from(value).toString('base64'),
            Flags: 0,
            CreateIndex: 1,
            ModifyIndex: 1,
            LockIndex: 0,
          },
        ]),
      );
  };

  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://server');
      const path = url.pathname.replace(/^\/v1\//, '');
      const sent = request.headers['x-consul-token'];
      if (sent !== undefined) tokens.push(`${String(sent)} to ${path.split('/')[0]}`);
      if (path.startsWith('kv/')) return consul(path.slice('kv/'.length), url.searchParams, response);
      const given = await bodyOf(request);
      const body: unknown = given === '' ? undefined : JSON.parse(given);
      const answer = vault({ method: request.method ?? '', path, query: url.searchParams, body });
      response
        .writeHead(answer === undefined ? 404 : 200, { 'Content-Type': 'application/json' })
        .end(JSON.stringify(answer ?? { errors: [] }));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    written,
    tokens,
    pems,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** What the real program made: the text, bytes in base64, or why it made nothing. */
export interface Expected {
  readonly text?: string;
  readonly base64?: string;
  readonly error?: string;
}

/** Certificates are new in each run. */
export function withPlaceholders(
  bytes: Uint8Array,
  pems: Readonly<Record<string, string>>,
  file: string,
): Expected {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
  for (const [name, pem] of Object.entries(pems)) text = text.replaceAll(pem, `<${name}>`);
  return { text: text.replaceAll(file, 'FILE') };
}
