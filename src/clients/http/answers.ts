import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';

import { AnswerFault, mostHead, readHead, type Framing } from './answer-head.ts';
import { ChunkReader } from './chunks.ts';

/** What becomes of bytes behind the length that an answer announced. */
export type Excess = 'dropped' | 'refused';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * Stands between a connection and Node's parser, which takes an answer only where every byte of its head is as RFC 9112
 * wants it. It reads heads and frames as curl does, and hands on the same answer in that form. Bodies go through as they
 * come.
 */
class AnswerReader {
  #method = '';
  #excess: Excess = 'refused';
  #head: Buffer[] = [];
  #headBytes = 0;
  /** Bytes of the head's line that has begun, without its line end. */
  #line = 0;
  #framing: Framing | undefined;
  #left = 0;
  #chunks: ChunkReader | undefined;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    const push = socket.push.bind(socket);
    // Both node:net and node:tls hand over what they read by this method of stream.Readable.
    socket.push = (chunk: Buffer | null) => {
      if (socket.destroyed) return push(chunk);
      const out: Buffer[] = [];
      let fault: unknown;
      try {
        if (chunk === null) this.#endOfHead();
        else this.#read(chunk, (piece) => void out.push(piece));
      } catch (error) {
        fault = error;
      }
      const [first, ...more] = out;
      // What is right of it comes before what is wrong.
      const wants = first === undefined ? true : push(more.length === 0 ? first : Buffer.concat(out));
      if (fault !== undefined) socket.destroy(fault as Error);
      return chunk === null && fault === undefined ? push(null) : wants;
    };
  }

  expect(method: string, excess: Excess): void {
    this.#method = method;
    this.#excess = excess;
    this.#head = [];
    this.#headBytes = 0;
    this.#line = 0;
    this.#framing = undefined;
    this.#chunks = undefined;
  }

  #read(chunk: Buffer, emit: (piece: Buffer) => void): void {
    let rest = chunk;
    while (this.#framing === undefined) {
      const used = this.#readHead(rest, emit);
      rest = rest.subarray(used);
      if (rest.length === 0) return;
    }
    if (this.#framing.by === 'tunnel' || this.#framing.by === 'close') return emit(rest);
    const ending = this.#left > 0 || this.#chunks?.done === false;
    if (this.#chunks !== undefined) rest = rest.subarray(this.#chunks.read(rest, emit));
    else {
      const piece = rest.subarray(0, this.#left);
      this.#left -= piece.length;
      if (piece.length > 0) emit(piece);
      rest = rest.subarray(piece.length);
    }
    // An empty line too many is common.
    if (/^[\r\n]*$/.test(rest.toString('latin1', 0, 16))) return;
    // Node's parser then says what is wrong.
    if (ending && this.#excess === 'refused') return emit(rest);
    // It cannot be the next answer, since nobody has asked yet.
    setImmediate((socket: Socket) => void socket.destroy(), this.#socket);
  }

  /** @returns the bytes that were used; the head is whole once the framing is known */
  #readHead(bytes: Buffer, emit: (piece: Buffer) => void): number {
    let start = 0;
    if (this.#headBytes === 0) {
      // RFC 9112, 2.2: an empty line before it is left over from the answer before.
      while (bytes[start] === carriageReturn || bytes[start] === lineFeed) start++;
    }
    let at = start;
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte !== lineFeed) {
        if (byte !== carriageReturn) this.#line++;
        continue;
      }
      if (this.#line === 0) break;
      this.#line = 0;
    }
    const whole = at < bytes.length;
    const piece = bytes.subarray(start, whole ? at + 1 : at);
    if (piece.length > 0) {
      this.#head.push(piece);
      this.#headBytes += piece.length;
    }
    this.#look();
    if (this.#headBytes > mostHead) throw new AnswerFault('broken', 'it has more than 300 KiB of headers');
    if (!whole) return bytes.length;
    const head = readHead(Buffer.concat(this.#head).toString('latin1'), this.#method);
    this.#head = [];
    this.#headBytes = 0;
    this.#line = 0;
    if (head.status === 101)
      throw new AnswerFault('broken', 'it switches to another protocol (101), which was not requested');
    // Interim answers are no answers.
    if (head.status < 200) return at + 1;
    emit(head.bytes);
    this.#framing = head.framing;
    this.#left = head.framing.by === 'length' ? head.framing.length : 0;
    if (head.framing.by === 'chunks') this.#chunks = new ChunkReader();
    return at + 1;
  }

  /** What is not HTTP need not end, nor have lines. */
  #look(): void {
    const [first = Buffer.alloc(0)] = this.#head;
    if (this.#headBytes === 0 || this.#head.length > 4) return;
    const start = (first.length < 8 ? Buffer.concat(this.#head) : first).subarray(0, 16);
    // The header of a SETTINGS frame on stream 0, with which every server of HTTP/2 begins (RFC 9113, 3.4).
    if (start.length >= 9 && start[0] === 0 && start[3] === 4 && start.readUInt32BE(5) === 0)
      throw new AnswerFault('http2', 'it speaks HTTP/2');
    // A TLS record: an alert (RFC 8446, 5.1).
    if (start.length >= 3 && start[0] === 0x15 && start[1] === 3)
      throw new AnswerFault('tls', 'it answers with a TLS alert');
    if (start[0] === 0 && start.length < 9) return;
    if (start[0] === 0x15 && start.length < 3) return;
    const text = start.toString('latin1', 0, 5).toUpperCase();
    if (!'HTTP/'.startsWith(text))
      throw new AnswerFault('not-http', 'its first line is not a status line of HTTP');
  }

  #endOfHead(): void {
    if (this.#framing === undefined && this.#headBytes > 0)
      throw new AnswerFault('cut', 'the connection ended inside the headers');
  }
}

const readers = new WeakMap<Socket, AnswerReader>();

/** Has the connection's next answer read as curl reads it. To be called when a request gets its connection. */
export function expectAnswer(socket: Socket, method: string, excess: Excess = 'refused'): void {
  let reader = readers.get(socket);
  if (reader === undefined) readers.set(socket, (reader = new AnswerReader(socket)));
  reader.expect(method, excess);
}

/** As expectAnswer, for whatever connection the request gets. */
export function readAsCurl(request: ClientRequest, excess?: Excess): ClientRequest {
  return request.once('socket', (socket) => expectAnswer(socket, request.method, excess));
}
