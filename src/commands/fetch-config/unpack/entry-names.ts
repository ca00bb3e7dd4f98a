import { type RawName, shownName } from '../../../fs/directory/file-name.ts';

/** An entry, or an archive, that is not unpacked. The message follows the archive's name. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** What to do, where that is not the same for all that is refused. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** A name in an archive, for people. */
export function quotedEntry(name: RawName): string {
  return JSON.stringify(shownName(name));
}

/** The most bytes of one component (NAME_MAX of Linux's file systems), and of a whole path or of what a link leads to (PATH_MAX). */
const longestName = 255;
const longestPath = 4095;

/** The most components of a path: each that is made goes through all above it, so that thousands take minutes. */
const deepest = 512;

/**
 * Where an entry goes, as components below the target; none for the target itself or what --strip-components takes.
 * @throws Refused where it would leave the target, whatever is stripped
 */
export function entryPathOf(name: RawName, strip: number): readonly RawName[] {
  const refuse = (why: string): never => {
    throw new Refused(`has the entry ${quotedEntry(name)}, which ${why}`);
  };
  if (name === '') refuse('has no name');
  if (name.includes('\0')) refuse('has a NUL in its name');
  if (name.startsWith('/')) refuse('is an absolute path');
  if (name.length > longestPath) refuse(`has a name longer than ${longestPath} bytes`);
  const parts = name.split('/').filter((part) => part !== '');
  for (const part of parts) {
    if (part === '..') refuse('leaves the target by ".."');
    if (part.length > longestName) refuse(`has a name longer than ${longestName} bytes`);
  }
  if (parts.length > deepest) refuse(`lies in more than ${deepest} folders`);
  // A leading `./` counts as a component, as with GNU tar and bsdtar.
  const left = parts.slice(strip).filter((part) => part !== '.');
  if (left[0]?.startsWith('..')) refuse('begins with "..", as only the volume\'s own names do');
  return left;
}

/**
 * Checks what a symbolic link leads to. Steps up come first and stay below the target; then it leads only down. The
 * directories above the link are none but real ones, so that links, also in chains, cannot lead out.
 * @param depth directories above the link, below the target
 * @throws Refused
 */
export function checkLink(name: RawName, target: RawName, depth: number): void {
  const refuse = (why: string): never => {
    throw new Refused(`has the link ${quotedEntry(name)} to ${quotedEntry(target)}, which ${why}`);
  };
  if (target.length > longestPath)
    throw new Refused(`has the link ${quotedEntry(name)}, whose target is longer than ${longestPath} bytes`);
  if (target === '') refuse('leads nowhere');
  if (target.includes('\0')) refuse('has a NUL in it');
  if (target.startsWith('/')) refuse('is an absolute path: it would lead out of the target');
  let up = 0;
  let down = false;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') down = true;
    else if (down) refuse('goes down and then up again: through another link it could lead out');
    else if (++up > depth) refuse('leads out of the target');
  }
}

/** Finds names that are one where a file system does not tell capitals from small letters, in little memory. */
export class FoldedNames {
  /** The hash of the name as it is, by the hash of the folded one. */
  readonly #seen = new Map<number, number>();

  /** Whether another name, which differs in letters alone, was there before. */
  collides(path: RawName): boolean {
    const exact = hash(path);
    const folded = hash(shownName(path).normalize('NFC').toLowerCase());
    const before = this.#seen.get(folded);
    if (before === undefined) {
      this.#seen.set(folded, exact);
      return false;
    }
    return before !== exact;
  }
}

/** 53 bits of two 32-bit FNV-1a-like hashes: among 200,000 names, one pair in a million runs is taken for another. */
function hash(text: string): number {
  let one = 0x811c9dc5;
  let other = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    one = Math.imul(one ^ unit, 0x01000193);
    other = Math.imul(other ^ unit, 0x85ebca6b);
    other ^= other >>> 13;
  }
  return (one >>> 0) * 2 ** 21 + (other >>> 11);
}
