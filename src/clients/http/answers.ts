import type { ClientRequest } from 'node:http';
import type { Socket, SocketConstructorOpts } from 'node:net';

import { AnswerFault, mostHead, readHead, type Framing } from './answer-head.ts';
import { ChunkReader } from './chunks.ts';

/** What becomes of bytes behind the length that an answer announced. */
export type Excess = 'dropped' | 'refused';

/** Takes a body as it comes from its connection. */
export interface BodyTaker {
  /** The bytes are others once it returns. */
  data(bytes: Buffer): void;
  /** The body is whole. */
  end(): void;
}

/** A body that comes. */
export interface BodyFlow {
  /** What has been read already comes still. */
  pause(): void;
  resume(): void;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const lineEnd = Buffer.from('\r\n');
const lastChunk = Buffer.from('0\r\n\r\n');

/**
 * Stands between a connection and Node's parser, which takes an answer only where every byte of its head is as RFC 9112
 * wants it. It reads heads and frames as curl does, and hands on the same answer in that form. Bodies go through as they
 * come.
 */
class AnswerReader {
  readonly #push: (chunk: Buffer | null) => boolean;
  #method = '';
  #excess: Excess = 'refused';
  #head: Buffer[] = [];
  #headBytes = 0;
  /** Of the interim answers before it, which count as its own (curl does so as well). */
  #interimBytes = 0;
  /** Bytes of the head's line that has begun, without its line end. */
  #line = 0;
  #framing: Framing | undefined;
  #left = 0;
  #chunks: ChunkReader | undefined;
  /** Of this body, for Node's parser. */
  #out: Buffer[] = [];
  /** Takes the body in place of Node's parser. */
  #taker: BodyTaker | undefined;
  /** Whether something of the body went to Node's parser. */
  #begun = false;
  #paused = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#push = socket.push.bind(socket);
    // Both node:net and node:tls hand over what they read by this method of stream.Readable.
    socket.push = (chunk: Buffer | null) => this.take(chunk, false);
  }

  /**
   * @param borrowed whether the bytes are others once this returns
   * @returns whether more may follow at once
   */
  take(chunk: Buffer | null, borrowed: boolean): boolean {
    const [socket, push] = [this.#socket, this.#push];
    if (socket.destroyed) return push(chunk && borrowed ? Buffer.from(chunk) : chunk);
    let wants = true;
    let fault: unknown;
    const hand = (): void => {
      const [first, ...more] = this.#out;
      this.#out = [];
      if (first === undefined) return;
      const all = more.length === 0 ? first : Buffer.concat([first, ...more]);
      wants = push(borrowed && all === first ? Buffer.from(first) : all);
    };
    try {
      if (chunk === null) this.#atEnd();
      else this.#read(chunk, hand);
    } catch (error) {
      fault = error;
    }
    // What is right of it comes before what is wrong.
    hand();
    if (fault !== undefined) socket.destroy(fault as Error);
    return chunk === null && fault === undefined ? push(null) : wants && !this.#paused;
  }

  /** @returns undefined where it is too late, or there is none */
  takeBody(taker: BodyTaker): BodyFlow | undefined {
    if (this.#begun || this.#framing === undefined || this.#socket.destroyed) return undefined;
    if (this.#framing.by === 'tunnel' || this.#framing.by === 'nothing') return undefined;
    // Node's parser takes an answer without a body for ended already.
    if (this.#framing.by === 'length' && this.#left === 0) return undefined;
    this.#taker = taker;
    return {
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        if (!this.#paused) return;
        this.#paused = false;
        // Where reading was stopped, it goes on by this call (lib/net.js); stream.Readable makes it only for what it got.
        if (!this.#socket.destroyed) this.#socket._read(0);
      },
    };
  }

  expect(method: string, excess: Excess): void {
    this.#method = method;
    this.#excess = excess;
    this.#head = [];
    this.#headBytes = 0;
    this.#interimBytes = 0;
    this.#line = 0;
    this.#framing = undefined;
    this.#chunks = undefined;
    this.#taker = undefined;
    this.#begun = false;
    this.#paused = false;
  }

  /** @param hand hands on what is gathered for Node's parser */
  #read(chunk: Buffer, hand: () => void): void {
    let rest = chunk;
    while (this.#framing === undefined) {
      const used = this.#readHead(rest);
      const framing = this.#framing as Framing | undefined;
      const empty = framing?.by === 'length' && this.#left === 0;
      if (empty && used < rest.length && this.#excess === 'refused') {
        // Node's parser takes such an answer for whole at once.
        this.#out = [];
        throw new AnswerFault('broken', 'bytes follow its end');
      }
      // Whoever is told of the answer may want to take its body.
      if (this.#framing !== undefined) hand();
      rest = rest.subarray(used);
      if (rest.length === 0) return;
    }
    const taker = this.#taker;
    const emit = (piece: Buffer): void => {
      if (taker !== undefined) return taker.data(piece);
      this.#begun = true;
      // Chunks of our own: those that came may be of a byte each.
      if (this.#chunks === undefined) this.#out.push(piece);
      else this.#out.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, lineEnd);
    };
    if (this.#framing.by === 'tunnel' || this.#framing.by === 'close') return emit(rest);
    const ending = this.#left > 0 || this.#chunks?.done === false;
    if (this.#chunks !== undefined) {
      rest = rest.subarray(this.#chunks.read(rest, emit));
      if (ending && this.#chunks.done && taker === undefined) {
        this.#begun = true;
        this.#out.push(lastChunk);
      }
    } else {
      const piece = rest.subarray(0, this.#left);
      this.#left -= piece.length;
      if (piece.length > 0) emit(piece);
      rest = rest.subarray(piece.length);
    }
    // An empty line too many is common, and yet a file may end with one: where the body is kept, nobody can tell.
    const excess =
      this.#excess === 'refused' ? rest.length > 0 : !/^[\r\n]*$/.test(rest.toString('latin1', 0, 16));
    if (excess && ending && this.#excess === 'refused') {
      // Node's parser would take the body for whole, and the rest for the next answer where it looks like one.
      this.#out = [];
      throw new AnswerFault('broken', 'bytes follow its end');
    }
    const ended = ending && this.#left === 0 && this.#chunks?.done !== false;
    if (taker !== undefined && ended) taker.end();
    // It cannot be the next answer, since nobody has asked yet; and Node's parser waits for a body that it does not get.
    if (excess || (taker !== undefined && ended))
      setImmediate((socket: Socket) => void socket.destroy(), this.#socket);
  }

  /** @returns the bytes that were used; the head is whole once the framing is known */
  #readHead(bytes: Buffer): number {
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
    // Bytes that are kept are copied: theirs may be used for others.
    const piece = Buffer.from(bytes.subarray(start, whole ? at + 1 : at));
    if (piece.length > 0) {
      this.#head.push(piece);
      this.#headBytes += piece.length;
    }
    this.#look();
    if (this.#interimBytes + this.#headBytes > mostHead)
      throw new AnswerFault('broken', 'it has more than 300 KiB of headers');
    if (!whole) return bytes.length;
    const head = readHead(Buffer.concat(this.#head).toString('latin1'), this.#method);
    this.#interimBytes += this.#headBytes;
    this.#head = [];
    this.#headBytes = 0;
    this.#line = 0;
    if (head.status === 101)
      throw new AnswerFault('broken', 'it switches to another protocol (101), which was not requested');
    // Interim answers are no answers.
    if (head.status < 200) return at + 1;
    this.#out.push(head.bytes);
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

  /** What is cut off shows to Node's parser. */
  #atEnd(): void {
    if (this.#framing === undefined && this.#headBytes > 0)
      throw new AnswerFault('cut', 'the connection ended inside the headers');
    if (this.#framing?.by === 'close') this.#taker?.end();
  }
}

const readers = new WeakMap<Socket, AnswerReader>();

/** Has the connection's next answer read as curl reads it. To be called when a request gets its connection. */
export function expectAnswer(socket: Socket, method: string, excess: Excess = 'refused'): void {
  let reader = readers.get(socket);
  if (reader === undefined) readers.set(socket, (reader = new AnswerReader(socket)));
  reader.expect(method, excess);
}

/** Requests whose sender bounds what it takes of the answer. */
const bounded = new WeakSet<ClientRequest>();

/** False of a request that a third-party client sent by itself. */
export function boundsItsAnswer(request: ClientRequest): boolean {
  return bounded.has(request);
}

/** As expectAnswer, for whatever connection the request gets. */
export function readAsCurl(request: ClientRequest, excess?: Excess): ClientRequest {
  bounded.add(request);
  return request.once('socket', (socket) => expectAnswer(socket, request.method, excess));
}

/**
 * Has a body that is about to come taken from its connection, past Node's parser and streams, which copy it and make an
 * object for each piece: both take more time and memory than the body needs. The connection serves no other request.
 * @returns undefined where Node has it, or there is none
 */
export function takeFromConnection(socket: Socket | undefined, taker: BodyTaker): BodyFlow | undefined {
  return socket && readers.get(socket)?.takeBody(taker);
}

/** Bytes that are read at once. */
const readAtOnce = 256 << 10;

/** For the options of a request whose answer may be large: its connection reads into the same memory again and again. */
export function readInPlace(): Pick<SocketConstructorOpts, 'onread'> {
  return {
    onread: {
      buffer: Buffer.allocUnsafeSlow(readAtOnce),
      callback(this: Socket, length: number, buffer: Uint8Array): boolean {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        return readers.get(this)?.take(bytes, true) ?? this.push(Buffer.from(bytes));
      },
    },
  };
}
