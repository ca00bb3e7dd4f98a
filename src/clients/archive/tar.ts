import { read } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { extract, type Header } from 'tar-stream';

import { type Compression, inflated, NotDecompressed } from '../../config/decompress.ts';
import { reasonOf, unlessAborted } from '../../core/clock.ts';
import { formatBytes } from '../../core/size.ts';
import { type ArchiveEntry, type ArchiveLimits, type ArchiveTarget, BrokenArchive } from './entry.ts';
import { typeOfHead } from './type.ts';

export type TarCompression = 'none' | Compression;

/** Bytes that are read, and unpacked, at once. */
const chunk = 1 << 18;

/** Of a header with its padding; each entry may have some more for long names. */
const header = 4096;

/**
 * Reads a tar file as it comes. What follows its end may not be read.
 * @throws BrokenArchive, the signal's reason, or what the target threw
 */
export async function readTar(
  source: () => AsyncIterable<Uint8Array>,
  compression: TarCompression,
  target: ArchiveTarget,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const failure: { refused?: Error } = {};
  const reading: Reading = { bytes: 0, entriesEnd: 0, tail: Buffer.alloc(0) };
  const parser = parserFor(target, failure, reading);
  const streams = [
    ...(compression === 'none'
      ? [source]
      : [() => inflated(source, compression, signal), headLook(compression)]),
    counter(limits, reading),
    parser,
  ] as const;
  try {
    // tar-stream's streams are Node's in all that a pipeline uses.
    await pipeline(streams as unknown as [NodeJS.ReadableStream, NodeJS.WritableStream], { signal });
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (failure.refused !== undefined) throw failure.refused;
    throw broken(error as NodeJS.ErrnoException);
  }
  checkEnd(reading);
}

/** What has been read of an archive. */
interface Reading {
  bytes: number;
  /** Where the last entry's content ends. */
  entriesEnd: number;
  /** The last block, or a part of it. */
  tail: Buffer;
}

/** Of which a tar file is made; its end is marked by blocks of zeros (pax(1), ustar). */
const block = 512;

/** One that was cut off between two entries looks whole but for the mark. @throws BrokenArchive */
function checkEnd({ bytes, entriesEnd, tail }: Reading): void {
  if (bytes - entriesEnd >= block && tail.length === block && tail.every((byte) => byte === 0)) return;
  throw new BrokenArchive('has no end-of-archive marker: it is truncated');
}

/**
 * An open file from a place on, which moves; it stays open. Not a ReadStream, which closes it when anything fails.
 * @param seen gets every byte as it is read
 */
export async function* chunksOf(
  descriptor: number,
  place: { at: number },
  seen: ((bytes: Uint8Array) => void) | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(chunk);
    const position = place.at;
    const reading = new Promise<number>((resolve, reject) => {
      read(descriptor, buffer, 0, chunk, position, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    });
    // A server of files that answers no more holds up the reading, not the end.
    const length = await unlessAborted(reading, signal);
    if (length === 0) return;
    place.at += length;
    const bytes = buffer.subarray(0, length);
    seen?.(bytes);
    yield bytes;
  }
}

/** Looks whether what was compressed is a tar file: nothing of it goes on before that is clear. */
function headLook(compression: TarCompression): Transform {
  let head: Buffer | undefined = Buffer.alloc(0);
  const why = (begin: Buffer): Error | undefined => {
    const type = typeOfHead(begin.subarray(0, block));
    if (type === 'tar') return undefined;
    const instead =
      typeof type === 'object'
        ? type.instead
        : type === 'zip'
          ? 'it is a zip file'
          : 'it is compressed once more';
    return new BrokenArchive(
      `is compressed by ${compression}, and what is in it is not a tar file: ${instead}; --decompress writes it as one file`,
      false,
    );
  };
  return new Transform({
    transform(data: Buffer, _encoding, callback: TransformCallback) {
      if (head === undefined) return callback(null, data);
      head = Buffer.concat([head, data]);
      if (head.length < block) return callback();
      const begin = head;
      head = undefined;
      const wrong = why(begin);
      if (wrong === undefined) callback(null, begin);
      else callback(wrong);
    },
    flush(callback: TransformCallback) {
      callback((head && why(head)) ?? null);
    },
  });
}

function counter({ bytes, entries }: ArchiveLimits, reading: Reading): Transform {
  const most = bytes + header * (entries + 1);
  return new Transform({
    transform(data: Buffer, _encoding, callback: TransformCallback) {
      reading.bytes += data.length;
      reading.tail =
        data.length >= block ? data.subarray(-block) : Buffer.concat([reading.tail, data]).subarray(-block);
      if (reading.bytes > most)
        callback(
          new BrokenArchive(
            `unpacks to more than ${formatBytes(bytes)} (--max-unpacked)`,
            false,
            '--max-unpacked raises the limit',
          ),
        );
      else callback(null, data);
    },
  });
}

const nothing = (): void => {};

function parserFor(target: ArchiveTarget, failure: { refused?: Error }, reading: Reading) {
  // Options that its types do not tell of: names stay the bytes that they are; headers from before POSIX have no mark.
  const options = { filenameEncoding: 'latin1', allowUnknownFormat: true };
  const parser = extract(options as Parameters<typeof extract>[0]);
  parser.on('entry', (found, stream, next) => {
    const refuse = (error: unknown): void => {
      failure.refused ??= error as Error;
      parser.destroy(failure.refused);
    };
    /** Goes on with `then` when the work is done, at once where it can be. */
    const guarded = (work: () => void | Promise<void>, then: () => void): void => {
      if (failure.refused !== undefined) return;
      try {
        const begun = work();
        if (begun === undefined) then();
        else begun.then(then).catch(refuse);
      } catch (error) {
        refuse(error);
      }
    };
    // Where its content begins, which the types do not tell of either.
    const { byteOffset } = found as Header & { readonly byteOffset: number };
    if (withoutContent.has(found.type)) expectNoContent(parser, found);
    reading.entriesEnd = byteOffset + Math.ceil((found.size ?? 0) / block) * block;
    let writing: Promise<void> | undefined;
    const take = (data: Uint8Array): void => {
      const begun = target.data(data);
      if (begun === undefined) return;
      stream.pause();
      writing = begun.then(() => void stream.resume());
      writing.catch(refuse);
    };
    guarded(
      () => target.begin(entryOf(found, globalOf(parser))),
      () => {
        stream.on('data', (data) => guarded(() => take(data as Uint8Array), nothing));
        stream.on('end', () =>
          guarded(() => (writing === undefined ? target.end() : writing.then(() => target.end())), next),
        );
      },
    );
    stream.on('error', () => {});
  });
  return parser;
}

/**
 * Entries that nothing follows, whatever size their headers tell: some tools write there how large a directory is, or the
 * file that a link leads to (POSIX.1-2024, pax, "ustar Interchange Format": types 1 to 6).
 */
const withoutContent: ReadonlySet<string> = new Set([
  'directory',
  'link',
  'symlink',
  'character-device',
  'block-device',
  'fifo',
]);

/**
 * Tells the parser so before it reads on. By itself it waits, for the content of a directory without end, and takes the
 * next entry's header for the content of a link. Its fields are not public; the tests fail where they are others.
 */
function expectNoContent(parser: object, found: Header): void {
  found.size = 0;
  Object.assign(parser, { _missing: 0, _stream: null });
}

const kinds: Readonly<Record<string, ArchiveEntry['kind']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'directory',
  symlink: 'link',
  link: 'hard link',
};

const words: Readonly<Record<string, string>> = {
  'character-device': 'a device',
  'block-device': 'a device',
  fifo: 'a FIFO',
};

/**
 * The extended header that holds for all entries that follow. The parser takes it to be of those alone that have one of
 * their own. Its field is not public; the tests fail where it is another.
 */
function globalOf(parser: object): Readonly<Record<string, string>> {
  return (parser as { readonly _paxGlobal?: Readonly<Record<string, string>> | null })._paxGlobal ?? {};
}

function entryOf(found: Header, global: Readonly<Record<string, string>>): ArchiveEntry {
  // Names in extended headers are UTF-8 by definition (pax(1)); others are whatever bytes they are.
  const pax = found.pax as Readonly<Record<string, string>> | null | undefined;
  const named = pax?.['GNU.sparse.name'] ?? pax?.['path'];
  const otherMeaning = meaningOfGlobal(global) ?? meaningOfPax({ ...global, ...pax });
  const kind = otherMeaning === undefined ? (kinds[found.type] ?? 'other') : 'other';
  const linkname = (found.linkname as string | null) ?? '';
  return {
    name: named === undefined ? found.name : utf8(named),
    kind,
    what: otherMeaning ?? words[found.type] ?? 'an entry of an unsupported type',
    size: kind === 'file' ? found.size : 0,
    mode: found.mode,
    time: found.mtime?.getTime() ?? 0,
    target: pax?.['linkpath'] === undefined ? linkname : utf8(linkname),
  };
}

/** One name or size for every entry is nothing that any tool writes. */
function meaningOfGlobal(global: Readonly<Record<string, string>>): string | undefined {
  return ['path', 'linkpath', 'size'].some((keyword) => Object.hasOwn(global, keyword))
    ? 'whose name or size is in an extended header for all entries'
    : undefined;
}

/**
 * Keywords by which the name or content of an entry are others than they seem: of GNU tar (its manual, "Storing Sparse
 * Files" and "Multi-Volume"), of star (star(5)), and the character set of pax(1).
 */
function meaningOfPax(pax: Readonly<Record<string, string>>): string | undefined {
  const has = (keyword: RegExp): boolean => Object.keys(pax).some((key) => keyword.test(key));
  if (has(/^GNU\.sparse\.|^SCHILY\.(realsize|offset)$/))
    return 'a sparse file; pack it without --sparse (GNU tar), or with --no-read-sparse (bsdtar)';
  if (has(/^GNU\.volume\./)) return 'part of a file that spans several archives';
  if (has(/^SCHILY\.filetype$/)) return 'an entry of an unsupported type';
  const charset = pax['hdrcharset'] ?? 'BINARY';
  // What is not UTF-8 was read as U+FFFD.
  const name = `${pax['path'] ?? ''}${pax['linkpath'] ?? ''}`;
  if ((charset !== 'BINARY' && charset !== 'ISO-IR 10646 2000 UTF-8') || name.includes('\uFFFD'))
    return 'whose name is not UTF-8 in its extended header';
  return undefined;
}

function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function broken(error: NodeJS.ErrnoException): Error {
  if (error instanceof BrokenArchive) return error;
  if (error instanceof NotDecompressed) return new BrokenArchive(error.message);
  const { code, message } = error;
  // As the parser says it.
  if (/unexpected end/i.test(message)) return new BrokenArchive('ends in the middle: it is truncated');
  if (code === undefined) return new BrokenArchive(`is not a valid tar file: a header is not valid`);
  return error;
}
