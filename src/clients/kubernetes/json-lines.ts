import { GrowingBytes } from '../../core/growing-bytes.ts';

/**
 * Bytes of one line: an object has at most 1.5 MiB in etcd, and grows a little on its way. More, with what is made of them,
 * would not fit into the memory of an init container.
 */
const longest = 4 * 2 ** 20;

/** Bytes that are taken at once, and what a line counts for beside its own. */
const atOnce = 256 * 2 ** 10;
const perLine = 4096;
const perEmptyLine = 16;

const lineFeed = 0x0a;

/** A line that is no JSON, or has no end. It holds nothing of the text. */
export class BrokenLine extends Error {}

/** Takes a stream apart that has one JSON value on each line, in whatever pieces it comes. */
export class JsonLines {
  #bytes = new GrowingBytes();
  /** Where the line begins that is next, and how far it was looked for its end. */
  #start = 0;
  #looked = 0;
  readonly #take: (value: unknown) => void;

  constructor(take: (value: unknown) => void) {
    this.#take = take;
  }

  /** @param piece which is copied */
  add(piece: Uint8Array): void {
    if (this.#start > 0) {
      const rest = new GrowingBytes();
      rest.add(this.#bytes.taken().subarray(this.#start));
      this.#bytes.clear();
      this.#bytes = rest;
      this.#looked -= this.#start;
      this.#start = 0;
    }
    this.#bytes.add(piece);
  }

  /**
   * Takes lines that are whole, but of many only some: deadlines and signals must have their turn.
   * @returns whether some may be left
   * @throws BrokenLine, and what `take` throws
   */
  takeSome(): boolean {
    const bytes = this.#bytes.taken();
    for (let left = atOnce; left > 0;) {
      const end = bytes.indexOf(lineFeed, this.#looked);
      if (end < 0) {
        this.#looked = bytes.length;
        if (bytes.length - this.#start <= longest) return false;
        this.#bytes.clear();
        throw new BrokenLine('a line of it does not end');
      }
      const line = bytes.subarray(this.#start, end);
      this.#start = end + 1;
      this.#looked = end + 1;
      left -= line.length === 0 ? perEmptyLine : line.length + perLine;
      if (line.length > longest) throw new BrokenLine('a line of it is too long');
      if (line.length > 0) this.#take(parsed(line));
    }
    return true;
  }
}

function parsed(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch {
    throw new BrokenLine('a line of it is not JSON');
  }
}
