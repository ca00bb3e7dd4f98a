/** The polynomial of Castagnoli, reflected (RFC 9260, appendix A): Node has that of zlib alone. */
const polynomial = 0x82f63b78;

let tables: readonly Uint32Array[] | undefined;

/** Tables for eight bytes at a time. */
function tablesOf(): readonly Uint32Array[] {
  if (tables !== undefined) return tables;
  const made = Array.from({ length: 8 }, () => new Uint32Array(256));
  const first = made[0]!;
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? polynomial : 0);
    first[byte] = sum;
  }
  for (let at = 1; at < 8; at++)
    for (let byte = 0; byte < 256; byte++) {
      const before = made[at - 1]![byte]!;
      made[at]![byte] = (before >>> 8) ^ first[before & 0xff]!;
    }
  tables = made;
  return made;
}

/**
 * CRC-32C of bytes.
 * @param before of the bytes before them
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tablesOf() as readonly Uint32Array[] & { readonly length: 8 };
  let sum = ~before;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    sum ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    sum =
      t7![sum & 0xff]! ^
      t6![(sum >>> 8) & 0xff]! ^
      t5![(sum >>> 16) & 0xff]! ^
      t4![sum >>> 24]! ^
      t3![bytes[at + 4]!]! ^
      t2![bytes[at + 5]!]! ^
      t1![bytes[at + 6]!]! ^
      t0![bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ t0![(sum ^ bytes[at]!) & 0xff]!;
  return ~sum >>> 0;
}
