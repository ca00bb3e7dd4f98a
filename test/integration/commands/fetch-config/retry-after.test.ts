import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseBao, startBao } from '../../../support/openbao.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('Retry-After of sources', canMount());

const folder = memoryFolders();

/** A server, with the times of its requests by path. */
async function listening(listener: RequestListener) {
  const times: { readonly path: string; readonly at: number }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    times.push({ path: request.url ?? '', at: performance.now() });
    request.resume().on('end', () => listener(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    times,
    of: (path: string) => times.filter((one) => one.path === path).map(({ at }) => at),
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe.skipIf(missing)('an http source', () => {
  test.each([429, 503])('%i with Retry-After: asked again after it, and not before', async (status) => {
    using server = await listening((_request, response) => {
      if (server.times.length > 1) return response.end('content');
      return response.writeHead(status, { 'Retry-After': '2' }).end();
    });
    const target = join(folder(), 'f');
    const found = await runInitbox(['fetch-config', `${server.url}/f`, '--to', target, '--timeout', '20s']);
    expect(found.status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('content');
    expect(server.times).toHaveLength(2);
    expect((server.times[1]?.at ?? 0) - (server.times[0]?.at ?? 0)).toBeGreaterThanOrEqual(2_000);
  });

  test('another source goes on meanwhile; SIGTERM in the pause ends it at once', async () => {
    using server = await listening((request, response) =>
      request.url === '/slow'
        ? response.writeHead(429, { 'Retry-After': '60' }).end()
        : response.writeHead(503).end(),
    );
    const running = await startInitbox([
      'fetch-config',
      `${server.url}/slow`,
      `${server.url}/other`,
      '--format',
      'json',
      '--to',
      join(folder(), 'f'),
    ]);
    await running.waitForStderr(/asked to wait 1m \(Retry-After\)/);
    await expect.poll(() => server.of('/other').length, { timeout: 10_000 }).toBeGreaterThan(5);
    expect(server.of('/slow')).toHaveLength(1);
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
  });
});

describe.skipIf(missing)('Vault', () => {
  const json = { 'Content-Type': 'application/json' };

  test.each([
    ['the login', '/v1/auth/approle/login', ['--vault-role-id', 'r']],
    ['the question for the mount', '/v1/sys/internal/ui/mounts/secret/a', []],
    ['the read', '/v1/secret/data/a', []],
  ])('a quota at %s', async (_what, path, flags) => {
    using server = await listening((request, response) => {
      if (request.url === path && server.of(path).length === 1)
        return response.writeHead(429, { ...json, 'Retry-After': '2' }).end('{"errors":["quota"]}');
      const bodies: Readonly<Record<string, unknown>> = {
        '/v1/auth/approle/login': { auth: { client_token: 't', accessor: 'a', lease_duration: 60 } },
        '/v1/sys/internal/ui/mounts/secret/a': {
          data: { path: 'secret/', type: 'kv', options: { version: '2' } },
        },
        '/v1/secret/data/a': { data: { data: { key: 'v' }, metadata: { version: 1 } } },
        '/v1/auth/token/lookup-self': { data: { accessor: 'a' } },
      };
      return response.writeHead(200, json).end(JSON.stringify(bodies[request.url ?? ''] ?? {}));
    });
    const { status } = await runInitbox(
      ['fetch-config', 'vault:secret/a#key', '--to', join(folder(), 'f'), ...flags, '--timeout', '20s'],
      { env: { VAULT_ADDR: server.url, ...(flags.length > 0 ? {} : { VAULT_TOKEN: 't' }) } },
    );
    expect(status).toBe(0);
    const [first = 0, second = 0, ...more] = server.of(path);
    expect(more).toEqual([]);
    expect(second - first).toBeGreaterThanOrEqual(2_000);
  });

  test.skipIf(requireOrSkip('a quota of OpenBao', canUseBao()))(
    'a real rate limit, which names its Retry-After',
    async () => {
      await using bao = await startBao();
      await bao.must('POST', 'secret/data/a', { data: { key: 'after the quota' } });
      await bao.must('POST', 'sys/quotas/config', { enable_rate_limit_response_headers: true });
      await bao.must('POST', 'sys/quotas/rate-limit/one', { path: 'secret', rate: 1, interval: '3s' });
      await bao.request('GET', 'secret/data/a');
      const target = join(folder(), 'f');
      const { status, stderr } = await runInitbox(
        ['fetch-config', 'vault:secret/a#key', '--to', target, '--timeout', '30s', '--log-level', 'debug'],
        { env: { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.token } },
      );
      expect(stderr).toMatch(/answered 429, too many requests.*asked to wait \d+s \(Retry-After\)/);
      expect(status).toBe(0);
      expect(readFileSync(target, 'utf8')).toBe('after the quota');
      expect(stderr.match(/answered 429/g)?.length).toBeLessThanOrEqual(6);
    },
  );
});

describe.skipIf(missing)('AWS', () => {
  const run = (env: Record<string, string>, ...more: string[]) =>
    runInitbox(['fetch-config', 'aws-sm:text', '--to', join(folder(), 'f'), ...more], {
      env: { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', ...env },
    });
  const type = { 'Content-Type': 'application/x-amz-json-1.1' };
  const throttled = JSON.stringify({ __type: 'ThrottlingException', message: 'Rate exceeded' });

  test('throttling slows down: at most five tries in six seconds', async () => {
    using server = await listening((_request, response) => response.writeHead(400, type).end(throttled));
    const { status, stderr } = await run({ AWS_ENDPOINT_URL_SECRETS_MANAGER: server.url }, '--timeout', '6s');
    expect(status).toBe(124);
    expect(stderr).toContain('is throttled by AWS (ThrottlingException)');
    expect(server.times.length).toBeGreaterThanOrEqual(3);
    expect(server.times.length).toBeLessThanOrEqual(5);
  });

  test.each([
    [503, 'Retry-After', '2'],
    [400, 'Retry-After', '2'],
    [503, 'x-amz-retry-after', '2000'],
  ])('%i with %s: %s', async (status, name, value) => {
    using server = await listening((_request, response) =>
      server.times.length > 1
        ? response
            .writeHead(200, type)
            .end(JSON.stringify({ Name: 'text', SecretString: 'x', VersionId: 'v' }))
        : response.writeHead(status, { ...type, [name]: value }).end(throttled),
    );
    const found = await run({ AWS_ENDPOINT_URL_SECRETS_MANAGER: server.url }, '--timeout', '20s');
    expect(found.status).toBe(0);
    expect(server.times).toHaveLength(2);
    expect((server.times[1]?.at ?? 0) - (server.times[0]?.at ?? 0)).toBeGreaterThanOrEqual(2_000);
  });

  test('STS and the agent for credentials, too', async () => {
    using sts = await listening((_request, response) =>
      response.writeHead(503, { 'Retry-After': '60' }).end(),
    );
    const busy = await run(
      { AWS_ENDPOINT_URL_STS: sts.url },
      '--expect-role',
      'api-server',
      '--timeout',
      '2500ms',
    );
    expect(busy.status).toBe(124);
    expect(busy.stderr).toContain('asked to wait 1m (Retry-After)');
    expect(sts.times).toHaveLength(1);
    const place = folder();
    writeFileSync(join(place, '.token'), 'pod-canary');
    using agent = await listening((_request, response) =>
      response.writeHead(429, { 'Retry-After': '60' }).end(),
    );
    const waited = await run(
      {
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(place, '.token'),
      },
      '--timeout',
      '6s',
    );
    expect(waited.stderr).toContain('asked to wait 1m (Retry-After)');
    expect(waited.status).toBe(124);
  });
});
