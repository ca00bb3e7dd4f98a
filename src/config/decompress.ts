import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';

import { reasonOf } from '../core/clock.ts';
import { exitStatus } from '../core/exit-status.ts';
import { GrowingBytes } from '../core/growing-bytes.ts';
import { formatBytes } from '../core/size.ts';
import { never, type Never } from '../wait/attempt.ts';

export type Compression = 'gzip' | 'zstd';

/** Bytes that are unpacked at once. */
const chunk = 1 << 18;

/** The largest window of zstd that is taken, as a power of 2: its memory is this much, and more only with --ultra. */
const largestWindow = 25;

/** Bytes by which a compression is known. */
export const longestMark = 5;

/** What is compressed that is not taken apart, or is damaged. The message follows the source's name. */
export class NotDecompressed extends Error {
  override readonly name = 'NotDecompressed';
}

/** By which of the supported ways something is compressed, by its first bytes; otherwise what it is instead, if known. */
export function compressionOf(head: Uint8Array): Compression | { readonly instead: string | undefined } {
  const starts = (...bytes: readonly number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return { instead: 'it is compressed by xz' };
  if (starts(0x42, 0x5a, 0x68)) return { instead: 'it is compressed by bzip2' };
  return { instead: undefined };
}

/** What a source answers that cannot be unpacked. */
export function notDecompressed({ message }: NotDecompressed): Never {
  return never(
    exitStatus.refused,
    message,
    'look at what the source holds: gzip -t and zstd -t tell whether it is whole; --unpack is for archives',
  );
}

export function decompressor(compression: Compression): Transform & { readonly bytesWritten: number } {
  if (compression === 'gzip') return createGunzip({ chunkSize: chunk });
  return createZstdDecompress({
    chunkSize: chunk,
    params: { [constants.ZSTD_d_windowLogMax]: largestWindow },
  });
}

/** What a decompressor failed with, in words that follow the name of what is compressed; undefined for other errors. */
export function compressionFault({ code, message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'Z_BUF_ERROR' || /unexpected end/i.test(message)) return 'ends in the middle: it is truncated';
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return 'needs more memory than initbox gives to zstd; compress it without --ultra or --long';
  if (code?.startsWith('Z_') === true || code?.startsWith('ZSTD') === true) return `is damaged (${code})`;
  return undefined;
}

const bytesBehind = 'has bytes behind its end, which belong to nothing that is compressed';

/**
 * Unpacks one compressed file as it comes: of gzip all members, as gunzip does, of zstd all frames. Zeros may follow gzip.
 * @param source gives what is left of the bytes at each call
 * @param take gets what is unpacked; no more comes until what it returns is fulfilled
 * @param most bytes that it may unpack to
 * @throws NotDecompressed, the signal's reason, or what `take` threw
 */
export async function decompressTo(
  source: () => AsyncIterable<Uint8Array>,
  take: (bytes: Uint8Array) => Promise<void> | undefined,
  most: { readonly bytes: number; readonly origin: string },
  signal: AbortSignal,
): Promise<void> {
  let head: Uint8Array = Buffer.alloc(0);
  for await (const bytes of source()) {
    head = head.length === 0 ? bytes : Buffer.concat([head, bytes]);
    if (head.length >= longestMark) break;
  }
  const compression = compressionOf(head);
  if (typeof compression === 'object') {
    const { instead = head.length === 0 ? 'it is empty' : 'its first bytes match neither' } = compression;
    throw new NotDecompressed(`is not compressed by gzip or zstd: ${instead}`);
  }
  let fed = 0;
  let last = head;
  const input = async function* (): AsyncGenerator<Uint8Array> {
    fed += head.length;
    yield head;
    for await (const bytes of source()) {
      fed += bytes.length;
      last = bytes;
      yield bytes;
    }
  };
  let size = 0;
  let untaken: { readonly error: unknown } | undefined;
  const output = async (unpacked: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const bytes of unpacked) {
      size += bytes.length;
      if (size > most.bytes)
        throw new NotDecompressed(`unpacks to more than ${formatBytes(most.bytes)} (${most.origin})`);
      try {
        await take(bytes);
      } catch (error) {
        untaken = { error };
        throw error;
      }
    }
  };
  const unpacking = decompressor(compression);
  try {
    await pipeline(input, unpacking, output, { signal });
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (untaken !== undefined) throw untaken.error;
    if (error instanceof NotDecompressed) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const fault =
      code === 'ERR_STREAM_PREMATURE_CLOSE' ? bytesBehind : compressionFault(error as NodeJS.ErrnoException);
    throw fault === undefined ? error : new NotDecompressed(fault);
  }
  const isPadding = (bytes: Uint8Array): boolean =>
    bytes.length === 0 || (compression === 'gzip' && bytes.every((byte) => byte === 0));
  if (!isPadding(last.subarray(Math.max(0, last.length - (fed - unpacking.bytesWritten)))))
    throw new NotDecompressed(bytesBehind);
  for await (const bytes of source()) if (!isPadding(bytes)) throw new NotDecompressed(bytesBehind);
}

/** The same of a whole file in memory. @throws NotDecompressed, or the signal's reason */
export async function decompressed(
  bytes: Uint8Array,
  most: { readonly bytes: number; readonly origin: string },
  signal: AbortSignal,
): Promise<Uint8Array> {
  let left: Uint8Array[] = [bytes];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    const [next] = left;
    left = [];
    if (next !== undefined && next.length > 0) yield next;
  };
  const unpacked = new GrowingBytes(0);
  await decompressTo(source, (more) => void unpacked.add(more), most, signal);
  return unpacked.taken();
}
