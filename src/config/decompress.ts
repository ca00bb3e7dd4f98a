import { once } from 'node:events';
import type { Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';

import { reasonOf, unlessAborted } from '../core/clock.ts';
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
  // Files of pzstd begin with a skippable frame, which has one of sixteen numbers (RFC 8878, 3.1.2).
  if (((head[0] ?? 0) & 0xf0) === 0x50 && [0x2a, 0x4d, 0x18].every((byte, at) => head[at + 1] === byte))
    return 'zstd';
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

function decompressor(compression: Compression): Transform & { readonly bytesWritten: number } {
  if (compression === 'gzip') return createGunzip({ chunkSize: chunk });
  return createZstdDecompress({
    chunkSize: chunk,
    params: { [constants.ZSTD_d_windowLogMax]: largestWindow },
  });
}

/** What a decompressor failed with, in words that follow the name of what is compressed; undefined for other errors. */
function compressionFault({ code, message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'Z_BUF_ERROR' || /unexpected end/i.test(message)) return 'ends in the middle: it is truncated';
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return 'needs more memory than initbox gives to zstd; compress it without --ultra or --long';
  if (code?.startsWith('Z_') === true || code?.startsWith('ZSTD') === true) return `is damaged (${code})`;
  return undefined;
}

/**
 * Unpacks what is compressed as it comes: of gzip all members, as gunzip does, of zstd all frames. Zeros may follow gzip.
 * @param source gives what is left of the bytes at each call, and ends where it is given up
 * @throws NotDecompressed, or the signal's reason
 */
export async function* inflated(
  source: () => AsyncIterable<Uint8Array>,
  compression: Compression,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const unpacking = decompressor(compression);
  const over = new Promise<void>((resolve) => {
    for (const event of ['end', 'error', 'close'] as const) unpacking.once(event, () => resolve());
  });
  const isPadding = (bytes: Uint8Array): boolean =>
    bytes.length === 0 || (compression === 'gzip' && bytes.every((byte) => byte === 0));
  let fed = 0;
  /** What was given and may not be used: where the compressed bytes end is known later. */
  let recent: { readonly end: number; readonly bytes: Uint8Array }[] = [];
  let padded = true;
  const feed = async (): Promise<void> => {
    for await (const bytes of source()) {
      if (unpacking.readableEnded || unpacking.destroyed) {
        padded &&= isPadding(bytes);
        continue;
      }
      fed += bytes.length;
      const used = unpacking.bytesWritten;
      recent = [...recent.filter(({ end }) => end > used), { end: fed, bytes }];
      if (!unpacking.write(bytes)) await Promise.race([once(unpacking, 'drain'), over]);
    }
    if (!unpacking.destroyed) unpacking.end();
  };
  const stop = (): void => void unpacking.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  let unread: { readonly error: unknown } | undefined;
  const feeding = feed().catch((error: unknown) => {
    unread = { error };
    unpacking.destroy(error as Error);
  });
  try {
    yield* unpacking as AsyncIterable<Uint8Array>;
    await unlessAborted(feeding, signal);
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (unread !== undefined) throw unread.error;
    const fault = compressionFault(error as NodeJS.ErrnoException);
    throw fault === undefined ? error : new NotDecompressed(fault);
  } finally {
    signal.removeEventListener('abort', stop);
    unpacking.destroy();
  }
  const used = unpacking.bytesWritten;
  for (const { end, bytes } of recent)
    padded &&= isPadding(bytes.subarray(Math.max(0, bytes.length - Math.max(0, end - used))));
  if (!padded)
    throw new NotDecompressed('has bytes behind its end, which belong to nothing that is compressed');
}

/**
 * Unpacks one compressed file as it comes.
 * @param source as of inflated
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
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield head;
    yield* source();
  };
  let size = 0;
  for await (const bytes of inflated(all, compression, signal)) {
    size += bytes.length;
    if (size > most.bytes)
      throw new NotDecompressed(`unpacks to more than ${formatBytes(most.bytes)} (${most.origin})`);
    await take(bytes);
  }
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
  await decompressTo(
    source,
    (more) => {
      unpacked.add(more);
    },
    most,
    signal,
  );
  return unpacked.taken();
}
