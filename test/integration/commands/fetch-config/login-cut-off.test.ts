// A login that is cut off in the middle, by a signal or by the deadline: Vault makes the token all the same.
import { writeFileSync } from 'node:fs';
import { createServer, request as send, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUseBao, startBao, type Bao } from '../../../support/openbao.ts';
import { startInitbox, type RunningProgram } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const folder = temporaryDirectory('login-cut-off').path;
const passwordFile = join(folder, 'password');

/** Hands requests on to OpenBao; `hold` is asked about each answer to a login before it goes back. */
async function startProxy(
  bao: Bao,
  hold: () => void | Promise<void>,
): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const { method, headers, url = '' } = request;
    const onward = send({ host: '127.0.0.1', port: bao.port, method, path: url, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        const back = (): void =>
          void response.writeHead(answer.statusCode ?? 500, answer.headers).end(Buffer.concat(parts));
        const held = url.includes('/login/') ? hold() : undefined;
        if (held === undefined) back();
        else void held.then(back);
      });
    });
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe.skipIf(requireOrSkip('logins that are cut off', canUseBao()))('no token is left alive', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startBao();
    await bao.must('POST', 'sys/auth/userpass', { type: 'userpass' });
    await bao.must('POST', 'auth/userpass/users/app', { password: 'password-of-app', token_policies: 'app' });
    writeFileSync(passwordFile, 'password-of-app\n');
  });
  afterAll(() => bao?.stop());

  /** Tokens beside the root's. */
  async function alive(): Promise<number> {
    const { data } = (await bao.must('LIST', 'auth/token/accessors')) as { data: { keys: string[] } };
    return data.keys.length - 1;
  }
  const words = (...more: string[]): string[] => [
    'fetch-config',
    'vault:secret/app',
    '--vault-user',
    'app',
    '--vault-password-file',
    passwordFile,
    '--to',
    join(folder, 'out'),
    '--allow-disk',
    ...more,
  ];

  test('SIGTERM while Vault answers the login', async () => {
    let left = await alive();
    let clean = 0;
    for (let run = 0; run < 5; run++) {
      const started: RunningProgram[] = [];
      const { server, url } = await startProxy(bao, () => void started[0]?.kill('SIGTERM'));
      const running = await startInitbox(words('--log-level', 'debug'), { env: { VAULT_ADDR: url } });
      started.push(running);
      const { status, stderr } = await running.exit;
      server.close();
      expect(status).toBe(143);
      const now = await alive();
      // Where the machine is too slow for two requests, the log says that a token may live on.
      if (now === left) clean++;
      else expect(stderr).toMatch(/lives on until it expires|took longer than/);
      left = now;
    }
    expect(clean).toBeGreaterThan(0);
  });

  test('SIGTERM while a login does not answer is obeyed at once, and what may be left is told', async () => {
    let held: (() => void) | undefined;
    const { server, url } = await startProxy(bao, () => new Promise<void>((resolve) => (held = resolve)));
    const running = await startInitbox(words(), { env: { VAULT_ADDR: url } });
    await waitUntil(() => held);
    running.kill('SIGTERM');
    const { status, stderr } = await within(promptly, running.exit);
    held?.();
    server.close();
    expect(status).toBe(143);
    expect(stderr).toContain(
      'a login was cut off: if Vault made a token for it, that token lives on until it expires',
    );
  });

  test('SIGTERM after the login, while the secret is waited for', async () => {
    const before = await alive();
    const running = await startInitbox(words('--log-level', 'debug'), { env: { VAULT_ADDR: bao.address } });
    await running.waitForStderr(/logged in by userpass/);
    running.kill('SIGTERM');
    const { status, stderr } = await running.exit;
    expect(status).not.toBe(0);
    if ((await alive()) !== before) expect(stderr).toMatch(/lives on until it expires|took longer than/);
    else expect(stderr).toContain('the token of this run is revoked');
  });

  test('the deadline around the answer to a login: none is left, or it is told', async () => {
    let left = await alive();
    for (const late of [700, 800, 900, 1000]) {
      const { server, url } = await startProxy(
        bao,
        () => new Promise((resolve) => setTimeout(resolve, late)),
      );
      const running = await startInitbox(words('--timeout', '1s'), { env: { VAULT_ADDR: url } });
      const { status, stderr } = await running.exit;
      server.closeAllConnections();
      server.close();
      expect([69, 124]).toContain(status);
      const now = await alive();
      if (now !== left) expect(stderr).toMatch(/lives on until it expires|took longer than/);
      left = now;
    }
  });
});
