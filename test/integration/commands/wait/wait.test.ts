// Several kinds in one wait, on real servers.
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { startPostgres } from '../../../support/postgres.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function start(server: Server, port = 0): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(port, '127.0.0.1', resolve),
  );
  return (server.address() as { port: number }).port;
}

const listener = (): Server => createServer((socket) => socket.on('error', () => {}));

describe('wait', () => {
  test('patterns of many files that are slow at once hold up no signal', async () => {
    const text = join(temporaryDirectory('slow').path, 'text');
    const targets = Array.from({ length: 20 }, (_, index) => {
      writeFileSync(`${text}-${index}`, `${'a'.repeat(60)}!`);
      return `file:${text}-${index}?matches=^(a%2B)%2B$`;
    });
    const waiting = await startInitbox(['wait', ...targets, '--log-level', 'debug']);
    await waiting.waitForStderr(/attempt 1: .*takes longer than 100ms/);
    waiting.kill('SIGTERM');
    const { status } = await within(promptly, waiting.exit);
    expect(status).toBe(143);
  });

  test('a mixture that comes up later is seen, target by target', async () => {
    const [tcp, http, database] = [await freePort(), await freePort(), await freePort()];
    const waiting = await startInitbox([
      'wait',
      '--timeout',
      '60s',
      `127.0.0.1:${tcp}`,
      `http://127.0.0.1:${http}/healthz#status=204`,
      `postgres://postgres@127.0.0.1:${database}/postgres?query=SELECT%201%3D1`,
      'dns:localhost',
    ]);
    await waiting.waitForStderr(/info {2}wait: 1\/4 ready; .*127\.0\.0\.1:\d+ connection refused/);
    await start(listener(), tcp);
    await waiting.waitForStderr(new RegExp(`wait: 127.0.0.1:${tcp} open`));
    await start(
      createHttpServer((_request, response) => response.writeHead(204).end()),
      http,
    );
    await waiting.waitForStderr(/\/healthz answered 204/);
    await using postgres = await startPostgres({ port: database, hba: ['host all all 127.0.0.1/32 trust'] });
    const { status, stdout, stderr } = await waiting.exit;
    expect(postgres.running()).toBe(true);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toMatch(/wait: .*; .*; .* after \S+\n$/);
  });

  test('each target says how far it came', async () => {
    const [open, refused] = [await start(listener()), await freePort()];
    const http = await start(createHttpServer((_request, response) => response.writeHead(503).end()));
    const log = terminationLog();
    const { status, stderr } = await runToDeadline(
      [
        'wait',
        '--timeout',
        '2s',
        '--termination-log',
        log.path,
        `localhost:${refused}`,
        `postgres://app:hunter2@127.0.0.1:${open}/app?sslmode=disable&attempt-timeout=300ms`,
        `http://127.0.0.1:${http}/`,
        'dns:localhost?min-addresses=9',
      ],
      { answered: (said) => said.includes('503') && /stage tcp/.test(said) },
    );
    expect(status).toBe(124);
    for (const said of [stderr, log.read()]) {
      expect(said).toMatch(/localhost:\d+ connection refused .*, stage tcp \(passed dns\)/);
      expect(said).toMatch(/127\.0\.0\.1:\d+\/app .*, stage protocol \(passed tcp\)/);
      expect(said).toMatch(/http:\S+ answered 503.*, stage assertion \(passed tcp, protocol\)/);
      expect(said).toMatch(/localhost has 1 of 9 .*, stage assertion \(passed dns\)/);
      expect(said).not.toContain('hunter2');
    }
  });

  test('what can never be ends all', async () => {
    await using postgres = await startPostgres();
    const { status, stderr } = await runInitbox([
      'wait',
      `127.0.0.1:${await freePort()}`,
      `postgres://postgres:wrong@127.0.0.1:${postgres.port}/postgres`,
    ]);
    expect(status).toBe(69);
    expect(stderr).toMatch(/password authentication failed .*stage login \(passed tcp, protocol\)/s);
  });

  test('one is enough with --any, and may be turned around by itself', async () => {
    const [open, refused] = [await start(listener()), await freePort()];
    expect(await runInitbox(['wait', `127.0.0.1:${open}`, `127.0.0.1:${refused}?invert`])).toMatchObject({
      status: 0,
    });
    expect(await runInitbox(['wait', '--any', `127.0.0.1:${refused}`, `127.0.0.1:${open}`])).toMatchObject({
      status: 0,
    });
    expect(
      await runInitbox(['wait', '--invert', `127.0.0.1:${open}?invert=false`, `127.0.0.1:${refused}`]),
    ).toMatchObject({ status: 0 });
  });

  test('a mistake in one: status 2, and nothing is connected to', async () => {
    let connections = 0;
    const open = await start(createServer(() => (connections += 1)));
    const { status, stderr } = await runInitbox([
      'wait',
      `127.0.0.1:${open}`,
      `127.0.0.1:${open}?succeses=3`,
      'http://a/#status=x',
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain('argument 2: unknown option succeses behind the ?; did you mean successes?');
    expect(stderr).toContain('argument 3: status');
    expect(connections).toBe(0);
  });

  test('SIGTERM ends it', async () => {
    const waiting = await startInitbox(['wait', `127.0.0.1:${await freePort()}`, 'dns:localhost']);
    await waiting.waitForStderr(/connection refused/);
    waiting.kill('SIGTERM');
    expect(await within(promptly, waiting.exit)).toMatchObject({ status: 143 });
  });
});
