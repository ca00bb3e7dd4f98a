import { AnswerFault } from './answer-head.ts';

/** Digits of a chunk's size: 4 PiB. */
const mostDigits = 16;

/** Bytes of a line of a chunked body: its extensions, a trailer. */
const mostLine = 64 * 1024;

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const lineEnd = Buffer.from('\r\n');
const end = Buffer.from('0\r\n\r\n');

/** Reads a body in chunks as curl does: lines end with LF or CRLF, extensions and trailers are left out. */
export class ChunkReader {
  #state: 'size' | 'extension' | 'data' | 'after-data' | 'trailer' | 'done' = 'size';
  #digits = '';
  #left = 0;
  #line = 0;

  get done(): boolean {
    return this.#state === 'done';
  }

  /**
   * @param emit takes the body, in chunks as RFC 9112 wants them
   * @returns how many of the bytes belong to the body
   * @throws AnswerFault
   */
  read(bytes: Buffer, emit: (piece: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const piece = bytes.subarray(at, at + this.#left);
        emit(piece);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) this.#state = 'after-data';
        continue;
      }
      const byte = bytes[at++] ?? 0;
      if (++this.#line > mostLine) throw new AnswerFault('broken', 'a line between its chunks has no end');
      if (this.#state === 'after-data') this.#afterData(byte, emit);
      else if (this.#state === 'trailer') this.#inTrailer(byte, emit);
      else this.#inSize(byte, emit);
    }
    return at;
  }

  #afterData(byte: number, emit: (piece: Buffer) => void): void {
    if (byte === carriageReturn && this.#line === 1) return;
    if (byte !== lineFeed) throw new AnswerFault('broken', 'a chunk is longer than its size says');
    emit(lineEnd);
    this.#begin('size');
  }

  #inSize(byte: number, emit: (piece: Buffer) => void): void {
    if (byte !== lineFeed) {
      const digit = this.#state === 'size' && /[0-9a-f]/i.test(String.fromCharCode(byte));
      if (!digit) this.#state = 'extension';
      else this.#digits += String.fromCharCode(byte);
      if (this.#digits === '' || this.#digits.length > mostDigits)
        throw new AnswerFault('broken', 'the size of a chunk is not a number');
      return;
    }
    const size = this.#digits === '' ? Number.NaN : Number.parseInt(this.#digits, 16);
    if (!Number.isSafeInteger(size)) throw new AnswerFault('broken', 'the size of a chunk is not a number');
    this.#digits = '';
    this.#left = size;
    this.#begin(size === 0 ? 'trailer' : 'data');
    if (size > 0) emit(Buffer.from(`${size.toString(16)}\r\n`));
  }

  /** The body ends with the first empty line. */
  #inTrailer(byte: number, emit: (piece: Buffer) => void): void {
    if (byte !== lineFeed) {
      // A CR counts for nothing, so that what is left is the length of the line.
      if (byte === carriageReturn) this.#line--;
      return;
    }
    if (this.#line > 1) return this.#begin('trailer');
    emit(end);
    return this.#begin('done');
  }

  #begin(state: 'size' | 'data' | 'trailer' | 'done'): void {
    this.#state = state;
    this.#line = 0;
  }
}
