import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { within } from '../../../../support/promptly.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { waitUntil } from '../../../../support/wait-until.ts';

/** A tar.gz of some megabytes that do not compress, and its sum. */
function archive(): { bytes: Buffer; sum: string; tree: string } {
  const { path } = temporaryDirectory('archive');
  const tree = join(path, 'site');
  mkdirSync(join(tree, 'css'), { recursive: true });
  execFileSync('dd', ['if=/dev/urandom', `of=${join(tree, 'data')}`, 'bs=1M', 'count=3', 'status=none']);
  writeFileSync(join(tree, 'css/a.css'), 'a {}\n');
  const bytes = execFileSync('tar', ['czf', '-', '-C', path, 'site'], { maxBuffer: 1 << 26 });
  return { bytes, sum: createHash('sha256').update(bytes).digest('hex'), tree };
}

async function serve(listener: RequestListener): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/site.tar.gz`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const unpack = (url: string, to: string, ...flags: readonly string[]) =>
  runInitbox(['fetch-config', url, '--unpack', '--to', to, '--strip-components', '1', ...flags]);

describe('an archive by http', () => {
  test('checked, unpacked; with --sha256 not downloaded again; a new one replaces it', async () => {
    const [one, two] = [archive(), archive()];
    let requests = 0;
    let body = one.bytes;
    await using server = await serve((_request, response) => {
      requests++;
      response.end(body);
    });
    const { path: to } = temporaryDirectory('target');
    expect(await unpack(server.url, to, '--sha256', one.sum)).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'data'))).toEqual(readFileSync(join(one.tree, 'data')));
    expect(readdirSync(join(to, '..data')).toSorted()).toEqual([
      '..initbox-archive.json',
      '..initbox.json',
      'css',
      'data',
    ]);
    expect(requests).toBe(1);
    expect((await unpack(server.url, to, '--sha256', one.sum)).stderr).toContain('holds already');
    expect(requests).toBe(1);
    body = two.bytes;
    const wrong = await unpack(server.url, to, '--sha256', '1'.repeat(64));
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toContain(`has the SHA-256 ${two.sum}`);
    expect(readFileSync(join(to, 'data'))).toEqual(readFileSync(join(one.tree, 'data')));
    expect(await unpack(server.url, to, '--sha256', two.sum)).toMatchObject({ status: 0 });
    expect(readFileSync(join(to, 'data'))).toEqual(readFileSync(join(two.tree, 'data')));
    expect(readdirSync(to).filter((name) => name.startsWith('..initbox'))).toHaveLength(1);
  });

  test('cut off twice, unavailable once, then whole: the sum is that of the last body alone', async () => {
    const { bytes, sum, tree } = archive();
    let requests = 0;
    await using server = await serve((_request, response) => {
      requests++;
      response.setHeader('Content-Length', bytes.length);
      if (requests === 2) response.removeHeader('Content-Length');
      if (requests === 2) response.writeHead(503).end('later');
      else if (requests > 3) response.end(bytes);
      else response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
    });
    const { path: to } = temporaryDirectory('target');
    const { status, stderr } = await unpack(server.url, to, '--sha256', sum);
    expect(status, stderr).toBe(0);
    expect(requests).toBe(4);
    expect(readFileSync(join(to, 'data'))).toEqual(readFileSync(join(tree, 'data')));
  });

  test.each([
    ['404', (response: Parameters<RequestListener>[1]) => response.writeHead(404).end(), 'answered 404', 69],
    [
      'a web page',
      (response: Parameters<RequestListener>[1]) =>
        response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>log in</html>'),
      'answered 200 with a web page',
      69,
    ],
    [
      'longer than --max-unpacked',
      (response: Parameters<RequestListener>[1]) => response.end(Buffer.alloc(3 << 20)),
      '--max-unpacked',
      69,
    ],
  ])('%s: nothing is left', async (_what, answer, message, status) => {
    await using server = await serve((_request, response) => void answer(response));
    const { path: to } = temporaryDirectory('target');
    const result = await unpack(server.url, to, '--max-unpacked', '2Mi');
    expect(result.stderr).toContain(message);
    expect(result.status).toBe(status);
    expect(readdirSync(to)).toEqual([]);
  });

  test('with credentials it is a secret: not to a disk', async () => {
    const { bytes } = archive();
    await using server = await serve((request, response) =>
      request.headers['authorization'] === 'Bearer abcdefgh12345678'
        ? void response.end(bytes)
        : void response.writeHead(401).end(),
    );
    const { path: to } = temporaryDirectory('target');
    const env = { AUTHORIZATION: 'Bearer abcdefgh12345678' };
    const args = [
      'fetch-config',
      server.url,
      '--unpack',
      '--to',
      to,
      '--header-env',
      'Authorization=AUTHORIZATION',
    ];
    const refused = await runInitbox(args, { env });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('--allow-disk');
    expect(await runInitbox([...args, '--allow-disk'], { env })).toMatchObject({ status: 0 });
    expect(readdirSync(to)).toContain('site');
  });

  test('with credentials its modes are those of secrets, unless the user says otherwise', async () => {
    const { path } = temporaryDirectory('archive');
    const tree = join(path, 'site');
    mkdirSync(join(tree, 'open'), { recursive: true });
    mkdirSync(join(tree, 'closed'));
    for (const [name, mode] of [
      ['open/plain', 0o666],
      ['open/own', 0o600],
      ['closed/program', 0o4755],
    ] as const) {
      writeFileSync(join(tree, name), name);
      chmodSync(join(tree, name), mode);
    }
    chmodSync(join(tree, 'open'), 0o777);
    chmodSync(join(tree, 'closed'), 0o700);
    const bytes = execFileSync('tar', ['czf', '-', '-C', path, 'site']);
    await using server = await serve((_request, response) => void response.end(bytes));
    const { path: to } = temporaryDirectory('target');
    const env = { AUTHORIZATION: 'Bearer abcdefgh12345678' };
    const modes = async (...flags: readonly string[]): Promise<string[]> => {
      const args = ['fetch-config', server.url, '--unpack', '--to', to, '--strip-components', '1'];
      const result = await runInitbox(
        [...args, '--header-env', 'Authorization=AUTHORIZATION', '--allow-disk', ...flags],
        { env },
      );
      expect(result.status).toBe(0);
      // A rerun keeps what is as it should be, and makes anew what was made by another rule.
      expect(result.stderr).toContain('has 3 files');
      expect(result.stderr.includes('can read what is written to')).toBe(flags.length === 0);
      const again = await runInitbox(
        [...args, '--header-env', 'Authorization=AUTHORIZATION', '--allow-disk', ...flags],
        { env },
      );
      expect(again.stderr).toContain('holds already');
      return [
        'open',
        'open/plain',
        'open/own',
        'closed',
        'closed/program',
        '..data/..initbox-archive.json',
      ].map((name) => (statSync(join(to, name)).mode & 0o7777).toString(8));
    };
    expect(await modes()).toEqual(['750', '440', '400', '700', '550', '440']);
    expect(await modes('--public')).toEqual(['777', '666', '600', '700', '755', '444']);
    expect(await modes('--mode', '0444')).toEqual(['755', '444', '444', '755', '444', '440']);
  });

  test('SIGTERM while the body hangs', async () => {
    const { bytes } = archive();
    let begun = false;
    await using server = await serve((_request, response) => {
      response.setHeader('Content-Length', bytes.length);
      response.write(bytes.subarray(0, 100_000));
      begun = true;
    });
    const { path: to } = temporaryDirectory('target');
    const program = await startInitbox(['fetch-config', server.url, '--unpack', '--to', to]);
    await waitUntil(() => begun, { what: 'the request' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    program.kill('SIGTERM');
    const { status } = await within(1000, program.exit);
    expect(status).toBe(143);
    expect(readdirSync(to)).toEqual([]);
  });
});
