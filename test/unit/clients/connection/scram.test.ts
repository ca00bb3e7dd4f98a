import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { scramClient } from '../../../../src/clients/connection/scram.ts';
import { withoutSent } from '../../../../src/clients/connection/sent-proofs.ts';

/** What a server sends first: the client's nonce and more, a salt, the iterations. */
const serverFirst = (first: string, iterations: number, more = 'x'): string =>
  `r=${/r=(.*)$/.exec(first)?.[1] ?? ''}${more},s=c2FsdHNhbHQ=,i=${iterations}`;

describe('SCRAM', () => {
  test.each(['sha1', 'sha256', 'sha512'] as const)('%s: both sides prove that they know it', async (hash) => {
    const client = scramClient(hash, 'a=b,c', 'hunter2');
    expect(client.first).toMatch(/^n,,n=a=3Db=2Cc,r=/);
    const said = serverFirst(client.first, 4096);
    const answer = (await client.answer(said)) ?? '';
    const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(answer) ?? [];
    // RFC 5802, 3, as the server works it out.
    const length = { sha1: 20, sha256: 32, sha512: 64 }[hash];
    const salted = pbkdf2Sync('hunter2', Buffer.from('saltsalt'), 4096, length, hash);
    const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest();
    const clientKey = hmac(salted, 'Client Key');
    const signed = `${client.first.slice(3)},${said},${withoutProof}`;
    const signature = hmac(createHash(hash).update(clientKey).digest(), signed);
    const shown = Buffer.from(proof, 'base64').map((byte, index) => byte ^ (signature[index] ?? 0));
    expect(Buffer.from(shown)).toEqual(clientKey);
    const server = hmac(hmac(salted, 'Server Key'), signed).toString('base64');
    expect(client.verify(`v=${server}`)).toBe(true);
    expect(client.verify(`v=${Buffer.alloc(length).toString('base64')}`)).toBe(false);
    expect(client.verify('')).toBe(false);
  });

  test('what was sent can be taken out of a server’s words', async () => {
    const client = scramClient('sha256', 'app', 'hunter2');
    const answer = (await client.answer(serverFirst(client.first, 4096))) ?? '';
    const [, nonce = '', proof = ''] = /r=(.*)x,p=(.*)$/.exec(answer) ?? [];
    for (const back of [
      `failed: ${client.first}`,
      `failed: ${answer}`,
      `failed: ${encodeURIComponent(answer)}`,
      `failed: ${Buffer.from(proof).toString('hex')}`,
    ]) {
      const clean = withoutSent(client.sent, back);
      expect(clean).toMatch(/^failed: .*redacted/);
      for (const part of [nonce, proof, encodeURIComponent(proof)]) expect(clean).not.toContain(part);
    }
  });

  test.each([
    ['few iterations', 4095, 'x'],
    ['iterations that take minutes', 1_000_001, 'x'],
    ['the nonce of the client alone', 4096, ''],
  ])('%s: no answer', async (_, iterations, more) => {
    const client = scramClient('sha256', 'app', 'hunter2');
    expect(await client.answer(serverFirst(client.first, iterations, more))).toBeUndefined();
    expect(client.verify('v=')).toBe(false);
  });

  test('another nonce: no answer', async () => {
    const client = scramClient('sha256', 'app', 'hunter2');
    expect(await client.answer('r=another,s=c2FsdA==,i=4096')).toBeUndefined();
  });
});
