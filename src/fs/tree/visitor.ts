import type { Stats } from 'node:fs';

import type { RawName } from '../directory/file-name.ts';

/** What is done with each entry. Every call is made while the current directory is the one that holds the entry. */
export interface Visitor {
  /**
   * An entry that is not a directory. `name` is what a system call takes, relative to the current directory.
   * What it throws is handed to `failed`, and the walk goes on; ENOENT counts as vanished.
   */
  entry(name: string | Buffer, stat: Stats, where: Where, raw: RawName): void;
  /**
   * The same for an entry that is held open (O_PATH), since a mount may come to stand at its name: it may be another than
   * the one that was listed, and also a directory, which is to be left alone. Without this, `entry` is called.
   */
  opened?(descriptor: number): void;
  /** A directory below the top, before anything in it; where this throws, it is not entered and `failed` is told. */
  enter?(stat: Stats, raw: RawName): void;
  /** A directory below the top, after all that is in it; it is the current directory, `.`. */
  leave(stat: Stats, where: Where): void;
  failed(path: string, action: string, error: NodeJS.ErrnoException): void;
  /** Was listed, and was gone when it was looked at. */
  vanished(): void;
  /** What `exclude` names in a directory. */
  excluded(where: Where): void;
  /** A mount, or another file system, that was not entered. */
  crossed(path: string): void;
}

/** A directory's place in the tree, for messages: made into text only when one is needed. */
export interface Where {
  /** The path of an entry relative to the top, as raw bytes; without one, the directory's own. */
  relative(raw?: RawName): RawName;
  /** Whether root alone could give its names to other entries when it was opened. */
  readonly ofRootAlone: boolean;
}
