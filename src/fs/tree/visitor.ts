import type { Stats } from 'node:fs';

import type { Calls, Work } from '../calls.ts';
import type { RawName } from '../directory/file-name.ts';

/**
 * What is done with each entry. It is called in one of two ways, and a walk may turn from the first to the second:
 *
 * - narrow: one call after the other, each made at once, while the current directory is the one that holds the entry;
 * - wide: many entries are under way at a time, of several directories. The current directory has nothing to do with it.
 *
 * What is returned is done to its end, in either way. Its calls are those of `where.calls`, and paths are those given, or
 * `where.path`: then it does the same in both. What a visitor keeps from one call to the next must bear that others
 * come in between. What is thrown is handed to `failed`, and the walk goes on; ENOENT counts as vanished.
 */
export interface Visitor {
  /** An entry that is not a directory. `name` is what a system call takes: `where.path(raw)`. */
  entry(name: string | Buffer, stat: Stats, where: Where, raw: RawName): void | Work<void>;
  /**
   * The same for an entry that is held open (O_PATH), since a mount may come to stand at its name: it may be another than
   * the one that was listed, and also a directory, which is to be left alone. Without this, `entry` is called.
   */
  opened?(descriptor: number, where: Where): void | Work<void>;
  /**
   * A directory below the top, before anything in it; where this throws, it is not entered and `failed` is told.
   * `where` is the directory that holds it.
   */
  enter?(stat: Stats, raw: RawName, where: Where): void | Work<void>;
  /** A directory below the top, after all that is in it; `where.path()` leads to it. */
  leave(stat: Stats, where: Where): void | Work<void>;
  /**
   * A directory below the top that was left, before it is closed. `where` is the directory that holds it, and `name`
   * what a system call takes for the name at which it was found; undefined where the way back leads elsewhere.
   */
  closing?(stat: Stats, name: string | Buffer | undefined, where: Where): void | Work<void>;
  failed(path: string, action: string, error: NodeJS.ErrnoException): void;
  /** Was listed, and was gone when it was looked at; `what` it was, as far as that is known. */
  vanished(what: Vanished): void;
  /** What `exclude` names in a directory. */
  excluded(where: Where): void;
  /** A mount, or another file system, that was not entered. */
  crossed(path: string): void;
}

/** What an entry was that vanished: known once it was looked at. */
export type Vanished = 'directory' | 'other' | 'unknown';

/** A directory's place in the tree. */
export interface Where {
  /** Which directory it is (fstat(2)). */
  readonly dev: number;
  readonly ino: number;
  /** The path of an entry relative to the top, as raw bytes; without one, the directory's own. For messages. */
  relative(raw?: RawName): RawName;
  /**
   * What a system call takes for an entry of the directory, without one for the directory itself; it leads nowhere else,
   * whatever becomes of the names above. Good until the work that asked for it is done.
   */
  path(raw?: RawName): string | Buffer;
  /** How calls are made here and now: at once, or side by side with others. To be asked for at each piece of work. */
  readonly calls: Calls;
  /** Whether root alone could give its names to other entries when it was opened. */
  readonly ofRootAlone: boolean;
}

/**
 * What vanished where something was done to it.
 * @param raw the entry; undefined where it was done to a directory itself
 */
export function whatVanished(action: string, raw: RawName | undefined): Vanished {
  return raw !== undefined && action === 'change' ? 'other' : 'directory';
}
