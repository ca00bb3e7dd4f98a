import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  write,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { promisify } from 'node:util';

import { type Clock, reasonOf } from '../../core/clock.ts';
import { sideBySide } from '../calls.ts';
import { contactVolumes } from '../contact.ts';
import type { Directory } from '../directory/directory.ts';
import { itself } from '../directory/file-name.ts';
import { O_PATH } from '../directory/open-directory.ts';
import { isOwn } from '../directory/safe-open.ts';
import { explained } from '../error-message.ts';
import { dropInheritedAcl, hasAcl } from '../inherited-acl.ts';
import { checkPlace, type PublishContext, requireWritten } from './atomic-file.ts';
import type { FileOwner } from './attributes.ts';
import { createNamer } from './file-names.ts';
import { markInUse } from './in-use.ts';
import { removeLeftovers } from './leftovers.ts';
import { type Intent, openForWriting } from './open-target.ts';
import { takeTurn } from './publish-lock.ts';
import type { Published, Staged } from './published.ts';
import { clearAway } from './remove.ts';
import { fileIdentity } from './write.ts';

/** Bytes that are written at once. */
const blockSize = 1 << 20;

/** Blocks that are being written while the next is filled. */
const mostWaiting = 2;

/**
 * A file that comes piece by piece and may be larger than memory: it grows beside its place, and is renamed there when it
 * is whole. Whoever stops in between leaves nothing; what a killed run left, the next one in that folder removes.
 */
export class GrowingFile implements AsyncDisposable {
  readonly #path: string;
  readonly #directory: Directory;
  readonly #resources: DisposableStack;
  readonly #temporary: string;
  readonly #signal: AbortSignal;
  #descriptor: number;
  /** Whose bytes are written; they are used again. */
  readonly #free: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;
  #size = 0;
  /** Blocks that are being written. */
  #waiting = 0;
  #writing: Promise<void> = Promise.resolve();
  #room: PromiseWithResolvers<void> | undefined;
  #open = true;
  #renamed = false;

  private constructor(
    path: string,
    directory: Directory,
    temporary: string,
    signal: AbortSignal,
    resources: DisposableStack,
    clock: Clock,
  ) {
    this.#path = path;
    this.#directory = directory;
    this.#temporary = temporary;
    this.#signal = signal;
    this.#resources = resources;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    this.#descriptor = openSync(directory.at(temporary), flags, 0o600);
    try {
      dropInheritedAcl(this.#descriptor, path);
      resources.use(markInUse(this.#descriptor, clock));
    } catch (error) {
      closeSync(this.#descriptor);
      clearAway(directory, temporary);
      throw error;
    }
  }

  /** @throws Failure with the reason in words, or the signal's reason */
  static async begin(path: string, intent: Intent, context: PublishContext): Promise<GrowingFile> {
    const { signal, clock } = context;
    const whole = resolve(path);
    const namer = createNamer(context.random, () => clock.date());
    await contactVolumes([whole], context);
    using stack = new DisposableStack();
    try {
      const directory = stack.use(openForWriting(dirname(whole), whole, intent));
      checkPlace(directory, basename(whole), whole);
      const turn = stack.use(await takeTurn(directory.identity(), context));
      await removeLeftovers(directory, { namer, alone: turn.alone, now: clock.date().getTime() });
      return new GrowingFile(whole, directory, namer.temporary(), signal, stack.move(), clock);
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      throw explained(error, whole);
    }
  }

  /** Forgets what was written. */
  restart(): void {
    this.#filled = 0;
    this.#size = 0;
    this.#writing = this.#writing.then(() => ftruncateSync(this.#descriptor, 0));
    this.#writing.catch(() => {});
  }

  /**
   * Adds bytes, which are copied.
   * @returns undefined where more may follow at once, otherwise done when it may
   * @throws Failure, where it returns a promise by that
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    for (let at = 0; at < bytes.length;) {
      this.#block ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(blockSize);
      const piece = bytes.subarray(at, at + blockSize - this.#filled);
      this.#block.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === blockSize) this.#flush();
    }
    return this.#waiting <= mostWaiting ? undefined : this.#untilRoom();
  }

  /** Blocks are written in their order, while the next is filled. */
  #flush(): void {
    const [block, length, place] = [this.#block, this.#filled, this.#size];
    this.#block = undefined;
    this.#filled = 0;
    if (block === undefined || length === 0) return;
    this.#size += length;
    this.#waiting++;
    this.#writing = this.#writing
      .then(() => writeAt(this.#descriptor, block.subarray(0, length), place))
      .then(() => {
        this.#waiting--;
        this.#free.push(block);
        if (this.#waiting <= mostWaiting) this.#makeRoom();
      });
    this.#writing.catch(() => this.#makeRoom());
  }

  async #untilRoom(): Promise<void> {
    await (this.#room ??= Promise.withResolvers()).promise;
    // What failed leaves no room.
    if (this.#waiting <= mostWaiting) return;
    try {
      await this.#writing;
    } catch (error) {
      throw explained(error, this.#path, { directory: this.#directory });
    }
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /**
   * It is whole. Where its place holds the same already, with this mode and owner, that stays.
   * @throws Failure, or the signal's reason
   */
  async stage(mode: number, owner: FileOwner | undefined): Promise<Staged> {
    try {
      this.#flush();
      await this.#writing;
      const same = await this.#isThere(mode, owner);
      if (!same) {
        fchmodSync(this.#descriptor, mode);
        // The mode first: once the file is another's, only CAP_FOWNER could change it.
        if (owner !== undefined) fchownSync(this.#descriptor, owner.uid, owner.gid);
      }
      const discard = (): Promise<void> => this[Symbol.asyncDispose]();
      if (!same) return { commit: async () => this.#commit(owner), discard };
      return {
        commit: async () => ({ written: 0, unchanged: 1, removed: 0, bytes: 0, warnings: [] }),
        discard,
      };
    } catch (error) {
      if (this.#signal.aborted) throw reasonOf(this.#signal);
      throw explained(error, this.#path, { directory: this.#directory });
    }
  }

  #commit(owner: FileOwner | undefined): Published {
    const [directory, name] = [this.#directory, basename(this.#path)];
    try {
      const written = fileIdentity(fstatSync(this.#descriptor, { bigint: true }));
      requireWritten(directory, this.#temporary, this.#path, written, owner);
      this.#endWriting();
      renameSync(directory.at(this.#temporary), directory.at(name));
      this.#renamed = true;
      requireWritten(directory, name, this.#path, written, owner);
    } catch (error) {
      throw explained(error, this.#path, { directory });
    }
    return { written: 1, unchanged: 0, removed: 0, bytes: this.#size, warnings: [] };
  }

  /**
   * Before it has its name: the kernel runs no file that is open for writing (ETXTBSY, execve(2)). What holds it from now
   * on can do no more than tell what it is, so that its number goes to no other file.
   */
  #endWriting(): void {
    const held = openSync(itself(this.#descriptor), O_PATH);
    closeSync(this.#descriptor);
    this.#descriptor = held;
  }

  /** Whether its place holds the very same. What cannot be told is replaced, or the replacing says why not. */
  async #isThere(mode: number, owner: FileOwner | undefined): Promise<boolean> {
    let other: number;
    try {
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      other = openSync(this.#directory.at(basename(this.#path)), flags);
    } catch {
      return false;
    }
    try {
      const stat = fstatSync(other);
      if (!stat.isFile() || stat.size !== this.#size || (stat.mode & 0o7777) !== mode) return false;
      if (owner === undefined ? !isOwn(stat) : stat.uid !== owner.uid || stat.gid !== owner.gid) return false;
      return (await this.#holdsSame(other)) && !hasAcl(other);
    } finally {
      closeSync(other);
    }
  }

  async #holdsSame(other: number): Promise<boolean> {
    const [one, two] = [Buffer.allocUnsafeSlow(blockSize), Buffer.allocUnsafeSlow(blockSize)];
    for (let at = 0; at < this.#size;) {
      if (this.#signal.aborted) throw reasonOf(this.#signal);
      const length = await sideBySide.read(this.#descriptor, one, 0, blockSize, at);
      const there = await sideBySide.read(other, two, 0, blockSize, at);
      if (length === 0 || there !== length || !one.subarray(0, length).equals(two.subarray(0, length)))
        return false;
      at += length;
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    using _ = this.#resources;
    // Another file would get its descriptor's number, and the bytes.
    await this.#writing.catch(() => {});
    closeSync(this.#descriptor);
    if (!this.#renamed) clearAway(this.#directory, this.#temporary);
  }
}

async function writeAt(descriptor: number, bytes: Uint8Array, place: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await writeSome(descriptor, bytes, at, bytes.length - at, place + at)).bytesWritten;
}

const writeSome = promisify(write);
