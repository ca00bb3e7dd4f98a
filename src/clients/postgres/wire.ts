import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

import { noBinding, type Binding } from './channel-binding.ts';
import { Conversation, ProtocolViolation } from './messages.ts';
import { errorOfVersion2, NotPostgres } from './other-protocol.ts';
import { shortReport, type Redact } from './server-text.ts';
import { FinalRefusal } from './socket.ts';

/** The length of a message's type and length field. */
const header = 5;

/** How many messages are handed over before timers and signals get their turn. */
const messagesInTurn = 1024;

/** So many bytes of a text for people, which is redacted and logged, count as one message more. */
const bytesAsMessage = 16;

/** The type of each message of a login's: `p` (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
const passwordMessage = 0x70;

/** The nonces and the proof of SCRAM, and the digest of md5. The password itself is known as a secret already. */
function proofsIn(message: Uint8Array): readonly string[] {
  const text = Buffer.from(message.subarray(header)).toString('latin1');
  return [...text.matchAll(/(?<=,[rp]=)[^,\0]+|(?<=^md5)[\da-f]{32}/g)].map(([found]) => found);
}

/**
 * A stream as the driver wants one, over an open connection. It hands on whole messages only, each of which has been
 * checked, and no error of the driver leaves it but as the connection's. It emits `heard` when the first bytes come.
 */
export class Wire extends EventEmitter {
  readonly #stream: Socket;
  readonly #redact: Redact;
  /** What the login has sent that must not be shown. */
  readonly sent: string[] = [];
  readonly #binding: Binding;
  readonly #conversation: Conversation;
  /** The beginning of a message whose rest has not come yet. */
  #part: Buffer = Buffer.alloc(0);
  #partLength = 0;
  /** How much is still to come of a message that nobody reads. */
  #toSkip = 0;
  /** What has not been looked at yet, since others had to have a turn. */
  #backlog: Buffer | undefined;
  /** The end of the connection, where it came during a backlog. */
  readonly #afterBacklog: (() => void)[] = [];
  #turn = messagesInTurn;
  /** The first bytes that came, for people. */
  #greeting: Buffer | undefined;
  #over = false;

  /**
   * @param redact takes secrets out of what the server says, which is cut afterwards
   * @param binding what the login can be tied to
   */
  constructor(stream: Socket, redact: Redact, binding: Binding = noBinding) {
    super();
    this.#binding = binding;
    this.#conversation = new Conversation(binding);
    this.#redact = redact;
    this.#stream = stream;
    stream.on('error', (error) => this.#inOrder(() => this.emit('error', error)));
    stream.on('end', () => this.#inOrder(() => this.emit('end')));
    stream.on('close', () => this.#inOrder(() => this.#close()));
  }

  /** It is connected already; the driver only waits to be told. */
  connect(): this {
    setImmediate(() => {
      if (this.#over) return;
      if (this.#stream.destroyed) return this.#close();
      this.emit('connect');
      this.#stream.on('data', (bytes: Buffer) => this.#take(bytes));
      this.#stream.resume();
    });
    return this;
  }

  /** Set when the socket was opened. */
  setNoDelay(): this {
    return this;
  }

  /** What the driver ties a login by SCRAM-SHA-256-PLUS to. */
  getPeerCertificate(): { readonly raw: Buffer | undefined } {
    return { raw: this.#binding.certificate };
  }

  get writable(): boolean {
    return this.#stream.writable;
  }

  write(message: Uint8Array, done?: () => void): boolean {
    this.#conversation.sent(message);
    if (message[0] === passwordMessage) this.sent.push(...proofsIn(message));
    return this.#stream.write(message, done);
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#stream.uncork();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#drop();
    this.#stream.destroy(error);
  }

  /** Rows are passed over from now on, or handed on again: for a query whose rows nobody reads. */
  discardRows(yes: boolean): void {
    this.#conversation.discardsRows = yes;
  }

  #drop(): void {
    this.#over = true;
    this.#backlog = undefined;
    this.#part = Buffer.alloc(0);
    this.#partLength = 0;
    for (const action of this.#afterBacklog.splice(0)) action();
  }

  #inOrder(action: () => void): void {
    if (this.#backlog === undefined) action();
    else this.#afterBacklog.push(action);
  }

  #close(): void {
    // The driver passes it over where it ended the connection itself, and has other words for it where it did not.
    if (!this.#over) this.emit('error', Object.assign(new Error('connection closed'), { code: 'EPIPE' }));
    this.#over = true;
    this.emit('close');
  }

  #take(bytes: Buffer): void {
    if (this.#over) return;
    if (this.#backlog !== undefined) {
      // A stream may have one more chunk to give after it was told to pause.
      this.#backlog = Buffer.concat([this.#backlog, bytes]);
      return;
    }
    if (this.#greeting === undefined) this.emit('heard');
    this.#greeting ??= Buffer.from(bytes.subarray(0, 4096));
    try {
      let rest: Buffer | undefined = this.#skip(bytes);
      if (this.#partLength > 0) rest = this.#complete(rest);
      if (rest !== undefined) this.#scan(rest);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @returns what comes after the message that is passed over */
  #skip(bytes: Buffer): Buffer {
    const skipped = Math.min(this.#toSkip, bytes.length);
    this.#toSkip -= skipped;
    return skipped === 0 ? bytes : bytes.subarray(skipped);
  }

  /**
   * Adds to the message that has begun.
   * @returns what comes after it; undefined while it is not whole
   */
  #complete(bytes: Buffer): Buffer | undefined {
    let taken = 0;
    if (this.#partLength < header) {
      taken = Math.min(header - this.#partLength, bytes.length);
      this.#append(bytes.subarray(0, taken), header);
      if (this.#partLength < header) return undefined;
    }
    const code = this.#part[0] as number;
    const size = this.#conversation.size(code, this.#part.readUInt32BE(1));
    if (this.#partLength === header && this.#conversation.skips(code)) {
      this.#partLength = 0;
      this.#toSkip = size - header;
      return this.#skip(bytes.subarray(taken));
    }
    const more = Math.min(size - this.#partLength, bytes.length - taken);
    this.#append(bytes.subarray(taken, taken + more), size);
    if (this.#partLength < size) return undefined;
    const message = this.#part.subarray(0, size);
    this.#part = Buffer.alloc(0);
    this.#partLength = 0;
    this.#conversation.receive(message, 0, size);
    this.#turn -= this.#cost(code, size);
    this.emit('data', this.#shortened(message, 0, size) ?? message);
    return this.#over ? undefined : bytes.subarray(taken + more);
  }

  /** Grows with what has come, not with what was announced. */
  #append(bytes: Buffer, size: number): void {
    const length = this.#partLength + bytes.length;
    if (length > this.#part.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, Math.min(size, 2 * this.#part.length)));
      this.#part.copy(larger, 0, 0, this.#partLength);
      this.#part = larger;
    }
    bytes.copy(this.#part, this.#partLength);
    this.#partLength = length;
  }

  /** Checks the messages in a chunk and hands on those that are whole. */
  #scan(bytes: Buffer): void {
    const conversation = this.#conversation;
    /** What is before `from` has been handed on or passed over; what is before `at` is right. */
    let from = 0;
    let at = 0;
    const handOn = (): void => {
      const whole = from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at);
      from = at;
      if (whole.length > 0) this.emit('data', whole);
    };
    try {
      while (at < bytes.length && this.#turn > 0 && !this.#over) {
        const code = bytes[at] as number;
        conversation.expect(code);
        if (bytes.length - at < header) break;
        const size = conversation.size(code, bytes.readUInt32BE(at + 1));
        const end = at + size;
        if (conversation.skips(code)) {
          if (from < at) handOn();
          this.#toSkip = Math.max(0, end - bytes.length);
          from = at = Math.min(end, bytes.length);
        } else {
          if (end > bytes.length) break;
          conversation.receive(bytes, at, end);
          const short = this.#shortened(bytes, at, end);
          if (short !== undefined) {
            handOn();
            from = end;
            this.emit('data', short);
          }
          at = end;
        }
        this.#turn -= this.#cost(code, size);
      }
    } catch (error) {
      // What came before was right, and may say why the rest is not.
      handOn();
      throw error;
    }
    handOn();
    if (this.#over) return;
    const rest = bytes.subarray(at);
    if (this.#turn <= 0) this.#giveTurn(rest);
    else if (rest.length > 0) this.#append(rest, rest.length);
  }

  #shortened(bytes: Buffer, start: number, end: number): Buffer | undefined {
    return this.#conversation.reports(bytes[start] as number)
      ? shortReport(bytes, start, end, this.#redact)
      : undefined;
  }

  #cost(code: number, size: number): number {
    return this.#conversation.reports(code) ? 1 + size / bytesAsMessage : 1;
  }

  /** Lets timers and signals run before the rest. */
  #giveTurn(rest: Buffer): void {
    this.#backlog = rest;
    this.#stream.pause();
    setImmediate(() => {
      this.#turn = messagesInTurn;
      const backlog = this.#backlog;
      this.#backlog = undefined;
      if (this.#over || backlog === undefined) return;
      if (backlog.length > 0) this.#take(backlog);
      if (this.#over || this.#backlog !== undefined) return;
      for (const action of this.#afterBacklog.splice(0)) action();
      this.#stream.resume();
    });
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    const { loggedIn } = this.#conversation;
    this.#over = true;
    this.emit('error', asFailure(error, loggedIn, this.#greeting ?? Buffer.alloc(0)));
    this.#drop();
    this.#stream.destroy();
  }
}

/** What a thing of the protocol means for the connection. */
function asFailure(error: unknown, loggedIn: boolean, greeting: Buffer): Error {
  if (error instanceof FinalRefusal) return error;
  const { message } = error as Error;
  if (!(error instanceof ProtocolViolation))
    return new BrokenConnection(`the connection broke: the server’s answer cannot be read (${message})`);
  const text = errorOfVersion2(greeting);
  if (!loggedIn && text !== undefined) return new Error(`the server says ${JSON.stringify(text)}`);
  if (!loggedIn) return new NotPostgres(greeting, message);
  return new BrokenConnection(`the connection broke: what the server sent is not valid: ${message}`);
}

/** The server sent, after the login, what cannot be read. */
export class BrokenConnection extends Error {
  override readonly name = 'BrokenConnection';
}
