import { closeSync } from 'node:fs';

import { sideBySide } from '../calls.ts';
import { below } from '../directory/file-name.ts';
import { asDirectory } from '../directory/open-directory.ts';
import type { Frame } from './frame.ts';
import type { MountGuard } from './refused-paths.ts';

/** The directories of a wide walk that are open, and the way back to those that are not. The top is always open. */
export class WideFrames {
  readonly #top: Frame;
  /** How many may be open at once, without the top; those in use are, whatever it is. */
  readonly #limit: number;
  readonly #guard: MountGuard | undefined;
  /** In the order in which they were opened, without the top. */
  readonly #held: Frame[] = [];
  /** The last of those that look for the way back: one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(top: Frame, limit: number, guard: MountGuard | undefined) {
    this.#top = top;
    this.#limit = limit;
    this.#guard = guard;
  }

  /** Counts an open directory; one too many closes another that is not in use. */
  hold(frame: Frame): void {
    this.#held.push(frame);
    while (this.#held.length > this.#limit) {
      const at = this.#held.findIndex((held) => held.pins === 0 && held !== frame);
      const unused = this.#held[at];
      if (unused === undefined) return;
      this.#held.splice(at, 1);
      closeSync(unused.descriptor);
      unused.descriptor = -1;
    }
  }

  /**
   * Keeps a directory open until it is let go, opened again where it was closed.
   * @throws where it is no longer there, or is another one
   */
  async pin(frame: Frame): Promise<void> {
    while (frame.descriptor < 0) await this.#inTurn(() => this.#reopen(frame));
    frame.pins++;
  }

  letGo(frame: Frame): void {
    frame.pins--;
  }

  /** Closes a directory that the walk is done with. */
  release(frame: Frame): void {
    if (frame === this.#top || frame.descriptor < 0) return;
    closeSync(frame.descriptor);
    frame.descriptor = -1;
    const at = this.#held.lastIndexOf(frame);
    if (at >= 0) this.#held.splice(at, 1);
  }

  /** Closes all of them. */
  close(): void {
    for (const { descriptor } of this.#held.splice(0)) closeSync(descriptor);
  }

  /**
   * Opens the directory above an open one, where that is the one we came from: it was entered through the top then, so
   * nobody has led us out. Any other is left closed.
   */
  async openAbove(frame: Frame): Promise<void> {
    const { parent } = frame;
    if (parent === undefined || parent.descriptor >= 0 || frame.descriptor < 0) return;
    await this.#inTurn(async () => {
      if (parent.descriptor >= 0) return;
      let descriptor: number | undefined;
      try {
        descriptor = await sideBySide.open(below(frame.descriptor, '..'), asDirectory);
        if (await this.#is(descriptor, parent)) {
          this.#opened(parent, descriptor);
          return;
        }
      } catch {
        // then it is opened from the top, or given up
      }
      if (descriptor !== undefined) closeSync(descriptor);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #opened(frame: Frame, descriptor: number): void {
    frame.descriptor = descriptor;
    this.hold(frame);
  }

  async #is(descriptor: number, frame: Frame): Promise<boolean> {
    const stat = await sideBySide.fstat(descriptor);
    return stat.ino === frame.ino && stat.dev === frame.dev && this.#guard?.holds(descriptor) !== false;
  }

  /** Opens it again from the nearest one above that is open, and as many of those above it as may be held. */
  async #reopen(frame: Frame): Promise<void> {
    const missing: Frame[] = [];
    let from = frame;
    while (from.descriptor < 0) {
      missing.push(from);
      from = from.parent as Frame;
    }
    if (missing.length === 0) return;
    const pinned = [from];
    from.pins++;
    let { descriptor } = from;
    let passing: number | undefined;
    try {
      for (let i = missing.length - 1; i >= 0; i--) {
        const step = missing[i] as Frame;
        const next = await sideBySide.open(below(descriptor, step.raw), asDirectory);
        if (passing !== undefined) closeSync(passing);
        passing = descriptor = next;
        if (!(await this.#is(next, step)))
          throw Object.assign(new Error('it was moved during the walk'), { code: 'ESTALE' });
        if (i >= this.#limit >> 1) continue;
        this.#opened(step, next);
        passing = undefined;
        step.pins++;
        pinned.push(step);
      }
    } finally {
      if (passing !== undefined) closeSync(passing);
      for (const each of pinned) each.pins--;
    }
  }
}
