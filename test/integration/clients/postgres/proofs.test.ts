// What a server of PostgreSQL says back of a login.
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { authentication, report } from './messages.ts';

let server: Server | undefined;
afterEach(() => server?.close());

const refusal = (said: string): Buffer =>
  report('E', `SFATAL\0VFATAL\0C28P01\0Mno: ${said}\0Dagain: ${said}\0`);

test.each([
  ['md5', 5, 'salt'],
  ['SCRAM', 10, 'SCRAM-SHA-256\0\0'],
])('what it says back of a login by %s is not shown', async (_, code, rest) => {
  const sent: string[] = [];
  const hear = (socket: Socket): void => {
    let begun = false;
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const words = bytes.toString('latin1').replaceAll('\0', ' ').trim();
      if (!begun) {
        begun = true;
        socket.write(authentication(code, rest));
        return;
      }
      const text = /(?:n,,n=|c=biws,|md5)\S+/.exec(words)?.[0] ?? '';
      sent.push(...text.split(',').map((part) => part.replace(/^(?:[nrp]=|md5)/, '')));
      const nonce = /^n,,n=[^,]*,r=(.*)$/.exec(text)?.[1];
      if (nonce === undefined) socket.end(refusal(text));
      else socket.write(authentication(11, `r=${nonce}x,s=c2FsdHNhbHQ=,i=4096`));
    });
  };
  server = createServer(hear);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as { port: number };
  const target = `postgres://app:hunter2@127.0.0.1:${port}/app?sslmode=disable`;
  const { status, stderr } = await runInitbox(['wait', target]);
  expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringMatching(/no: (?:c=|md5)/) });
  const parts = sent.filter((part) => part.length > 20);
  expect(parts.length).toBeGreaterThanOrEqual(1);
  for (const part of parts) expect(stderr).not.toContain(part.replace(/x$/, ''));
});
