import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

import { mostScramIterations } from '../connection/scram.ts';

const derive = promisify(pbkdf2);

/** SCRAM_SHA_256_DEFAULT_ITERATIONS and SCRAM_DEFAULT_SALT_LEN of the server (src/include/common/scram-common.h). */
const iterations = 4096;
const saltLength = 16;

/**
 * What the server keeps of a password (src/common/scram-common.c, scram_build_secret). A server that is sent it stores it
 * as it is, so that the password itself is in no statement, and in no log of the server's.
 */
export async function scramVerifier(
  password: string,
  salt: Buffer = randomBytes(saltLength),
): Promise<string> {
  return build(password, salt, iterations);
}

/**
 * Whether what a server keeps is of this password.
 * @param stored pg_authid.rolpassword: a SCRAM verifier, or md5 and the hash of password and role
 */
export async function isVerifierOf(stored: string, role: string, password: string): Promise<boolean> {
  const [, count = '', salt = ''] = /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$/.exec(stored) ?? [];
  if (count === '') {
    const hash = createHash('md5').update(`${password}${role}`).digest('hex');
    return isSame(stored, `md5${hash}`);
  }
  if (Number(count) < 1 || Number(count) > mostScramIterations) return false;
  return isSame(stored, await build(password, Buffer.from(salt, 'base64'), Number(count)));
}

async function build(password: string, salt: Buffer, count: number): Promise<string> {
  const salted = await derive(prepared(password), salt, count, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${count}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}

type Ranges = readonly (readonly [from: number, to: number])[];

/** RFC 3454, C.1.2: blanks of other scripts. */
const blanks: Ranges = [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200b],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

/** RFC 3454, B.1: what is mapped to nothing. */
const nothing: Ranges = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x1806, 0x1806],
  [0x180b, 0x180d],
  [0x200c, 0x200d],
  [0x2060, 0x2060],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
];

/** RFC 3454, C.2 to C.9: what no prepared text has. */
const prohibited: Ranges = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0x340, 0x341],
  [0x6dd, 0x6dd],
  [0x70f, 0x70f],
  [0x180e, 0x180e],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2061, 0x2063],
  [0x206a, 0x206f],
  [0x2ff0, 0x2ffb],
  [0xd800, 0xf8ff],
  [0xfdd0, 0xfdef],
  [0xfff9, 0xffff],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe007f],
  [0xf0000, 0x10ffff],
];

/**
 * SASLprep (RFC 4013) as the server does it (src/common/saslprep.c). A password with prohibited characters is taken as it
 * is; so is one in which right-to-left scripts break the rules of bidirectional texts, which is not looked at here: its
 * verifier is then never found right, and set again.
 */
function prepared(password: string): string {
  const isIn = (ranges: Ranges, point: number): boolean =>
    ranges.some(([from, to]) => from <= point && point <= to);
  const mapped = Array.from(password, (character) => {
    const point = character.codePointAt(0) ?? 0;
    if (isIn(blanks, point)) return ' ';
    return isIn(nothing, point) ? '' : character;
  });
  const normal = mapped.join('').normalize('NFKC');
  const bad = Array.from(normal).some((character) => isIn(prohibited, character.codePointAt(0) ?? 0));
  return normal === '' || bad ? password : normal;
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
