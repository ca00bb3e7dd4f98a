// nats:// on a real server, and on what only says that it is one.
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { canUseNats, startNats } from '../../../support/nats.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function speaker(speak: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    speak(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

/** What the server itself is asked, so that a stream is there. */
async function addStream(port: number, name: string): Promise<void> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  const config = JSON.stringify({ name, subjects: [`${name}.>`], storage: 'memory', retention: 'limits' });
  socket.write(
    `CONNECT {"verbose":false}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.CREATE.${name} answer ${Buffer.byteLength(config)}\r\n${config}\r\n`,
  );
  let said = '';
  for await (const bytes of socket) {
    said += String(bytes);
    if (said.includes('stream_create_response')) break;
  }
  expect(said).not.toContain('"error"');
}

describe.skipIf(requireOrSkip('wait for NATS', canUseNats()))('wait for NATS', () => {
  test('a server that comes up later, then a stream', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `nats://127.0.0.1:${port}?stream=orders`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startNats(['--jetstream'], port);
    await waiting.waitForStderr(/has no stream "orders" .*stage assertion \(passed tcp, protocol, login\)/);
    await addStream(server.port, 'orders');
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/answers PING \(2\.\d+\.\d+, 127\.0\.0\.1:/),
    });
  });

  test('a stream without JetStream', async () => {
    await using server = await startNats();
    const said = /JetStream does not answer/;
    const { status, stderr } = await notYet(`nats://127.0.0.1:${server.port}?stream=orders`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
  });

  test('a user and a token', async () => {
    await using users = await startNats(['--user=app', '--pass=hunter2']);
    await using tokens = await startNats(['--auth=t0ken-secret']);
    const at = (user: string, { port }: { port: number }) => `nats://${user}127.0.0.1:${port}`;
    for (const [target, env] of [
      [at('app:hunter2@', users), {}],
      [at('', users), { NATS_USER: 'app', NATS_PASSWORD: 'hunter2' }],
      [`${at('app@', users)}?password-env=PW`, { PW: 'hunter2' }],
      [at('t0ken-secret@', tokens), {}],
    ] as const)
      expect(await runInitbox(['wait', target], { env })).toMatchObject({ status: 0 });
    for (const [target, said] of [
      [at('app:wrong@', users), /Authorization Violation.*stage login/s],
      [at('wr0ng-token@', tokens), /Authorization Violation/],
      [at('', users), /the server wants a login/],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
      expect(stderr).not.toContain('wr0ng');
    }
  });

  test('TLS where the server asks for it', async () => {
    using authority = await createCertificateAuthority();
    const { certificateFile, keyFile } = await authority.server(['localhost']);
    await using server = await startNats(['--tls', `--tlscert=${certificateFile}`, `--tlskey=${keyFile}`]);
    await using open = await startNats();
    const ca = `?ca-file=${authority.certificateFile}`;
    for (const scheme of ['nats', 'natss'])
      expect(await runInitbox(['wait', `${scheme}://localhost:${server.port}${ca}`])).toMatchObject({
        status: 0,
      });
    for (const [target, said] of [
      [`nats://localhost:${server.port}`, /certificate/],
      [`natss://127.0.0.1:${server.port}${ca}`, /certificate.*stage tls/s],
      [`natss://127.0.0.1:${open.port}`, /TLS turned off/],
    ] as const) {
      const { status, stderr } = await runInitbox(['wait', target]);
      expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(said) });
    }
  });
});

describe('what says that it is NATS', () => {
  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', /is not NATS .*stage protocol/],
    ['bytes without end', 'INFO '.repeat(100_000), /is not NATS/],
    ['no JSON', 'INFO {\r\n', /is not NATS/],
    ['a full server', "-ERR 'maximum connections exceeded'\r\n", /maximum connections exceeded/],
    ['a server that leaves', 'INFO {"version":"2.11.8","ldm":true}\r\n', /lame duck/],
    ['nothing', '', /connection closed/],
  ])('%s', async (_, bytes, said) => {
    const port = await speaker((socket) => socket.end(bytes));
    const { status, stderr } = await notYet(`nats://app:hunter2@127.0.0.1:${port}`, said);
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('hunter2');
  });
});

describe('an answer about a stream', () => {
  const info = { type: 'io.nats.jetstream.api.v1.stream_info_response', config: { name: 'orders' } };
  test.each([
    ['no JSON object of JetStream', {}, /what answers for the stream "orders" is not JetStream/],
    ['another stream', { ...info, config: { name: 'other' } }, /is not JetStream/],
    ['no leader', { ...info, cluster: { name: 'c', leader: '' } }, /the stream "orders" has no leader/],
    ['a leader', { ...info, cluster: { name: 'c', leader: 'n1' } }, undefined],
    ['a server alone', info, undefined],
  ])('%s', async (_what, answer, said) => {
    const body = JSON.stringify(answer);
    const port = await speaker((socket) => {
      socket.write('INFO {"version":"2.14.3"}\r\n');
      socket.on('data', (bytes) => {
        const inbox = /SUB (\S+) 1/.exec(String(bytes))?.[1];
        if (inbox !== undefined) socket.write(`MSG ${inbox} 1 ${body.length}\r\n${body}\r\n`);
        if (String(bytes).includes('PING')) socket.write('PONG\r\n');
      });
    });
    const target = `nats://127.0.0.1:${port}?stream=orders`;
    const { status, stderr } = await (said === undefined
      ? runInitbox(['wait', target])
      : notYet(target, said));
    expect({ status, stderr }).toMatchObject({
      status: said === undefined ? 0 : 124,
      stderr: expect.stringMatching(said ?? /answers PING/),
    });
  });
});
