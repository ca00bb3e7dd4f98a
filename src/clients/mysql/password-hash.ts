import { createHash, randomInt } from 'node:crypto';

import { reasonOf } from '../../core/clock.ts';
import { ed25519PublicKey } from './ed25519.ts';
import type { MysqlHashedPlugin } from './plugins.ts';

/** MAX_PLAINTEXT_LENGTH of the server's sha2 passwords, in bytes: it takes no longer ones. */
export const longestMysqlPassword = 256;

/** Of caching_sha2_password, before rounds, salt and digest (`$A$005$…`), in characters. */
const sha2Head = /^\$A\$([0-9A-F]{3})\$/i;
const saltLength = 20;
const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** What a server stores of a password, as `IDENTIFIED WITH … AS` takes it: letters, digits and `* $ . / +` alone. */
export async function mysqlPasswordHash(
  plugin: MysqlHashedPlugin,
  password: string,
  signal: AbortSignal,
): Promise<string> {
  if (plugin === 'mysql_native_password') return nativeHash(password);
  if (plugin === 'ed25519') return ed25519Hash(password);
  // The server's own salts have any 7-bit characters; these need no quoting.
  const salt = Array.from({ length: saltLength }, () => alphabet[randomInt(alphabet.length)]).join('');
  return `$A$005$${salt}${await sha256Crypt(password, Buffer.from(salt), 5000, signal)}`;
}

/** Whether what a server stores is of this password. @throws the signal's reason */
export async function isMysqlHashOf(
  plugin: MysqlHashedPlugin,
  stored: Buffer,
  password: string,
  signal: AbortSignal,
): Promise<boolean> {
  const text = stored.toString('latin1');
  if (plugin === 'mysql_native_password') return text.toUpperCase() === nativeHash(password);
  if (plugin === 'ed25519') return text.replace(/=$/, '') === ed25519Hash(password);
  const [head, thousands = ''] = sha2Head.exec(text) ?? [];
  if (head === undefined) return false;
  const salt = stored.subarray(head.length, head.length + saltLength);
  const digest = text.slice(head.length + saltLength);
  return digest === (await sha256Crypt(password, salt, parseInt(thousands, 16) * 1000, signal));
}

/** `*` and SHA-1 of SHA-1, without a salt (https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/). */
function nativeHash(password: string): string {
  return `*${sha1(sha1(Buffer.from(password)))
    .toString('hex')
    .toUpperCase()}`;
}

/** The public key in base64, without the `=` (https://mariadb.com/kb/en/authentication-plugin-ed25519/). */
function ed25519Hash(password: string): string {
  return ed25519PublicKey(Buffer.from(password)).toString('base64').replace(/=$/, '');
}

/** Rounds between two looks at signals and timers. */
const atOnce = 5000;

/**
 * The digest of SHA-crypt with SHA-256 (https://www.akkadia.org/drepper/SHA-crypt.txt), by which caching_sha2_password
 * stores passwords, with a salt that is longer than elsewhere.
 */
async function sha256Crypt(text: string, salt: Buffer, rounds: number, signal: AbortSignal): Promise<string> {
  const password = Buffer.from(text);
  const other = sha256(password, salt, password);
  const parts = [password, salt, filled(other, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? other : password);
  let digest = sha256(...parts);
  const p = filled(sha256(...Array.from(password, () => password)), password.length);
  const s = filled(sha256(...Array.from({ length: 16 + (digest[0] ?? 0) }, () => salt)), salt.length);
  for (let round = 0; round < rounds; round += 1) {
    if (round % atOnce === atOnce - 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw reasonOf(signal);
    }
    const odd = round % 2 === 1;
    digest = sha256(
      odd ? p : digest,
      ...(round % 3 === 0 ? [] : [s]),
      ...(round % 7 === 0 ? [] : [p]),
      odd ? digest : p,
    );
  }
  return encoded(digest);
}

/** The order of its bytes: three by three, each group moved on, and the last two. */
function encoded(digest: Buffer): string {
  const at = (index: number): number => digest[index] ?? 0;
  let written = '';
  const write = (value: number, count: number): void => {
    for (let left = value, n = 0; n < count; n += 1, left >>= 6) written += alphabet[left & 63] ?? '';
  };
  for (let group = 0; group < 10; group += 1) {
    const [high, middle, low] = [at(group), at(group + 10), at(group + 20)] as const;
    if (group % 3 === 0) write((high << 16) | (middle << 8) | low, 4);
    else if (group % 3 === 1) write((low << 16) | (high << 8) | middle, 4);
    else write((middle << 16) | (low << 8) | high, 4);
  }
  write((at(31) << 8) | at(30), 3);
  return written;
}

/** These bytes again and again, so many of them. */
function filled(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, bytes);
}

function sha1(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest();
}

function sha256(...parts: readonly Buffer[]): Buffer {
  const hasher = createHash('sha256');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}
