import { crc32 } from 'node:zlib';

import { fromFd, type Entry, type ZipFile } from 'yauzl';

import { reasonOf, unlessAborted } from '../../core/clock.ts';
import { type ArchiveEntry, type ArchiveLimits, type ArchiveTarget, BrokenArchive } from './entry.ts';

/** Types of a Unix mode in the upper half of the external attributes (APPNOTE.TXT 4.4.15, Info-ZIP). */
const typeBits = 0o170000;
const linkType = 0o120000;
const directoryType = 0o040000;
const fileType = 0o100000;

/** A link's target is a path. */
const longestTarget = 4096;

/**
 * Reads a zip file from an open descriptor, which stays open.
 * @throws BrokenArchive, the signal's reason, or what the target threw
 */
export async function readZip(
  descriptor: number,
  target: ArchiveTarget,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const opening = new Promise<ZipFile>((resolve, reject) => {
    fromFd(
      descriptor,
      { lazyEntries: true, decodeStrings: false, validateEntrySizes: true, autoClose: false },
      (error, opened) => (error ? reject(broken(error)) : resolve(opened)),
    );
  });
  const zip = await unlessAborted(opening, signal);
  if (zip.entryCount > limits.entries)
    throw new BrokenArchive(`has ${zip.entryCount} entries, more than ${limits.entries} (--max-entries)`);
  const reading = new Promise<void>((resolve, reject) => {
    zip.on('error', (error: Error) => reject(broken(error)));
    zip.on('end', resolve);
    zip.on('entry', (entry: Entry) => {
      one(zip, entry, target, signal).then(() => zip.readEntry(), reject);
    });
    zip.readEntry();
  });
  await unlessAborted(reading, signal);
}

async function one(zip: ZipFile, entry: Entry, target: ArchiveTarget, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw reasonOf(signal);
  const found = entryOf(entry);
  if (entry.isEncrypted()) throw new BrokenArchive(`has the encrypted entry ${JSON.stringify(found.name)}`);
  if (found.kind === 'link') {
    if (entry.uncompressedSize > longestTarget)
      throw new BrokenArchive(`has a link whose target is longer than ${longestTarget} bytes`);
    const parts: Uint8Array[] = [];
    await content(zip, entry, (data) => void parts.push(data), signal);
    await target.begin({ ...found, target: Buffer.concat(parts).toString('latin1') });
  } else {
    await target.begin(found);
    if (found.kind === 'file') await content(zip, entry, (data) => target.data(data), signal);
  }
  await target.end();
}

/** The unpacked bytes, checked against the size and the CRC that the archive gives. */
function content(
  zip: ZipFile,
  entry: Entry,
  take: (data: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => {
      if (error) return reject(broken(error));
      let sum = 0;
      let writing: Promise<void> | undefined;
      const refuse = (refused: unknown): void => {
        stream.destroy();
        reject(refused);
      };
      stream.on('data', (data: Buffer) => {
        sum = crc32(data, sum);
        try {
          if (signal.aborted) throw reasonOf(signal);
          const begun = take(data);
          if (begun === undefined) return;
          stream.pause();
          writing = begun.then(() => void stream.resume());
          writing.catch(refuse);
        } catch (refused) {
          refuse(refused);
        }
      });
      stream.on('error', (failure: Error) => reject(broken(failure)));
      // After its end or an error this says nothing new.
      stream.on('close', () => reject(new BrokenArchive(endedEarly(entry))));
      stream.on('end', () => {
        if (sum === entry.crc32) resolve(writing);
        else reject(new BrokenArchive(`is damaged: the CRC of ${JSON.stringify(nameOf(entry))} is wrong`));
      });
    });
  });
}

function endedEarly(entry: Entry): string {
  return `is damaged: the content of ${JSON.stringify(nameOf(entry))} ends early`;
}

function nameOf(entry: Entry): string {
  return (entry.fileName as unknown as Buffer).toString('latin1');
}

function entryOf(entry: Entry): ArchiveEntry {
  const name = nameOf(entry);
  const unix = entry.versionMadeBy >> 8 === 3 ? entry.externalFileAttributes >>> 16 : 0;
  const type = unix & typeBits;
  const directory = name.endsWith('/') || type === directoryType;
  const kind =
    type === linkType ? 'link' : directory ? 'directory' : type === 0 || type === fileType ? 'file' : 'other';
  return {
    name,
    kind,
    what: 'a device or FIFO',
    size: kind === 'file' ? entry.uncompressedSize : 0,
    mode: unix === 0 ? undefined : unix & 0o7777,
    time: entry.getLastModDate().getTime(),
  };
}

/** By what the reader's sentence is about: it gives no codes, and quotes bytes and names. */
const faults: readonly (readonly [about: RegExp, words: string])[] = [
  [
    /End of central directory record signature/,
    'it has no central directory: it is truncated, or not a zip file',
  ],
  [/comment length/, 'there are bytes after its end'],
  [/multi-disk/, 'it is one part of several'],
  [/encrypt/, 'it is encrypted'],
  [/compression method/, 'an entry uses a compression method other than deflate'],
  [/size|bytes|overflows|EOF/, 'an entry’s size differs from the one in the directory'],
  [/path|fileName|file name|characters/, 'an entry has a name that is not accepted'],
];

function broken(error: Error): Error {
  if (error instanceof BrokenArchive) return error;
  const [, words = 'it is damaged'] = faults.find(([about]) => about.test(error.message)) ?? [];
  return new BrokenArchive(`is not a valid zip file (${words})`);
}
