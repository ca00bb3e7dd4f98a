import { createHash, randomBytes } from 'node:crypto';

/**
 * By which those who wait know that the work is written down as done, without asking the server: any role may send a
 * notification on the lock's channel, but of the word behind the seal, which stands in the record while the work runs,
 * only its holder knows until it tells it with the release.
 */
export interface Seal {
  /** Hexadecimal digits, told once the record says done. */
  readonly word: string;
  /** SHA-256 of the word, in hexadecimal. */
  readonly seal: string;
}

export function newSeal(): Seal {
  const word = randomBytes(16).toString('hex');
  return { word, seal: sealOf(word) };
}

/** Whether a word is the one behind a seal. */
export function opens(word: string, seal: string): boolean {
  return word !== '' && sealOf(word) === seal;
}

function sealOf(word: string): string {
  return createHash('sha256').update(word).digest('hex');
}
