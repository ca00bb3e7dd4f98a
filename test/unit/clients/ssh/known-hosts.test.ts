import { createHmac } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { fingerprintOf, knownHostIn, knownName, typeOf } from '../../../../src/clients/ssh/known-hosts.ts';

/** A key as the protocol has it: its type, and something. */
function keyOf(type: string, rest = 'k'): string {
  const bytes = Buffer.alloc(4 + type.length + rest.length);
  bytes.writeUInt32BE(type.length, 0);
  bytes.write(`${type}${rest}`, 4);
  return `${type} ${bytes.toString('base64')}`;
}

const key = keyOf('ssh-ed25519');
const count = (text: string, host = 'git.example', port = 22): number =>
  knownHostIn(text, host, port).keys.length;

describe('names', () => {
  test.each([
    ['git.example', 22, 'git.example'],
    ['Git.Example', 22, 'git.example'],
    ['git.example', 2222, '[git.example]:2222'],
    ['::1', 22, '::1'],
    ['::1', 2222, '[::1]:2222'],
  ])('%s port %d', (host, port, name) => expect(knownName(host, port)).toBe(name));
});

describe('lines', () => {
  test.each([
    [`git.example ${key}`, 1],
    [`GIT.example ${key} comment of words`, 1],
    [`  git.example\t${key}\r`, 1],
    [`other,git.example ${key}`, 1],
    [`*.example ${key}`, 1],
    [`g?t.example ${key}`, 1],
    [`g*e ${key}`, 1],
    [`g*t ${key}`, 0],
    [`? ${key}`, 0],
    [`*,!git.example ${key}`, 0],
    [`!git.example,* ${key}`, 0],
    [`!other ${key}`, 0],
    [`git.example.org ${key}`, 0],
    [`[git.example]:22 ${key}`, 0],
    [`[git.example]:2222 ${key}`, 0],
    [`# git.example ${key}`, 0],
    [`#git.example ${key}`, 0],
    [`@revoked git.example ${key}`, 0],
    [`@cert-authority git.example ${key}`, 0],
    [`@other git.example ${key}`, 0],
    ['git.example ssh-ed25519 not/base64/of-a-key', 0],
    [`git.example ssh-rsa ${key.split(' ')[1]}`, 0],
    [`git.example ${key}\ngit.example ${keyOf('ssh-rsa')}`, 2],
    ['', 0],
  ])('%j', (text, found) => expect(count(text)).toBe(found));

  test('another port', () => {
    expect(count(`[git.example]:2222 ${key}`, 'git.example', 2222)).toBe(1);
    expect(count(`git.example ${key}`, 'git.example', 2222)).toBe(0);
    expect(count(`[*.example]:2* ${key}`, 'git.example', 2222)).toBe(1);
  });

  test('a hashed name', () => {
    const salt = Buffer.from('twenty bytes of salt');
    const hash = createHmac('sha1', salt).update('git.example').digest('base64');
    const line = `|1|${salt.toString('base64')}|${hash} ${key}`;
    expect(count(line)).toBe(1);
    expect(count(line, 'other.example')).toBe(0);
  });

  test('what is revoked, and authorities', () => {
    const { revoked, hasAuthority } = knownHostIn(
      `@revoked * ${key}\n@cert-authority *.example ${key}`,
      'git.example',
      22,
    );
    expect(revoked.map(({ type }) => type)).toEqual(['ssh-ed25519']);
    expect(hasAuthority).toBe(true);
  });

  test('patterns of many stars take no time', () => {
    const began = performance.now();
    expect(count(`${'*a'.repeat(2000)}b ${key}`, 'a'.repeat(2000))).toBe(0);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

test('a key’s own type, also of what is none', () => {
  expect(typeOf(Buffer.from(key.split(' ')[1] ?? '', 'base64'))).toBe('ssh-ed25519');
  expect(typeOf(Buffer.alloc(0))).toBe('');
  expect(typeOf(Buffer.alloc(4, 0xff))).toBe('');
});

test('a fingerprint as ssh-keygen -l has it', () => {
  expect(fingerprintOf(Buffer.alloc(0))).toBe('SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU');
});
