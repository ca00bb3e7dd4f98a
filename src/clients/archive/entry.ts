import type { RawName } from '../../fs/directory/file-name.ts';

/** One entry of an archive, as it says of itself. */
export interface ArchiveEntry {
  /** As raw bytes. */
  readonly name: RawName;
  readonly kind: 'file' | 'directory' | 'link' | 'hard link' | 'other';
  /** What it is, in words, where its kind is `other`. */
  readonly what?: string;
  /** Of the content, in bytes. */
  readonly size: number;
  /** Permission bits; undefined where the archive keeps none. */
  readonly mode: number | undefined;
  /** In milliseconds since 1970. */
  readonly time: number;
  /** What a link leads to. */
  readonly target?: RawName;
}

/**
 * Takes the entries of an archive, one after the other. What its calls throw, or reject with, ends the reading; where one
 * returns a promise, nothing more is read until that is fulfilled.
 */
export interface ArchiveTarget {
  begin(entry: ArchiveEntry): void | Promise<void>;
  data(chunk: Uint8Array): void | Promise<void>;
  end(): void | Promise<void>;
}

/** Bounds that hold while an archive is read, whatever it says of itself. */
export interface ArchiveLimits {
  /** Bytes of all content together. */
  readonly bytes: number;
  readonly entries: number;
}

/** An archive that is not whole, or not what it says it is. The message follows the archive's name. */
export class BrokenArchive extends Error {
  override readonly name = 'BrokenArchive';
  /** Whether it may have been whole before it came here. */
  readonly damaged: boolean;
  /** What to do, where that is not the same for all that is refused. */
  readonly hint: string | undefined;

  constructor(message: string, damaged = true, hint?: string) {
    super(message);
    this.damaged = damaged;
    this.hint = hint;
  }
}
