import { type Entries, FormatError, plainBytes, quotedKey } from './entries.ts';

/** The longest name that Linux file systems take, in bytes (NAME_MAX). */
const longestName = 255;

/** One file a key, named as the key is, with the value's bytes and nothing added. */
export function formatFiles(entries: Entries): ReadonlyMap<string, Uint8Array> {
  return new Map(
    [...entries].map(([key, value]) => {
      checkFileName(key);
      return [key, plainBytes(key, value, 'a file of its own')];
    }),
  );
}

/** @throws FormatError where a key cannot name a file beside the others */
export function checkFileName(key: string): void {
  const refuse = (why: string): never => {
    throw new FormatError(`${quotedKey(key)} cannot name a file: ${why}; a spec can rename it`);
  };
  if (key === '') refuse('it is empty');
  if (key.includes('/')) refuse('it has a / in it');
  if (key.startsWith('..')) refuse('names that start with .. are kept for the volume itself');
  if (key === '.') refuse('it is the folder itself');
  // oxlint-disable-next-line no-control-regex -- they are what may not stand there
  if (/[\u0000-\u001f\u007f]/.test(key)) refuse('it has a control character in it');
  if (!key.isWellFormed()) refuse('it is not text');
  if (Buffer.byteLength(key) > longestName) refuse(`it is longer than ${longestName} bytes`);
}
