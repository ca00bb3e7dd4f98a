// What wait has beside its kinds: files, banners, counted attempts, --validate, JSON.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Says a text to whoever connects, and then closes if asked to. */
async function greeting(text: string, close = false): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (close) socket.end(text);
    else socket.write(text);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

describe('file:', () => {
  test('there, with content, matching, and gone', async () => {
    const { path: folder } = temporaryDirectory('wait-file');
    const path = join(folder, 'a%b');
    const target = `file:${folder}/a%25b`;
    const waiting = await startInitbox([
      'wait',
      '--timeout',
      '60s',
      `${target}?contains=done&matches=%5Ex%3D%5Cd%2B`,
    ]);
    await waiting.waitForStderr(/a%b is not there/);
    writeFileSync(path, 'x=');
    await waiting.waitForStderr(/does not hold "done"/);
    writeFileSync(path, 'x=\ndone');
    await waiting.waitForStderr(/does not match /);
    writeFileSync(path, 'x=5 done');
    expect(await waiting.exit).toMatchObject({ status: 0 });
    const gone = await startInitbox(['wait', '--timeout', '60s', `${target}?absent`]);
    await gone.waitForStderr(/is still there/);
    rmSync(path);
    expect(await gone.exit).toMatchObject({ status: 0 });
  });

  test('empty files and folders', async () => {
    const { path: folder } = temporaryDirectory('wait-empty');
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'folder'));
    const { stderr, status } = await runToDeadline([
      'wait',
      '--timeout',
      '1s',
      `file:${folder}/file?not-empty`,
      `file:${folder}/folder?not-empty`,
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('/file is empty');
    expect(stderr).toContain('/folder is an empty folder');
    expect(await runInitbox(['wait', `file:${folder}/file`, `file://${folder}/folder`])).toMatchObject({
      status: 0,
    });
  });

  test('a pattern that takes years is cut, and the deadline kept', async () => {
    const { path: folder } = temporaryDirectory('wait-pattern');
    writeFileSync(join(folder, 'a'), `${'a'.repeat(60)}!`);
    const { stderr, status } = await runToDeadline([
      'wait',
      '--timeout',
      '2s',
      `file:${folder}/a?matches=%28a%2B%29%2B%24`,
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('takes longer than 100ms');
  });
});

describe('expect', () => {
  test('what the server says', async () => {
    const port = await greeting('220 mail ESMTP\r\n');
    expect(await runInitbox(['wait', `127.0.0.1:${port}?expect=220`])).toMatchObject({ status: 0 });
    const other = await runToDeadline(
      ['wait', '--timeout', '1s', `127.0.0.1:${port}?expect=221&attempt-timeout=400ms`],
      { answered: (said) => said.includes('no answer within') },
    );
    expect(other.status).toBe(124);
    expect(other.stderr).toMatch(
      /said "220 mail ESMTP\\r\\n", without "221": no answer within .*stage assertion \(passed tcp\)/,
    );
  });

  test('a proxy that accepts and closes is not ready', async () => {
    const port = await greeting('', true);
    const { status, stderr } = await runToDeadline([
      'wait',
      '--timeout',
      '1s',
      `127.0.0.1:${port}?expect=220`,
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('said nothing, without "220", and closed the connection');
  });

  test('what is sent comes first', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => socket.write(String(bytes) === 'ruok\r\n' ? 'imok' : 'no'));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    expect(await runInitbox(['wait', `127.0.0.1:${port}?send=ruok%0D%0A&expect=imok`])).toMatchObject({
      status: 0,
    });
  });
});

describe('counted attempts, delays, rehearsals', () => {
  test('--max-attempts ends it with 124', async () => {
    const port = await freePort();
    const { status, stderr } = await runInitbox(['wait', '--max-attempts', '3', `127.0.0.1:${port}`]);
    expect(status).toBe(124);
    expect(stderr).toMatch(/connection refused .*; gave up after 3 attempts \(--max-attempts\)/);
    expect(stderr).toMatch(/3 attempts, stage tcp/);
  });

  test('one target’s count does not end the others with --any', async () => {
    const [port, later] = [await freePort(), await freePort()];
    const waiting = await startInitbox([
      'wait',
      '--any',
      '--timeout',
      '60s',
      `127.0.0.1:${port}?max-attempts=1`,
      `127.0.0.1:${later}`,
    ]);
    await waiting.waitForStderr(/connection refused/);
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(later, '127.0.0.1', resolve));
    expect(await waiting.exit).toMatchObject({ status: 0 });
  });

  test('--initial-delay: nothing is tried before', async () => {
    const port = await freePort();
    const { status, stderr } = await runInitbox([
      'wait',
      '--initial-delay',
      '1h',
      '--timeout',
      '500ms',
      `127.0.0.1:${port}`,
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('not tried yet');
    const done = await runInitbox(['wait', '--initial-delay', '300ms', `127.0.0.1:${await greeting('')}`]);
    expect(done.status).toBe(0);
    expect(done.milliseconds).toBeGreaterThan(300);
  });

  test('--validate says what would be waited for, and touches nothing', async () => {
    let connections = 0;
    const server = createServer(() => (connections += 1));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stdout, stderr } = await runInitbox([
      'wait',
      '--validate',
      `127.0.0.1:${port}?successes=2`,
      `redis://:hunter2x@127.0.0.1:${port}/1?max-attempts=7`,
      'redis://cache?password-file=/not/there/yet',
      '--',
      '/bin/echo',
      'started',
    ]);
    expect(status).toBe(0);
    expect(connections).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      targets: [
        { kind: 'tcp', target: `127.0.0.1:${port}`, successes: 2 },
        { kind: 'redis', target: `127.0.0.1:${port}/1`, 'max-attempts': 7, 'attempt-timeout': 5000 },
        { kind: 'redis', target: 'cache:6379' },
      ],
    });
    expect(stdout + stderr).not.toContain('hunter2x');
    expect(stdout).not.toContain('started');
    expect(await runInitbox(['wait', '--validate', 'db'])).toMatchObject({ status: 2, stdout: '' });
  });

  test('the JSON log has each target’s stages', async () => {
    const port = await freePort();
    const { stderr } = await runInitbox([
      'wait',
      '--log-format',
      'json',
      '--max-attempts',
      '2',
      `redis://localhost:${port}`,
    ]);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: 'what each target came to',
        targets: [
          expect.objectContaining({
            name: `localhost:${port}`,
            state: 'failed',
            passed: ['dns'],
            stage: 'tcp',
            attempts: 2,
          }),
        ],
      }),
    );
  });
});

describe('a message names the option as it was written', () => {
  test.each([
    ['rediss://cache?ca-file=/not/there', 2, /(?<!-)\bca-file: .*\/not\/there/],
    ['natss://queue?cert-file=/a', 2, /(?<!-)\bcert-file and key-file need each other/],
    ['https://api/#cert-file=/a', 2, /(?<!-)\bcert-file needs key-file beside it/],
    [
      'http://api/#header-env=X%3DUNSET_VARIABLE',
      2,
      /(?<!-)\bheader-env: the variable UNSET_VARIABLE is not set/,
    ],
    ['kubernetes:pods', 2, /nor a selector says which/],
  ])('%s', async (target, status, said) => {
    const result = await runInitbox(['wait', target]);
    expect(result).toMatchObject({ status, stderr: expect.stringMatching(said) });
    expect(result.stderr).not.toMatch(/--(?:ca-file|cert-file|key-file|header-env|selector)/);
  });

  test('in hints and warnings', async () => {
    using authority = await createCertificateAuthority();
    const { certificate, key } = await authority.server(['localhost']);
    const server = createTlsServer({ cert: certificate, key }, (socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { status, stderr } = await runInitbox([
      'wait',
      `natss://localhost:${port}`,
      `rediss://localhost:${port}`,
    ]);
    server.close();
    expect({ status, stderr }).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/hint: .*authority’s certificate: ca-file, /),
    });
    const { stderr: warned } = await runInitbox(['wait', '--timeout', '1s', 'https://127.0.0.1:1/#insecure']);
    expect(warned).toMatch(/warn .*[^-]insecure is on/);
  });
});
