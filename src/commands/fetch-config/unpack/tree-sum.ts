import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, type Stats } from 'node:fs';

import { reasonOf } from '../../../core/clock.ts';
import type { Patience } from '../../../core/deadline.ts';
import { calls, type Calls, doAtOnce, doInTime, given, sideBySide, type Work } from '../../../fs/calls.ts';
import { codeAmong, type Directory } from '../../../fs/directory/directory.ts';
import { below, itself, rawOf, type RawName } from '../../../fs/directory/file-name.ts';
import { asDirectory } from '../../../fs/directory/open-directory.ts';
import { isOpenToOthers, isOwn } from '../../../fs/directory/safe-open.ts';
import { Lanes } from '../../../fs/lanes.ts';
import { Pace } from '../../../fs/pace.ts';
import { sumOf } from './download.ts';

/** Entries between two chances for a signal to be handled, and the most that are looked at side by side. */
const atOnce = 256;

/**
 * The sum over all that is under some names of a directory: type, mode, owner, and of files and links size and time, of
 * links what they lead to, of directories the sum of what is in them, and whether there is an access control list. Where somebody else may write to a file, or put
 * another into its place, he can make all of that right: so its content is in the sum too.
 * @throws the signal's reason, or the system's error
 */
export async function sumOfTree(
  directory: Directory,
  names: readonly string[],
  patience: Patience,
): Promise<string> {
  return new Summing(patience).entries(directory.fd, names.map(rawOf), false);
}

class Summing {
  readonly #patience: Patience;
  readonly #pace = new Pace();
  readonly #calls = new Lanes();
  readonly #directories = new Lanes();

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** @param open whether others may put something in the place of the entries */
  async entries(directory: number, names: readonly RawName[], open: boolean): Promise<string> {
    const hash = createHash('sha256');
    const sorted = names.toSorted();
    for (let at = 0; at < sorted.length; at += atOnce) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#patience.signal.aborted) throw reasonOf(this.#patience.signal);
      this.#patience.renew();
      const some = sorted.slice(at, at + atOnce);
      const looks = await this.#looksAt(directory, some);
      const entries = some.map((name, index) => {
        const { stat, hasAcl } = looks[index] as Look;
        return new Entry(name, stat, hasAcl);
      });
      await this.#directories.branch(
        entries.filter(({ stat }) => !stat.isFile() || open || isChangeable(stat)),
        async (entry) => {
          entry.inside = await this.#inside(directory, entry, open);
        },
      );
      for (const entry of entries) hash.update(entry.text());
    }
    return hash.digest('hex');
  }

  async #looksAt(directory: number, names: readonly RawName[]): Promise<Look[]> {
    if (!this.#pace.isSlow)
      return names.map((name) => this.#pace.time(() => doAtOnce(lookAt(calls, directory, name))));
    return Promise.all(names.map((name) => this.#beside((how) => lookAt(how, directory, name))));
  }

  /** @throws the signal's reason, once it is aborted */
  #beside<T>(work: (how: Calls) => Work<T>): Promise<T> {
    const { signal } = this.#patience;
    return this.#calls.run(() => {
      if (signal.aborted) throw reasonOf(signal);
      // To its end: what it opens is not to be lost.
      return doInTime(work(sideBySide));
    });
  }

  #do<T>(work: (how: Calls) => Work<T>): Promise<T> {
    if (this.#pace.isSlow) return this.#beside(work);
    return Promise.resolve(this.#pace.time(() => doAtOnce(work(calls))));
  }

  /** What of an entry its stat does not tell. */
  async #inside(directory: number, { name, stat }: Entry, open: boolean): Promise<string> {
    const path = below(directory, name);
    if (stat.isDirectory()) {
      const [child, names] = await this.#do((how) => listed(how, path));
      try {
        return await this.entries(child, names, open || isChangeable(stat));
      } finally {
        closeSync(child);
      }
    }
    if (stat.isSymbolicLink()) return (await this.#do((how) => given(how.readlink(path)))).toString('hex');
    return stat.isFile() ? this.#contentOf(path) : '';
  }

  async #contentOf(path: string | Buffer): Promise<string> {
    let descriptor: number;
    try {
      descriptor = await this.#do((how) => given(how.open(path, toRead)));
    } catch (error) {
      codeAmong(error, ['EACCES', 'EPERM']);
      return `unread ${Math.random()}`; // never the same: the tree is made anew
    }
    try {
      // Another may have come to stand there since it was looked at: a FIFO would give nothing, for ever.
      return fstatSync(descriptor).isFile() ? await sumOf(descriptor, this.#patience) : 'exchanged';
    } finally {
      closeSync(descriptor);
    }
  }
}

const toRead = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

class Entry {
  readonly name: RawName;
  readonly stat: Stats;
  /** Whether an access control list lets others have it: what was unpacked has none. */
  readonly acl: boolean;
  inside = '';

  constructor(name: RawName, stat: Stats, acl: boolean) {
    this.name = name;
    this.stat = stat;
    this.acl = acl;
  }

  text(): string {
    const { mode, uid, gid, size, mtimeMs } = this.stat;
    const own = this.stat.isDirectory() ? '' : ` ${size} ${mtimeMs}`;
    return `${Buffer.from(this.name, 'latin1').toString('hex')} ${mode} ${uid} ${gid}${own}${this.acl ? ' acl' : ''} ${this.inside};`;
  }
}

/** What is seen of an entry without opening it. */
interface Look {
  readonly stat: Stats;
  readonly hasAcl: boolean;
}

function* lookAt(how: Calls, directory: number, name: RawName): Work<Look> {
  const path = below(directory, name);
  const stat = yield* given(how.lstat(path));
  if (stat === undefined) throw Object.assign(new Error('ENOENT: it is gone'), { code: 'ENOENT' });
  return { stat, hasAcl: !stat.isSymbolicLink() && (yield* given(how.hasAcl(path))) };
}

/** A directory, opened, and what is in it. */
function* listed(how: Calls, path: string | Buffer): Work<[descriptor: number, names: RawName[]]> {
  const descriptor = yield* given(how.open(path, asDirectory));
  try {
    return [descriptor, yield* given(how.readdir(itself(descriptor)))];
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function isChangeable(stat: Stats): boolean {
  return !isOwn(stat) || isOpenToOthers(stat);
}
