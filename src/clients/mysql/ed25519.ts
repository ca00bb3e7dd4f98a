import { createHash } from 'node:crypto';

// MariaDB's plugin ed25519 signs the challenge with a key whose seed is the password, of any length
// (https://mariadb.com/kb/en/connection/#client_ed25519-plugin). node:crypto takes seeds of 32 bytes alone, so that the few
// lines of RFC 8032 stand here. It is no place for secrets that are used often: BigInt does not take the same time for all.

const p = 2n ** 255n - 19n;
const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
const d =
  37_095_705_934_669_439_343_138_083_508_754_565_189_542_113_879_843_219_016_388_785_533_085_940_283_555n;
/** RFC 8032, 5.1: the base point. */
const baseX =
  15_112_221_349_535_400_772_501_151_409_588_531_511_454_012_693_041_857_206_046_113_283_949_847_762_202n;
const baseY =
  46_316_835_694_926_478_169_428_394_003_475_163_141_307_993_866_256_225_615_783_033_603_165_251_855_960n;

/** Extended coordinates (RFC 8032, 5.1.4). */
type Point = readonly [x: bigint, y: bigint, z: bigint, t: bigint];

const base: Point = [baseX, baseY, 1n, (baseX * baseY) % p];

/** The signature of a challenge: 64 bytes. */
export function ed25519Answer(password: Buffer, challenge: Buffer): Buffer {
  const { scalar, prefix } = keyOf(password);
  const publicKey = ed25519PublicKey(password);
  const nonce = number(sha512(prefix, challenge)) % order;
  const commitment = encoded(times(base, nonce));
  const digest = number(sha512(commitment, publicKey, challenge)) % order;
  return Buffer.concat([commitment, bytes((nonce + digest * scalar) % order)]);
}

/** What a server stores of a password: 32 bytes. */
export function ed25519PublicKey(password: Buffer): Buffer {
  return encoded(times(base, keyOf(password).scalar));
}

function keyOf(password: Buffer): { readonly scalar: bigint; readonly prefix: Buffer } {
  const secret = sha512(password);
  const clamped = Buffer.from(secret.subarray(0, 32));
  clamped[0] = (clamped[0] ?? 0) & 248;
  clamped[31] = ((clamped[31] ?? 0) & 63) | 64;
  return { scalar: number(clamped), prefix: secret.subarray(32) };
}

function add([x1, y1, z1, t1]: Point, [x2, y2, z2, t2]: Point): Point {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * t2 * d);
  const e = mod(2n * z1 * z2);
  const [f, g, h, i] = [b - a, e - c, e + c, b + a];
  return [mod(f * g), mod(h * i), mod(g * h), mod(f * i)];
}

function times(point: Point, factor: bigint): Point {
  let sum: Point = [0n, 1n, 1n, 0n];
  let double = point;
  for (let left = factor; left > 0n; left >>= 1n) {
    if (left & 1n) sum = add(sum, double);
    double = add(double, double);
  }
  return sum;
}

function encoded([x, y, z]: Point): Buffer {
  const inverse = power(z, p - 2n);
  const out = bytes(mod(y * inverse));
  out[31] = (out[31] ?? 0) | (Number(mod(x * inverse) & 1n) << 7);
  return out;
}

function power(value: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(value);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % p;
  return rest < 0n ? rest + p : rest;
}

function number(little: Buffer): bigint {
  let value = 0n;
  for (const [index, byte] of little.entries()) value |= BigInt(byte) << BigInt(8 * index);
  return value;
}

function bytes(value: bigint): Buffer {
  return Buffer.from(Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 255n)));
}

function sha512(...parts: readonly Buffer[]): Buffer {
  const hasher = createHash('sha512');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}
