import { readSync } from 'node:fs';

import { compressionOf } from '../../config/decompress.ts';

export type ArchiveType = 'tar' | 'tar.gz' | 'tar.zst' | 'zip';

/** What an open file is, by its first bytes; otherwise what it looks like instead, in words. */
export function archiveType(descriptor: number): ArchiveType | { readonly instead: string } {
  const head = Buffer.alloc(512);
  return typeOfHead(head.subarray(0, readSync(descriptor, head, 0, 512, 0)));
}

/** The same by up to 512 bytes of its beginning. */
export function typeOfHead(head: Buffer): ArchiveType | { readonly instead: string } {
  const { length } = head;
  const starts = (...bytes: readonly number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (length === 0) return { instead: 'it is empty' };
  const compression = compressionOf(head);
  if (typeof compression === 'string') return compression === 'gzip' ? 'tar.gz' : 'tar.zst';
  if (starts(0x50, 0x4b, 0x03, 0x04) || starts(0x50, 0x4b, 0x05, 0x06)) return 'zip';
  if (length === 512 && isTarHeader(head)) return 'tar';
  if (compression.instead !== undefined) return { instead: compression.instead };
  if (/^\s*<(!doctype|html)/i.test(head.toString('latin1'))) return { instead: 'it is a web page' };
  return { instead: 'its first bytes match none of these formats' };
}

/** The sum of all bytes, its own field counted as spaces (pax(1), ustar); an empty archive is zeros. */
function isTarHeader(head: Buffer): boolean {
  if (head.every((byte) => byte === 0)) return true;
  const said = Number.parseInt(head.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8);
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 32 : (head[i] ?? 0);
  return said === sum;
}
