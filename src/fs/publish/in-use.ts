import { closeSync, constants, futimes, openSync } from 'node:fs';

import type { Clock } from '../../core/clock.ts';
import { itself } from '../directory/file-name.ts';

/**
 * What another pod's run may still be working on stays for so long after its last change or mark, in milliseconds. Only
 * age tells: neither a process nor a lock of another node can be seen from here on every volume.
 */
export const otherPodsTime = 2 * 60 * 60_000;

/** Between two marks, in milliseconds. */
const markingTime = 5 * 60_000;

/**
 * Gives what a run prepares the time of now again and again, as long as the run lives: a large tree fills for hours, and
 * the time of its first directory stays that of its beginning. Other pods' runs would take it for abandoned.
 * @param descriptor of the file or directory that others judge by its age; this keeps one of its own
 */
export function markInUse(descriptor: number, clock: Pick<Clock, 'after' | 'date'>): Disposable {
  const own = openSync(itself(descriptor), constants.O_RDONLY | constants.O_NONBLOCK);
  let [cancel, marking, ended] = [(): void => {}, false, false];
  const mark = (): void => {
    marking = true;
    const now = clock.date();
    // Where it fails the age tells more than there is to tell: the same as without a mark.
    futimes(own, now, now, () => {
      marking = false;
      if (ended) closeSync(own);
      else cancel = clock.after(markingTime, mark);
    });
  };
  cancel = clock.after(markingTime, mark);
  return {
    [Symbol.dispose]() {
      if (ended) return;
      ended = true;
      cancel();
      if (!marking) closeSync(own);
    },
  };
}

/**
 * Whether a run in another pod must be over: it has marked nothing for so long.
 * @param now the wall clock, in milliseconds
 */
export function isAbandoned(stat: { readonly mtimeMs: number | bigint }, now: number): boolean {
  return now - Number(stat.mtimeMs) >= otherPodsTime;
}
