// docs/security.md, "Where credentials go": each row of its table is a test here, under the row's own name.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { runInitbox, type ProgramResult } from '../../support/program.ts';
import { createCertificateAuthority, type CertificateAuthority } from '../../support/tls.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { pageAt } from '../../unit/docs/pages.ts';
import { serve, type Listening } from '../commands/wait-http/servers.ts';

const missing = requireOrSkip('where credentials go', canMount());
const folder = memoryFolders();
let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await createCertificateAuthority();
});
afterAll(() => authority.remove());

const canary = /canary/i;

/** Everything that came: request lines, headers, bodies. */
function heard({ requests }: Listening): string {
  return requests
    .map(({ request, body }) => [request.method, request.url, ...request.rawHeaders, body].join(' '))
    .join('\n');
}

/** Answers whatever is asked with a good answer of every kind: what comes here was stolen. */
const thief = (): Promise<Listening> =>
  serve((_request, response) =>
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(
      JSON.stringify({
        data: { path: 'secret/', type: 'kv', options: { version: '2' }, data: { key: 'planted' } },
        auth: { client_token: 'stolen', accessor: 'x' },
      }),
    ),
  );

/** Sends on whatever is asked, with its body. */
const sendingTo = (other: Listening, tls?: { key: string; cert: string }): Promise<Listening> =>
  serve(
    (request, response) => response.writeHead(307, { Location: `${other.url}${request.url}` }).end(),
    tls === undefined ? {} : { tls },
  );

async function secured(): Promise<{ key: string; cert: string }> {
  const { key, certificate } = await authority.server();
  return { key, cert: certificate };
}

const anywhere = ['--redirects', '3', '--cross-origin'];

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<ProgramResult> {
  const result = await runInitbox([...args, '--timeout', '4s', '--log-level', 'debug'], { env });
  expect(result.stderr).not.toMatch(canary);
  return result;
}

/** Both commands that take a URL. */
async function askUrl(
  url: string,
  flags: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  await run(['fetch-config', url, '--to', join(folder(), 'f'), ...flags], env);
  await run(['wait-http', url, ...flags], env);
}

function file(text: string): string {
  const path = join(folder(), 'file');
  writeFileSync(path, text, { mode: 0o400 });
  return path;
}

const aws = { AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' };
const fetchAws = (env: Record<string, string>): Promise<ProgramResult> =>
  run(['fetch-config', 'aws-sm:a', '--to', join(folder(), 'f')], { ...aws, ...env });

const fetchVault = (
  address: string,
  flags: readonly string[],
  env: Record<string, string> = {},
): Promise<ProgramResult> =>
  run(['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'f'), ...flags], {
    VAULT_ADDR: address,
    ...env,
  });

/** A proxy that makes tunnels to one place, and answers http itself. */
async function startProxy(target: Listening): Promise<{ port: number; seen: string[] } & Disposable> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const note = ({ method, url, rawHeaders }: IncomingMessage): void =>
    void seen.push([method, url, ...rawHeaders].join(' '));
  const proxy = createServer((request, response) => {
    note(request);
    response.writeHead(307, { Location: `${target.url}/f` }).end();
  });
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    note(request);
    const onward = connect(target.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    sockets.add(socket).add(onward);
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    seen,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

const rows: Readonly<Record<string, () => Promise<void>>> = {
  async 'Vault’s token'() {
    await using other = await thief();
    await using vault = await sendingTo(other);
    await fetchVault(vault.url, [], { VAULT_TOKEN: 'token-canary' });
    expect(heard(vault)).toContain('token-canary');
    expect(other.requests).toEqual([]);
  },
  async 'what logs in to Vault'() {
    for (const flags of [
      ['--vault-user', 'app', '--vault-password-file', file('password-canary')],
      ['--vault-role-id', 'r', '--vault-secret-id-file', file('id-canary')],
      ['--vault-role', 'app', '--vault-jwt-file', file('e30.e30.jwt-canary')],
    ]) {
      await using other = await thief();
      await using vault = await sendingTo(other);
      await fetchVault(vault.url, flags);
      expect(heard(vault)).toMatch(canary);
      expect(other.requests).toEqual([]);
    }
  },
  async 'Consul’s token'() {
    await using other = await thief();
    await using vault = await thief();
    await using consul = await sendingTo(other);
    const template = file('{{ with secret "secret/data/a" }}{{ end }}{{ key "a" }}');
    const words = ['render', template, '--language', 'consul-template', '--to', join(folder(), 'f')];
    const env = {
      CONSUL_HTTP_TOKEN: 'consul-canary',
      VAULT_ADDR: vault.url,
      VAULT_TOKEN: 'token-of-vault',
    };
    for (const address of [consul.url, consul.url.replace('http://', '')])
      await run(words, { ...env, CONSUL_HTTP_ADDR: address });
    expect(heard(consul).match(/X-Consul-Token consul-canary/gi)).toHaveLength(2);
    expect(vault.requests.length).toBeGreaterThan(0);
    expect(heard(vault)).not.toMatch(canary);
    const elsewhere = await run([...words, '--data', `x=${vault.url}/x`], {
      ...env,
      CONSUL_HTTP_ADDR: consul.url,
    });
    expect(elsewhere.status, elsewhere.stderr).toBe(2);
    expect(other.requests).toEqual([]);
  },
  async 'the user and password in a URL'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    await askUrl(`http://user:pw-canary@127.0.0.1:${api.port}/f`, anywhere);
    const pair = Buffer.from('user:pw-canary').toString('base64');
    expect(heard(api)).toContain(`Basic ${pair}`);
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(/authorization|canary/i);
  },
  async 'headers of --header-file and --header-env'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    const given = ['--header-file', file('X-Key: key-canary\n'), '--header-env', 'Authorization=TOKEN'];
    const env = { TOKEN: 'Bearer token-canary' };
    await askUrl(`${api.url}/f`, [...given, ...anywhere], env);
    expect(heard(api)).toMatch(/key-canary[^]*token-canary/);
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(/authorization|x-key|canary/i);
    // Several places: none of them is asked.
    const asked = api.requests.length;
    const { status } = await run(['wait-http', api.url, other.url, ...given], env);
    expect(status).toBe(2);
    expect(api.requests).toHaveLength(asked);
    expect(other.requests).toHaveLength(2);
  },
  async 'the user and password of --user-file'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    const given = ['--user-file', file('user:pw-canary\n')];
    await askUrl(`${api.url}/f`, [...given, ...anywhere]);
    expect(heard(api)).toContain(`Basic ${Buffer.from('user:pw-canary').toString('base64')}`);
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(/authorization|canary/i);
    const asked = api.requests.length;
    const { status } = await run(['wait-http', api.url, other.url, ...given]);
    expect(status).toBe(2);
    expect(api.requests).toHaveLength(asked);
    expect(other.requests).toHaveLength(2);
  },
  async 'those of --netrc-file'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    const netrc = file('default login user password pw-canary\n');
    await askUrl(`${api.url}/f`, ['--netrc-file', netrc, ...anywhere]);
    expect(heard(api)).toContain(`Basic ${Buffer.from('user:pw-canary').toString('base64')}`);
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(/authorization|canary/i);
  },
  async 'the body of a request'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    await run(['wait-http', `${api.url}/f`, '--request-body-file', file('body-canary'), ...anywhere]);
    expect(heard(api)).toContain('body-canary');
    expect(other.requests).toEqual([]);
  },
  async 'a client certificate'() {
    const tls = { ...(await secured()), ca: authority.certificate, requestCert: true };
    await using other = await serve((_request, response) => response.end('{}'), { tls });
    await using api = await sendingTo(other, tls);
    const client = await authority.client('client-canary');
    const shown = ['--cert-file', client.certificateFile, '--key-file', client.keyFile];
    const trusted = ['--ca-file', authority.certificateFile];
    await askUrl(`${api.url}/f`, [...trusted, ...shown, ...anywhere]);
    expect(api.requests.length).toBeGreaterThan(0);
    expect(other.connections).toBe(0);
    // A proxy at an https:// address asks for one too.
    const seen: unknown[] = [];
    await using proxy = await serve(
      (request, response) => {
        seen.push((request.socket as unknown as { getPeerCertificate(): object }).getPeerCertificate());
        response.end('{}');
      },
      { tls: { ...tls, rejectUnauthorized: false } },
    );
    const env = { HTTP_PROXY: `https://localhost:${proxy.port}` };
    await askUrl('http://config.internal/f', [...trusted, ...shown], env);
    expect(seen).toEqual([{}, {}]);
  },
  async 'what signs a URL'() {
    await using other = await thief();
    await using api = await serve((_request, response) =>
      response.writeHead(302, { Location: `${other.url}/g` }).end(),
    );
    await askUrl(`${api.url}/f?X-Amz-Signature=signature-canary`, anywhere);
    expect(heard(api)).toContain('signature-canary');
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(canary);
  },
  async 'the ETag of an earlier answer'() {
    await using other = await thief();
    await using api = await serve((_request, response) => {
      if (api.requests.length > 1) response.writeHead(302, { Location: `${other.url}/f` }).end();
      else response.writeHead(200, { ETag: '"etag-mark"' }).end('{}');
    });
    const place = folder();
    const given = ['fetch-config', `${api.url}/f`, '--to', join(place, 'f'), '--etag-file', join(place, 'e')];
    expect((await run(given)).status).toBe(0);
    await run([...given, ...anywhere]);
    expect(heard(api)).toContain('etag-mark');
    expect(other.requests).toHaveLength(1);
    expect(heard(other)).not.toContain('etag-mark');
    // Nor where a body is cut off, and its rest is asked for.
    await using cut = await serve((_request, response) => {
      if (cut.requests.length > 1) return response.writeHead(302, { Location: `${other.url}/f` }).end();
      response.writeHead(200, { ETag: '"etag-mark"', 'Content-Length': 5_000_000 });
      return response.write(Buffer.alloc(2_000_000), () => response.destroy());
    });
    await run(['fetch-config', `${cut.url}/f`, '--to', join(place, 'g'), ...anywhere]);
    expect(heard(cut)).toContain('bytes=2000000-');
    expect(other.requests).toHaveLength(2);
    expect(heard(other)).not.toMatch(/etag-mark|bytes=/);
  },
  async 'a proxy’s user and password'() {
    const sent = `Basic ${Buffer.from('user:proxy-canary').toString('base64')}`;
    await using target = await serve((_request, response) => response.end('{}'), { tls: await secured() });
    await using plain = await thief();
    const trusted = ['--ca-file', authority.certificateFile, '--tls-server-name', 'localhost'];
    for (const server of [target, plain]) {
      using proxy = await startProxy(server);
      const address = `http://user:proxy-canary@127.0.0.1:${proxy.port}`;
      const scheme = server === target ? 'https' : 'http';
      await askUrl(`${scheme}://config.internal/f`, [...trusted, ...anywhere], {
        HTTP_PROXY: address,
        HTTPS_PROXY: address,
      });
      expect(proxy.seen.join('\n')).toContain(sent);
      expect(server.requests).toHaveLength(2);
      expect(heard(server)).not.toMatch(/proxy-auth|canary/i);
    }
    // Whoever cannot prove to be the proxy gets nothing.
    await using impostor = await serve((_request, response) => response.end(), { tls: await secured() });
    const address = `https://user:proxy-canary@localhost:${impostor.port}`;
    for (const scheme of ['http', 'https'])
      await askUrl(`${scheme}://config.internal/f`, [], { HTTP_PROXY: address, HTTPS_PROXY: address });
    expect(impostor.connections).toBeGreaterThan(0);
    expect(impostor.requests).toEqual([]);
  },
  async 'AWS’s secret key'() {
    await using other = await thief();
    await using api = await sendingTo(other);
    await fetchAws({
      AWS_ENDPOINT_URL: api.url,
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIcanary',
    });
    expect(heard(api)).toContain('AWS4-HMAC-SHA256');
    expect(heard(api)).not.toMatch(canary);
    expect(other.requests).toEqual([]);
  },
  async 'AWS’s session token'() {
    await using other = await thief();
    for (const source of ['aws-sm:a', 'aws-ssm:/a', 's3://bucket/a', 's3://bucket/a/']) {
      await using api = await sendingTo(other);
      await run(['fetch-config', source, '--to', join(folder(), 'f')], {
        ...aws,
        AWS_ENDPOINT_URL: api.url,
        AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
        AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIxxxx',
        AWS_SESSION_TOKEN: 'session-canary',
      });
      expect(heard(api)).toContain('session-canary');
    }
    expect(other.requests).toEqual([]);
  },
  async 'Google’s access token'() {
    await using other = await thief();
    await using metadata = await serve((_request, response) =>
      response
        .writeHead(200, { 'Metadata-Flavor': 'Google' })
        .end('{"access_token":"google-canary","expires_in":3600}'),
    );
    await using api = await sendingTo(other);
    for (const source of ['gcp-sm:shop/a', 'gs://bucket/a', 'gs://bucket/a/']) {
      api.requests.length = 0;
      await run(['fetch-config', source, '--to', join(folder(), 'f')], {
        GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
        CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: api.url,
        CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: api.url,
        HTTP_PROXY: other.url,
        NO_PROXY: `127.0.0.1:${api.port}`,
      });
      expect(heard(api)).toContain('google-canary');
    }
    expect(other.requests).toEqual([]);
    // By plain http to another host: nobody is asked.
    const asked = metadata.requests.length;
    const { status } = await run(['fetch-config', 'gcp-sm:shop/a', '--to', join(folder(), 'f')], {
      GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'http://sm.example',
    });
    expect(status).toBe(2);
    expect(metadata.requests).toHaveLength(asked);
  },
  async 'what gets a token of Google'() {
    await using other = await thief();
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const pem = key.export({ type: 'pkcs8', format: 'pem' });
    const subject = file('e30.e30.subject-canary');
    for (const [content, sent] of [
      [{ type: 'service_account', client_email: 'a@b', private_key: pem }, /assertion=eyJ/],
      [
        {
          type: 'external_account',
          audience: '//iam',
          subject_token_type: 'jwt',
          credential_source: { file: subject },
        },
        /subject-canary/,
      ],
    ] as const) {
      await using api = await sendingTo(other);
      await run(['fetch-config', 'gcp-sm:shop/a', '--to', join(folder(), 'f')], {
        GOOGLE_APPLICATION_CREDENTIALS: file(
          JSON.stringify({ ...content, token_uri: api.url, token_url: api.url }),
        ),
      });
      expect(heard(api)).toMatch(sent);
      expect(heard(api)).not.toContain('PRIVATE');
    }
    expect(other.requests).toEqual([]);
  },
  async 'Azure’s access token'() {
    await using other = await thief();
    await using entra = await serve((_request, response) =>
      response.end('{"access_token":"azure-canary","expires_in":3600}'),
    );
    const ids = { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_CLIENT_SECRET: 'x'.repeat(9) };
    await using api = await sendingTo(other);
    const asked = ['fetch-config', 'azure-kv:shop/a', '--to', join(folder(), 'f')];
    await run([...asked, '--azure-vault-url', api.url], { ...ids, AZURE_AUTHORITY_HOST: entra.url });
    expect(heard(api)).toContain('azure-canary');
    for (const source of ['azure-blob://shop/config/a', 'azure-blob://shop/config/a/']) {
      api.requests.length = 0;
      await run(['fetch-config', source, '--to', join(folder(), 'f'), '--azure-blob-url', api.url], {
        ...ids,
        AZURE_AUTHORITY_HOST: entra.url,
      });
      expect(heard(api)).toContain('azure-canary');
    }
    // Nor to where the vault says that one logs in, and for what.
    await using vault = await serve((_request, response) =>
      response
        .writeHead(401, {
          'WWW-Authenticate': `Bearer authorization="${other.url}/t", resource="${other.url}"`,
        })
        .end(),
    );
    await run([...asked, '--azure-vault-url', vault.url], { ...ids, AZURE_AUTHORITY_HOST: entra.url });
    expect(heard(vault)).toContain('azure-canary');
    expect(other.requests).toEqual([]);
    const before = entra.requests.length;
    const { status } = await run([...asked, '--azure-vault-url', 'http://vault.example'], {
      ...ids,
      AZURE_AUTHORITY_HOST: entra.url,
    });
    expect(status).toBe(2);
    expect(entra.requests).toHaveLength(before);
  },
  async 'what gets a token of Azure'() {
    await using other = await thief();
    const ids = { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't' };
    for (const [proof, sent] of [
      [{ AZURE_CLIENT_SECRET: 'secret-canary' }, /secret-canary/],
      [{ AZURE_FEDERATED_TOKEN_FILE: file('e30.e30.pod-canary') }, /pod-canary/],
    ] as const) {
      await using entra = await sendingTo(other);
      await run(['fetch-config', 'azure-kv:shop/a', '--to', join(folder(), 'f')], {
        ...ids,
        ...proof,
        AZURE_AUTHORITY_HOST: entra.url,
      });
      expect(heard(entra)).toMatch(sent);
    }
    expect(other.requests).toEqual([]);
  },
  async 'the token for the Kubernetes API'() {
    await using other = await thief();
    await using api = await sendingTo(other, await secured());
    const kubeconfig = file(
      JSON.stringify({
        'current-context': 'one',
        contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
        clusters: [
          {
            name: 'one',
            cluster: {
              server: api.url.replace('127.0.0.1', 'localhost'),
              'certificate-authority': authority.certificateFile,
            },
          },
        ],
        users: [{ name: 'one', user: { token: 'cluster-canary' } }],
      }),
    );
    await run(['fetch-config', 'kubernetes:secret/a#k', '--to', join(folder(), 'f')], {
      KUBECONFIG: kubeconfig,
    });
    expect(heard(api)).toContain('cluster-canary');
    expect(other.requests).toEqual([]);
  },
  async 'the token for STS'() {
    await using other = await thief();
    await using sts = await sendingTo(other);
    await fetchAws({
      AWS_ENDPOINT_URL: sts.url,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/api',
      AWS_WEB_IDENTITY_TOKEN_FILE: file('e30.e30.web-canary'),
    });
    expect(heard(sts)).toContain('web-canary');
    expect(other.requests).toEqual([]);
  },
  async 'the token for the agent of EKS or ECS'() {
    await using other = await thief();
    await using agent = await sendingTo(other);
    await using proxy = await thief();
    const env = {
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'agent-canary',
      HTTP_PROXY: proxy.url,
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    };
    await fetchAws({ ...env, AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/creds` });
    expect(heard(agent)).toContain('agent-canary');
    await fetchAws({ ...env, AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://agent.example/creds' });
    expect(other.requests).toEqual([]);
    expect(proxy.requests).toEqual([]);
  },
  async 'any of these, from https to http'() {
    await using other = await thief();
    await using api = await sendingTo(other, await secured());
    const trusted = ['--ca-file', authority.certificateFile];
    await askUrl(`https://user:pw-canary@127.0.0.1:${api.port}/f`, [...trusted, ...anywhere]);
    await askUrl(`${api.url}/f`, [...trusted, ...anywhere]);
    await fetchVault(api.url, [], { VAULT_TOKEN: 'token-canary', VAULT_CACERT: authority.certificateFile });
    await fetchAws({
      AWS_ENDPOINT_URL: api.url,
      AWS_CA_BUNDLE: authority.certificateFile,
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMIcanary',
      AWS_SESSION_TOKEN: 'session-canary',
    });
    expect(api.requests.length).toBeGreaterThanOrEqual(6);
    expect(other.requests).toEqual([]);
  },
};

/** The rows of the table below a heading, cell by cell. */
function rowsBelow(heading: string): string[][] {
  const { text } = pageAt('docs/security.md');
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe.skipIf(missing)('where credentials go', () => {
  test.each(Object.keys(rows))('%s', async (row) => {
    await expect(rows[row]?.()).resolves.toBeUndefined();
  });
});

test('every row of the table in docs/security.md has its test, and every test its row', () => {
  const documented = rowsBelow('Where credentials go').map(([row = '']) => row.replaceAll('`', ''));
  expect(documented).toEqual(Object.keys(rows));
});

/** Who is not trusted with something, and a test that takes that part: its file, and words of its title. */
const attackers: Readonly<Record<string, readonly (readonly [file: string, title: string])[]>> = {
  'servers that are waited for': [
    ['commands/wait-http/faults.test.ts', 'a 10 GB body, %s: not read beyond the limit'],
    ['commands/wait-http/faults.test.ts', 'a server that hangs %s'],
  ],
  'Vault, AWS, Google, Azure, the database': [
    ['commands/fetch-config/redirects.test.ts', 'Vault that sends elsewhere gets nothing through'],
    ['commands/fetch-config/aws-answers.test.ts', 'an answer of more values than are read is refused'],
  ],
  'a web server that files come from': [
    [
      'commands/fetch-config/unpack/corpus.test.ts',
      'hostile and broken archives: refused, and nothing is published',
    ],
    ['commands/fetch-config/http.test.ts', 'what stays wrong ends it at once'],
  ],
  'whoever can write to a volume: the application, an earlier pod, a tenant of the same share': [
    ['fs/publish/planted.test.ts', 'a link in the parents of a target'],
    ['fs/publish/planted.test.ts', 'a mount that appears while a secret is fetched: it reaches no disk'],
  ],
  'readers of logs, events, `kubectl describe`, `ps`': [
    ['commands/fetch-config/canary.test.ts', 'no value leaves by another way than it should'],
  ],
};

test('everybody whom docs/security.md does not trust with something is played by a test', () => {
  const untrusted = rowsBelow('The model').filter(([, , not = '']) => not !== '');
  expect(untrusted.map(([who]) => who)).toEqual(Object.keys(attackers));
  for (const [path, title] of Object.values(attackers).flat())
    expect(readFileSync(join(import.meta.dirname, '..', path), 'utf8'), path).toContain(title);
});
