// Redis by its own protocol, on real servers.
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { canUseRedis, startRedis } from '../../../support/redis.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers whatever it is sent with this, and nothing else. */
async function saying(answer: string | undefined): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (answer !== undefined) socket.once('data', () => socket.write(answer));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

describe.skipIf(requireOrSkip('redis', canUseRedis()))('a Redis server', () => {
  test('that comes up later, and has a key later still', async () => {
    const port = await freePort();
    const waiting = await startInitbox([
      'wait',
      '--timeout',
      '60s',
      `redis://127.0.0.1:${port}/2?key=ready%20now`,
    ]);
    await waiting.waitForStderr(/connection refused .*stage tcp/);
    await using redis = await startRedis({ port });
    await waiting.waitForStderr(
      /has no key "ready now" in database 2 .*stage assertion \(passed tcp, protocol, login\)/,
    );
    await redis.ask('SELECT 2', 'SET "ready now" 1');
    expect(await waiting.exit).toMatchObject({ status: 0 });
  });

  test('with a password: from a variable, a file, the URL; none and a wrong one are final', async () => {
    await using redis = await startRedis({ flags: ['--requirepass', 'hunter2x'] });
    const folder = temporaryDirectory('password');
    const file = join(folder.path, 'password');
    writeFileSync(file, 'hunter2x\n');
    const url = `redis://127.0.0.1:${redis.port}`;
    for (const [target, env] of [
      [url, { REDISCLI_AUTH: 'hunter2x' }],
      [`${url}?password-env=PW`, { PW: 'hunter2x' }],
      [`${url}?password-file=${file}`, {}],
      [`${url}?user=default&password-file=${file}`, {}],
      [`redis://:hunter2x@127.0.0.1:${redis.port}`, {}],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', '--log-level', 'debug', target], { env });
      expect({ status, target }).toEqual({ status: 0, target });
      expect(stderr).not.toContain('hunter2x');
    }
    const none = await runInitbox(['wait', url]);
    expect(none).toMatchObject({ status: 69 });
    expect(none.stderr).toMatch(/NOAUTH .*stage login \(passed tcp, protocol\)/s);
    const wrong = await runInitbox(['wait', url], { env: { REDISCLI_AUTH: 'wrongpw1' } });
    expect(wrong).toMatchObject({ status: 69 });
    expect(wrong.stderr).toMatch(/WRONGPASS .*stage login/s);
    expect(wrong.stderr).not.toContain('wrongpw1');
  });

  test('a password that the server does not have is final', async () => {
    await using redis = await startRedis();
    const { status, stderr } = await runInitbox(['wait', `redis://127.0.0.1:${redis.port}`], {
      env: { REDISCLI_AUTH: 'needless1' },
    });
    expect(status).toBe(69);
    expect(stderr).toContain('the server has no password for this user');
  });

  test('users of an ACL: few rights suffice, and what is missing is said', async () => {
    await using redis = await startRedis();
    await redis.ask('ACL SETUSER few on >fewpw123 +ping ~a* +exists');
    await redis.ask('ACL SETUSER none on >nonepw12');
    await redis.ask('ACL SETUSER open on nopass +ping');
    const at = `127.0.0.1:${redis.port}`;
    await redis.ask('SET a 1');
    const env = { PW: 'fewpw123', PW2: 'nonepw12' };
    expect(await runInitbox(['wait', `redis://few@${at}?password-env=PW&key=a`], { env })).toMatchObject({
      status: 0,
    });
    expect(await runInitbox(['wait', `redis://open@${at}`])).toMatchObject({ status: 0 });
    for (const target of [
      `redis://few@${at}?password-env=PW&key=b`,
      `redis://few@${at}?password-env=PW&primary`,
      `redis://none@${at}?password-env=PW2`,
    ]) {
      const { status, stderr } = await runInitbox(['wait', target], { env });
      expect({ status, target }).toEqual({ status: 69, target });
      expect(stderr).toContain('ACL SETUSER');
    }
  });

  test('a database that it does not have is final', async () => {
    await using redis = await startRedis();
    const { status, stderr } = await runInitbox(['wait', `redis://127.0.0.1:${redis.port}/99`]);
    expect(status).toBe(69);
    expect(stderr).toContain('there is no database 99');
  });

  test('a replica is ready with its primary alone, and is not one', async () => {
    const port = await freePort();
    await using replica = await startRedis({
      flags: ['--replicaof', '127.0.0.1', String(port), '--repl-diskless-sync-delay', '0'],
    });
    const target = `redis://127.0.0.1:${replica.port}`;
    const waiting = await startInitbox(['wait', '--timeout', '100s', target]);
    await waiting.waitForStderr(
      new RegExp(`a replica without its primary 127.0.0.1:${port} .*stage assertion`),
    );
    await using primary = await startRedis({ port, flags: ['--repl-diskless-sync-delay', '0'] });
    expect(await waiting.exit).toMatchObject({ status: 0 });
    const { status, stderr } = await runToDeadline(['wait', '--timeout', '1s', `${target}?primary`]);
    expect(status).toBe(124);
    expect(stderr).toContain(`a replica of 127.0.0.1:${port}, where a primary is required`);
    expect(await runInitbox(['wait', `redis://127.0.0.1:${primary.port}?primary`])).toMatchObject({
      status: 0,
    });
  });

  test('one that loads its data is not ready, and is seen when it has', async () => {
    await using redis = await startRedis({
      flags: ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'],
    });
    await redis.ask('DEBUG POPULATE 3000', 'CONFIG SET key-load-delay 2000');
    const reloaded = redis.ask('DEBUG RELOAD');
    await waitUntil(async () => (await redis.ask('PING')).startsWith('-LOADING'));
    const waiting = await startInitbox(['wait', '--timeout', '100s', `redis://127.0.0.1:${redis.port}`]);
    await waiting.waitForStderr(/LOADING Redis is loading .*, stage login \(passed tcp, protocol\)/);
    expect(await waiting.exit).toMatchObject({ status: 0 });
    expect(await reloaded).toBe('+OK');
  });

  test('TLS: the authority must be known, and a client certificate where one is asked for', async () => {
    using authority = await createCertificateAuthority();
    const certificate = await authority.server();
    const client = await authority.client();
    const tlsPort = await freePort();
    const ca = join(authority.folder, 'ca.crt');
    await using redis = await startRedis({
      flags: [
        '--tls-port',
        String(tlsPort),
        '--tls-cert-file',
        certificate.certificateFile,
        '--tls-key-file',
        certificate.keyFile,
        '--tls-ca-cert-file',
        ca,
      ],
    });
    const url = `rediss://localhost:${tlsPort}`;
    const identity = `ca-file=${ca}&cert-file=${client.certificateFile}&key-file=${client.keyFile}`;
    expect(await runInitbox(['wait', `${url}?${identity}`])).toMatchObject({ status: 0 });
    expect(
      await runInitbox([
        'wait',
        `${url}?insecure&cert-file=${client.certificateFile}&key-file=${client.keyFile}`,
      ]),
    ).toMatchObject({ status: 0 });
    const unknown = await runInitbox(['wait', url]);
    expect(unknown.status).toBe(69);
    expect(unknown.stderr).toMatch(
      /comes from an authority that is not trusted here .*stage tls \(passed dns, tcp\)/s,
    );
    const plain = await runToDeadline([
      'wait',
      '--timeout',
      '1s',
      `rediss://localhost:${redis.port}?ca-file=${ca}&attempt-timeout=500ms`,
    ]);
    expect(plain.status).toBe(124);
    expect(plain.stderr).toMatch(/TLS handshake with .*: no answer within 500ms .*stage tls/);
    expect(plain.stderr).toContain('does it have TLS turned on at that port?');
    const mistake = await runInitbox(['wait', `redis://localhost:${redis.port}?ca-file=${ca}`]);
    expect(mistake.status).toBe(2);
    expect(mistake.stderr).toContain('ca-file has no effect for redis://; write rediss:// for TLS');
  });

  test('the value of a key must match', async () => {
    await using redis = await startRedis();
    await redis.ask('SET state migrating:7', 'LPUSH list 1');
    await redis.ask(`SET long ${'x'.repeat(9_000)}`);
    const at = (rest: string) => `redis://127.0.0.1:${redis.port}?${rest}`;
    const waiting = await startInitbox([
      'wait',
      '--timeout',
      '60s',
      at('key=state&matches=^done:&matches=7$'),
    ]);
    await waiting.waitForStderr(/the value of the key "state" does not match \^done:/);
    await redis.ask('SET state done:7');
    const { status, stderr } = await waiting.exit;
    expect(status).toBe(0);
    expect(stderr).not.toContain('migrating');
    const absent = await runToDeadline(['wait', '--timeout', '1s', at('key=later&matches=.')]);
    expect(absent.stderr).toContain('has no key "later"');
    const list = await runInitbox(['wait', at('key=list&matches=.')]);
    expect(list).toMatchObject({ status: 69, stderr: expect.stringContaining('WRONGTYPE') });
    const slow = await runToDeadline(['wait', '--timeout', '1s', at('key=long&matches=(x%2B)%2By$')], {
      answered: (said) => said.includes('to be matched'),
    });
    expect(slow.stderr).toMatch(/takes longer than 100ms to be matched/);
    const mistake = await runInitbox(['wait', at('matches=.')]);
    expect(mistake).toMatchObject({ status: 2, stderr: expect.stringContaining('give key') });
  });

  test('a cluster: the key is looked for at the node that has its slot', async () => {
    const bus = [await freePort(), await freePort()];
    const start = (port: number | undefined) =>
      startRedis({ flags: ['--cluster-enabled', 'yes', '--cluster-port', String(port)] });
    await using one = await start(bus[0]);
    await using other = await start(bus[1]);
    const target = `redis://127.0.0.1:${one.port}?key=ready`;
    const waiting = await startInitbox(['wait', '--timeout', '60s', target]);
    await waiting.waitForStderr(/CLUSTERDOWN/);
    await one.ask('CLUSTER ADDSLOTSRANGE 0 8191');
    await other.ask('CLUSTER ADDSLOTSRANGE 8192 16383');
    await one.ask(`CLUSTER MEET 127.0.0.1 ${other.port} ${bus[1]}`);
    // CRC16 gives "ready" the slot 11489.
    await waitUntil(async () => (await one.ask('EXISTS ready')).startsWith('-MOVED'));
    await waiting.waitForStderr(new RegExp(`has no key "ready" in database 0 .*:${other.port}`));
    await waitUntil(async () => (await other.ask('SET ready 1')) === '+OK');
    expect(await waiting.exit).toMatchObject({ status: 0 });
  });

  test('Sentinel: the primary that it names, after a failover the new one', async () => {
    await using first = await startRedis();
    const sentinelPort = await freePort();
    await using sentinel = await startRedis({
      port: sentinelPort,
      config: `sentinel monitor mymaster 127.0.0.1 ${first.port} 1\nrequirepass sentinelpw1\n`,
      flags: ['--sentinel'],
      readyWhen: /\+monitor/,
    });
    const folder = temporaryDirectory('sentinel');
    const file = join(folder.path, 'password');
    writeFileSync(file, 'sentinelpw1\n');
    const at = `redis://127.0.0.1:1,127.0.0.1:${sentinel.port}?sentinel-password-file=${file}`;
    const { status, stderr } = await runInitbox(['wait', `${at}&sentinel-master=mymaster`]);
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringContaining(`answers PING (127.0.0.1:${first.port})`),
    });
    expect(stderr).not.toContain('sentinelpw1');
    for (const [target, said] of [
      [`${at}&sentinel-master=nosuch`, /the Sentinel knows no "nosuch"/],
      [`redis://127.0.0.1:${first.port}?sentinel-master=mymaster`, /a server answers there, not a Sentinel/],
    ] as const) {
      const late = await runToDeadline(['wait', '--timeout', '1s', target], {
        answered: (seen) => said.test(seen),
      });
      expect(late).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    }
    const none = await runInitbox(['wait', `redis://127.0.0.1:${sentinel.port}?sentinel-master=mymaster`]);
    expect(none).toMatchObject({
      status: 69,
      stderr: expect.stringContaining('give sentinel-password-file'),
    });
    // What a Sentinel names and is none (any more) is not ready.
    await using next = await startRedis();
    await first.ask(`REPLICAOF 127.0.0.1 ${next.port}`);
    const waiting = await startInitbox(['wait', '--timeout', '60s', `${at}&sentinel-master=mymaster`]);
    await waiting.waitForStderr(
      new RegExp(`Sentinel names 127\\.0\\.0\\.1:${first.port}: a replica (?:of|without)`),
    );
    await first.ask('REPLICAOF NO ONE');
    expect(await waiting.exit).toMatchObject({ status: 0 });
    folder.remove();
  });

  test('too many clients: not yet', async () => {
    await using redis = await startRedis({ flags: ['--maxclients', '1'] });
    const waiting = createServer();
    servers.push(waiting);
    const { connect } = await import('node:net');
    const held = connect(redis.port, '127.0.0.1');
    held.on('error', () => {});
    await new Promise<void>((resolve) => held.once('connect', () => resolve()));
    held.write('PING\r\n');
    await new Promise<void>((resolve) => held.once('data', () => resolve()));
    const { status, stderr } = await runToDeadline(
      ['wait', '--timeout', '1s', `redis://127.0.0.1:${redis.port}`],
      {
        answered: (said) => said.includes('max number of clients'),
      },
    );
    held.destroy();
    expect(status).toBe(124);
    expect(stderr).toContain('look at maxclients');
  });
});

describe('what is no Redis server', () => {
  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', /what answers there is not Redis/],
    ['another word than PONG', '+NOPE\r\n', /what answers there is not Redis/],
    ['another text than PONG', '$4\r\nPING\r\n', /what answers there is not Redis/],
    ['half an answer', ':12', /no answer/],
    ['a line without end', `+${'x'.repeat(200_000)}`, /what answers there is not Redis/],
    ['a length that no text has', '$99999999999999999999\r\n', /what answers there is not Redis/],
    ['a list without end', '*1\r\n'.repeat(50), /what answers there is not Redis/],
    ['silence', undefined, /no answer/],
  ])('%s', async (_what, answer, said) => {
    const port = await saying(answer);
    const { status, stderr } = await runToDeadline(
      ['wait', '--timeout', '1s', `redis://127.0.0.1:${port}?attempt-timeout=500ms`],
      { answered: (seen) => /not Redis|no answer within/.test(seen) },
    );
    expect(status).toBe(124);
    expect(stderr).toMatch(said);
  });

  test('a proxy that knows PING alone is enough', async () => {
    const port = await saying('+PONG\r\n-ERR unknown command\r\n');
    expect(await runInitbox(['wait', `redis://127.0.0.1:${port}`])).toMatchObject({ status: 0 });
  });
});
