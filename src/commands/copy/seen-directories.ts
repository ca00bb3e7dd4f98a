import type { Stats } from 'node:fs';

import type { RawName } from '../../fs/directory/file-name.ts';

/** What tells whether a directory has other entries than before. */
type State = Pick<Stats, 'ino' | 'ctimeMs'>;

/**
 * Notes a directory of a source as it was when it was entered, in two numbers: there may be very many.
 * @param to its path in DEST
 */
export function noteSeen(seen: number[], state: State, to: RawName): void {
  seen.push(hashOf(to), hashOfState(state));
}

/** The directories of the sources that a copy has entered, by their paths in DEST. */
export class SeenDirectories {
  /** In order, each beside its state. */
  readonly #paths: Float64Array;
  readonly #states: Float64Array;

  /** @param seen what noteSeen has added */
  constructor(seen: readonly number[]) {
    const count = seen.length / 2;
    const at = (index: number): number => seen[index * 2] as number;
    const order = Uint32Array.from({ length: count }, (_, index) => index).toSorted((a, b) => at(a) - at(b));
    this.#paths = Float64Array.from(order, at);
    this.#states = Float64Array.from(order, (index) => seen[index * 2 + 1] as number);
  }

  /**
   * Whether one that was entered at this path is gone, or has changed since. Paths of one hash count as one, so that what
   * stands at one of them is taken for changed.
   * @param now what the sources have there now
   */
  isChanged(path: RawName, now: readonly State[]): boolean {
    const wanted = hashOf(path);
    const states = now.map(hashOfState);
    for (let at = this.#firstOf(wanted); this.#paths[at] === wanted; at++)
      if (!states.includes(this.#states[at] as number)) return true;
    return false;
  }

  #firstOf(wanted: number): number {
    let [from, to] = [0, this.#paths.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#paths[middle] as number) < wanted) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

function hashOfState({ ino, ctimeMs }: State): number {
  return hashOf(`${ino} ${ctimeMs}`);
}

/**
 * 53 bits, of the quick kind (cyrb53): two hashes by multiplication with large odd numbers.
 * @param first whole numbers that it is to depend on as well, of which 32 bits count
 */
export function hashOf(text: string, first = 0, second = 0): number {
  let [a, b] = [
    0xdeadbeef ^ Math.imul(first, 0x9e3779b1) ^ second,
    0x41c6ce57 ^ first ^ Math.imul(second, 0x85ebca6b),
  ];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (b & 0x1fffff) * 2 ** 32 + (a >>> 0);
}
