import { writeFileSync } from 'node:fs';
// influxdb:// on a real InfluxDB 1, and on what answers as versions 2 and 3 do, or only says that it is one.
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { canUseInfluxdb, startInfluxdb } from '../../../support/influxdb.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers /ping so, and 404 to all else. */
async function answering(
  status: number,
  headers: Record<string, string>,
  token?: string,
  path = '/ping',
): Promise<number> {
  const server = createServer((request, response) => {
    const refused = token !== undefined && request.headers.authorization !== `Token ${token}`;
    response.writeHead(request.url !== path ? 404 : refused ? 401 : status, headers).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for InfluxDB', canUseInfluxdb()))('wait for InfluxDB', () => {
  test('a server that comes up later', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `influxdb://127.0.0.1:${port}?version=1`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startInfluxdb(port);
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/answers \/ping \(InfluxDB 1\.\d+\.\S*, 127\.0\.0\.1:/),
    });
    const said = /is InfluxDB 1\.\S+, where version 2 is required/;
    expect(await notYet(`influxdb://127.0.0.1:${server.port}?version=2`, said)).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(said),
    });
  });

  test('TLS', async () => {
    using authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    await using server = await startInfluxdb(undefined, { certificate: certificateFile, key: keyFile });
    const at = `influxdbs://localhost:${server.port}`;
    expect(await runInitbox(['wait', `${at}?ca-file=${authority.certificateFile}`])).toMatchObject({
      status: 0,
    });
    const said = /authority that is not trusted .*stage tls/;
    expect(await notYet(at, said)).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });
});

describe('what answers /ping', () => {
  test.each<[string, number, Record<string, string>, string]>([
    ['version 2', 204, { 'X-Influxdb-Version': 'v2.7.3', 'X-Influxdb-Build': 'OSS' }, '?version=2'],
    ['version 3', 200, { 'X-Influxdb-Version': '3.4.0', 'X-Influxdb-Build': 'Core' }, '?version=3'],
    ['version 3 by its build alone', 200, { 'X-Influxdb-Build': 'Core' }, '?version=3'],
    ['a build without a version', 204, { 'X-Influxdb-Version': 'dev' }, ''],
  ])('%s', async (_, status, headers, rest) => {
    const port = await answering(status, headers);
    expect(await runInitbox(['wait', `influxdb://127.0.0.1:${port}${rest}`])).toMatchObject({ status: 0 });
  });

  test('behind a path of a proxy, with a token', async () => {
    const port = await answering(204, { 'X-Influxdb-Version': 'v2.7.3' }, 'hunter2-token', '/metrics/ping');
    const { path: folder } = temporaryDirectory('influxdb-token');
    writeFileSync(join(folder, 'right'), 'hunter2-token\n');
    writeFileSync(join(folder, 'wrong'), 'wr0ng-token\n');
    const at = `influxdb://127.0.0.1:${port}/metrics/`;
    expect(await runInitbox(['wait', `${at}?token-file=${folder}/right`])).toMatchObject({ status: 0 });
    for (const rest of ['', `?token-file=${folder}/wrong`]) {
      const { status, stderr } = await runInitbox(['wait', `${at}${rest}`]);
      expect({ status, stderr }).toMatchObject({
        status: 69,
        stderr: expect.stringMatching(/answered 401 to \/ping.*it wants a token: token-file/s),
      });
      expect(stderr).not.toContain('wr0ng');
    }
  });

  test.each<[string, number, Record<string, string>, RegExp]>([
    ['another server', 204, {}, /is not InfluxDB .*stage assertion/],
    ['a server without that path', 404, {}, /answered 404 to \/ping/],
    ['one that is not ready', 503, { 'X-Influxdb-Version': '1.8.10' }, /answered 503 to \/ping/],
    ['one that leads elsewhere', 301, { Location: 'http://127.0.0.1:1/' }, /answered 301 to \/ping/],
    [
      'a version that is a text',
      204,
      { 'X-Influxdb-Version': 'x'.repeat(9000) },
      /of unknown version, where version 2/,
    ],
  ])('%s', async (_, status, headers, said) => {
    const port = await answering(status, headers);
    const rest = said.source.includes('where') ? '?version=2' : '';
    expect(await notYet(`influxdb://127.0.0.1:${port}${rest}`, said)).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(said),
    });
  });

  test.each([
    ['influxdb://app:hunter2@metrics', /has no user and password; give the token by token-file/],
    ['influxdb://metrics?version=4', /expected 1, 2 or 3|must be one of/],
    ['influxdb://metrics?ca-file=/ca', /write influxdbs:\/\//],
  ])('a mistake: %s', async (target, said) => {
    const { status, stderr } = await runInitbox(['wait', target]);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });
});
