import { isAscii, isUtf8 } from 'node:buffer';
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
    throw new BrokenArchive(
      `has ${zip.entryCount} entries, more than ${limits.entries} (--max-entries)`,
      false,
      '--max-entries raises the limit',
    );
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
  if (entry.isEncrypted())
    throw new BrokenArchive(`has the encrypted entry ${JSON.stringify(found.name)}`, false);
  if (found.kind === 'link') {
    if (entry.uncompressedSize > longestTarget)
      throw new BrokenArchive(`has a link whose target is longer than ${longestTarget} bytes`, false);
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

/** Systems of "version made by" (APPNOTE.TXT 4.4.2) on which a path has backslashes and a name the letters of DOS. */
const fat = 0;
const ntfs = 10;
/** Those whose modes are Unix's. */
const unixes: ReadonlySet<number> = new Set([3, 19]);

/** Names are UTF-8 (4.4.4). */
const utf8Flag = 1 << 11;

/** The name in UTF-8 beside one that is not (Info-ZIP; APPNOTE.TXT 4.6.9). */
const unicodePath = 0x7075;

/** Code page 437 from 0x80 on, the letters of DOS (APPNOTE.TXT, appendix D). */
const dosLetters =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** A name as the bytes that it gets, one character each. */
function nameOf(entry: Entry): string {
  const raw = entry.fileName as unknown as Buffer;
  const name = otherName(entry, raw) ?? raw.toString('latin1');
  const system = entry.versionMadeBy >> 8;
  // What Windows packs may have backslashes alone, as Info-ZIP and libarchive take it too (SharpZipLib#617).
  return (system === fat || system === ntfs) && !name.includes('/') ? name.replaceAll('\\', '/') : name;
}

/** The name in UTF-8, where the archive has it there, or in the letters of DOS. */
function otherName(entry: Entry, raw: Buffer): string | undefined {
  if ((entry.generalPurposeBitFlag & utf8Flag) !== 0 || isAscii(raw)) return undefined;
  const field = entry.extraFields.find(({ id }) => id === unicodePath)?.data;
  // Of a name that was changed since, the sum is another.
  if (field !== undefined && field.length > 5 && field[0] === 1 && field.readUInt32LE(1) === crc32(raw))
    return field.subarray(5).toString('latin1');
  const system = entry.versionMadeBy >> 8;
  if ((system !== fat && system !== ntfs) || isUtf8(raw)) return undefined;
  const letters = [...raw].map((byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : (dosLetters[byte - 0x80] ?? ''),
  );
  return Buffer.from(letters.join('')).toString('latin1');
}

function entryOf(entry: Entry): ArchiveEntry {
  const name = nameOf(entry);
  const unix = unixes.has(entry.versionMadeBy >> 8) ? entry.externalFileAttributes >>> 16 : 0;
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
