import { constants, createHash, publicEncrypt } from 'node:crypto';

import { ed25519Answer } from './ed25519.ts';

/** How a password is shown to a server, by the name of its plugin; none of these sends the password itself. */
const scrambles: Readonly<Record<string, (password: Buffer, challenge: Buffer) => Buffer>> = {
  mysql_native_password: (password, challenge) => {
    const once = hash('sha1', password);
    return xor(once, hash('sha1', challenge.subarray(0, 20), hash('sha1', once)));
  },
  caching_sha2_password: (password, challenge) => {
    const once = hash('sha256', password);
    return xor(once, hash('sha256', hash('sha256', once), challenge.subarray(0, 20)));
  },
  client_ed25519: (password, challenge) => ed25519Answer(password, challenge.subarray(0, 32)),
};

/** The plugins that send the password itself. */
export const openPlugins: ReadonlySet<string> = new Set([
  'mysql_clear_password',
  'dialog',
  'sha256_password',
]);

/** The answer to a challenge; empty without a password; undefined for a plugin that is not known here. */
export function mysqlScramble(plugin: string, password: string, challenge: Buffer): Buffer | undefined {
  const scramble = Object.hasOwn(scrambles, plugin) ? scrambles[plugin] : undefined;
  if (scramble === undefined) return undefined;
  // A password that is empty is not scrambled, but by ed25519.
  if (password === '' && plugin !== 'client_ed25519') return Buffer.alloc(0);
  return scramble(Buffer.from(password), challenge);
}

/**
 * The password for a server that has no digest of it in its cache, without TLS: by the server's RSA key.
 * @throws Error where that is not a key
 */
export function encryptedPassword(password: string, challenge: Buffer, key: string): Buffer {
  const bytes = Buffer.from(`${password}\0`);
  const mixed = bytes.map((byte, index) => byte ^ (challenge[index % 20] ?? 0));
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, mixed);
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: readonly Buffer[]): Buffer {
  const hasher = createHash(algorithm);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
}
