import { AnswerFault, mostHead } from './answer-head.ts';

/** Digits of a chunk's size: 4 PiB. */
const mostDigits = 16;

/** Bytes of a line of a chunked body: its extensions, a trailer. */
const mostLine = 64 * 1024;

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const colon = 0x3a;
/** Bytes of a piece that is handed on as it lies there; smaller ones are put together. */
const largePiece = 4096;

/**
 * Reads a body in chunks as curl does: lines end with LF or CRLF, extensions and trailers are left out. What comes at once
 * in many small chunks is handed on as one piece: a server may send a chunk for each byte.
 */
export class ChunkReader {
  #state: 'size' | 'after-size' | 'extension' | 'data' | 'after-data' | 'trailer' | 'done' = 'size';
  #digits = '';
  #left = 0;
  #line = 0;
  /** Bytes of all trailers, and whether the one that has begun has its colon. */
  #trailers = 0;
  #colon = false;

  get done(): boolean {
    return this.#state === 'done';
  }

  /**
   * @param bytes within which small pieces of the body are moved together
   * @param emit takes the body
   * @returns how many of the bytes belong to the body
   * @throws AnswerFault, once what came before the fault was handed on
   */
  read(bytes: Buffer, emit: (piece: Buffer) => void): number {
    let at = 0;
    // Of small pieces, those that are not handed on yet lie together here.
    let [start, end] = [0, 0];
    const flush = (): void => {
      if (end > start) emit(bytes.subarray(start, end));
      end = start;
    };
    try {
      while (at < bytes.length && this.#state !== 'done') {
        if (this.#state === 'data') {
          const size = Math.min(this.#left, bytes.length - at);
          if (size >= largePiece) {
            flush();
            emit(bytes.subarray(at, at + size));
          } else {
            if (end === start) start = end = at;
            else bytes.copyWithin(end, at, at + size);
            end += size;
          }
          at += size;
          this.#left -= size;
          if (this.#left === 0) this.#state = 'after-data';
          continue;
        }
        const byte = bytes[at++] ?? 0;
        if (++this.#line > mostLine) throw new AnswerFault('broken', 'a line between its chunks has no end');
        if (this.#state === 'after-data') this.#afterData(byte);
        else if (this.#state === 'trailer') this.#inTrailer(byte);
        else this.#inSize(byte);
      }
    } finally {
      flush();
    }
    return at;
  }

  #afterData(byte: number): void {
    if (byte === carriageReturn && this.#line === 1) return;
    if (byte !== lineFeed) throw new AnswerFault('broken', 'a chunk is longer than its size says');
    this.#begin('size');
  }

  #inSize(byte: number): void {
    if (byte !== lineFeed) {
      if (this.#state === 'extension') return;
      const character = String.fromCharCode(byte);
      if (this.#state === 'size' && /[0-9a-f]/i.test(character)) this.#digits += character;
      else if (character === ';') this.#state = 'extension';
      // Blanks may stand behind it, and nothing else: 0x5 is no 0 with something behind.
      else if (/[ \t\r]/.test(character)) this.#state = 'after-size';
      else throw new AnswerFault('broken', 'the size of a chunk is not a number');
      if (this.#digits === '' || this.#digits.length > mostDigits)
        throw new AnswerFault('broken', 'the size of a chunk is not a number');
      return;
    }
    const size = this.#digits === '' ? Number.NaN : Number.parseInt(this.#digits, 16);
    if (!Number.isSafeInteger(size)) throw new AnswerFault('broken', 'the size of a chunk is not a number');
    this.#digits = '';
    this.#left = size;
    this.#begin(size === 0 ? 'trailer' : 'data');
  }

  /** The body ends with the first empty line. */
  #inTrailer(byte: number): void {
    if (++this.#trailers > mostHead) throw new AnswerFault('broken', 'it has more than 300 KiB of trailers');
    if (byte !== lineFeed) {
      if (byte === 0) throw new AnswerFault('broken', 'a trailer has a NUL character in it');
      if (byte === colon) this.#colon = true;
      // A CR counts for nothing, so that what is left is the length of the line.
      if (byte === carriageReturn) this.#line--;
      return;
    }
    if (this.#line > 1) {
      // What was meant for a chunk would be thrown away.
      if (!this.#colon) throw new AnswerFault('broken', 'a line behind its last chunk is no trailer');
      return this.#begin('trailer');
    }
    return this.#begin('done');
  }

  #begin(state: 'size' | 'data' | 'trailer' | 'done'): void {
    this.#state = state;
    this.#line = 0;
    this.#colon = false;
  }
}
