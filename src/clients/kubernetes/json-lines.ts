import { GrowingBytes } from '../../core/growing-bytes.ts';

/** Bytes of one line: an object has at most 1.5 MiB in etcd, and grows a little on its way. */
const longest = 16 * 2 ** 20;

const lineFeed = 0x0a;

/** A line that is no JSON, or has no end. It holds nothing of the text. */
export class BrokenLine extends Error {}

/** Takes a stream apart that has one JSON value on each line, in whatever pieces it comes. */
export class JsonLines {
  #rest = new GrowingBytes();
  readonly #take: (value: unknown) => void;

  constructor(take: (value: unknown) => void) {
    this.#take = take;
  }

  /** @throws BrokenLine, and what `take` throws */
  add(piece: Uint8Array): void {
    let start = 0;
    for (;;) {
      const end = piece.indexOf(lineFeed, start);
      if (end < 0) break;
      this.#rest.add(piece.subarray(start, end));
      const line = this.#rest.taken();
      this.#rest = new GrowingBytes();
      if (line.length > 0) this.#take(parsed(line));
      start = end + 1;
    }
    this.#rest.add(piece.subarray(start));
    if (this.#rest.length > longest) throw new BrokenLine('a line of it does not end');
  }
}

function parsed(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch {
    throw new BrokenLine('a line of it is not JSON');
  }
}
