import { closeSync, fstatSync } from 'node:fs';

import type { Host } from '../../core/host.ts';
import { itself } from '../directory/file-name.ts';
import { openDirectory } from '../directory/open-directory.ts';
import type { Frame } from './frame.ts';
import type { MountGuard } from './refused-paths.ts';

/** The directories of a walk that are open, and the way back to those that are not. The top is always open. */
export class OpenFrames {
  readonly #top: Frame;
  /** How many may be open at once, without the top; the shallowest is closed for one more. */
  readonly #limit: number;
  readonly #guard: MountGuard | undefined;
  readonly #host: Pick<Host, 'chdir'>;
  /** Shallowest first, without the top. */
  readonly #held: Frame[] = [];

  constructor(top: Frame, limit: number, guard: MountGuard | undefined, host: Pick<Host, 'chdir'>) {
    this.#top = top;
    this.#limit = limit;
    this.#guard = guard;
    this.#host = host;
  }

  /** Counts an open directory; one too many closes the shallowest. */
  hold(frame: Frame): void {
    this.#held.push(frame);
    if (this.#held.length <= this.#limit) return;
    const shallowest = this.#held.shift() as Frame;
    closeSync(shallowest.descriptor);
    shallowest.descriptor = -1;
  }

  /** Closes a directory that the walk is done with. */
  release(frame: Frame): void {
    frame.closeStream();
    if (frame === this.#top || frame.descriptor < 0) return;
    closeSync(frame.descriptor);
    frame.descriptor = -1;
    const at = this.#held.lastIndexOf(frame);
    if (at >= 0) this.#held.splice(at, 1);
  }

  /**
   * Makes a directory the current one, opened again where it was closed.
   * @throws where it is no longer there, or is another one
   */
  goTo(frame: Frame): void {
    if (frame.descriptor < 0) this.#reopen(frame);
    this.#host.chdir(itself(frame.descriptor));
  }

  /**
   * Opens a directory again from the nearest one above that is open, and as many of those above it as may be held.
   * @throws where it is no longer there, or is another one
   */
  #reopen(frame: Frame): void {
    const missing: Frame[] = [];
    let from = frame;
    while (from.descriptor < 0) {
      missing.push(from);
      from = from.parent as Frame;
    }
    let { descriptor } = from;
    for (let i = missing.length - 1; i >= 0; i--) {
      const step = missing[i] as Frame;
      let next: number;
      try {
        next = openDirectory(step.raw, descriptor);
      } finally {
        if (i < missing.length - 1 && (missing[i + 1] as Frame).descriptor < 0) closeSync(descriptor);
      }
      descriptor = next;
      const stat = fstatSync(next);
      if (stat.ino !== step.ino || stat.dev !== step.dev || this.#guard?.holds(next) === false) {
        closeSync(next);
        throw Object.assign(new Error('it was moved during the walk'), { code: 'ESTALE' });
      }
      if (i < this.#limit >> 1) {
        step.descriptor = next;
        this.#held.push(step);
      }
    }
  }

  /**
   * Opens the directory above the current one, where that is the one we came from: it was entered through the top then,
   * so nobody has led us out. Any other is left closed.
   */
  openAbove(parent: Frame): void {
    try {
      const descriptor = this.#guard === undefined ? openDirectory('..') : this.#guard.directory('..');
      if (descriptor === undefined) return;
      const stat = fstatSync(descriptor);
      if (stat.ino === parent.ino && stat.dev === parent.dev) {
        parent.descriptor = descriptor;
        this.hold(parent);
      } else closeSync(descriptor);
    } catch {
      // then it is opened from the top, or given up
    }
  }
}
