import type { Binding } from './channel-binding.ts';
import { FinalRefusal } from './socket.ts';

/** The server sent something that the protocol does not allow. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

/**
 * The longest message in bytes, its length field included. Before the login no server has much to say: libpq takes no
 * error of more than 30,000 there. Afterwards an error may hold a large value. What nobody reads is not held at all.
 */
const longest = { atLogin: 64 * 1024, otherwise: 16 * 1024 * 1024, skipped: 2 ** 31 - 1 } as const;

/** The longest answer to one query in bytes, where its rows are held: none of ours asks for as much. */
const longestAnswer = 16 * 1024 * 1024;

/** The types of https://www.postgresql.org/docs/current/protocol-message-formats.html that we can be sent. */
const type = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  commandComplete: 0x43, // C
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyIn: 0x47, // G
  copyOut: 0x48, // H
  dataRow: 0x44, // D
  emptyQuery: 0x49, // I
  error: 0x45, // E
  noData: 0x6e, // n
  notice: 0x4e, // N
  notification: 0x41, // A
  parameterStatus: 0x53, // S
  parseComplete: 0x31, // 1
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

/** What we send that the server answers with a result. */
const [query, parse] = [0x51, 0x50];

/** AuthenticationXXX by their codes. */
const authentication = {
  ok: 0,
  cleartext: 3,
  md5: 5,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const;

const unsupported: Readonly<Record<number, string>> = {
  1: 'Kerberos V4',
  2: 'Kerberos V5',
  4: 'crypt()',
  6: 'SCM credentials',
  7: 'GSSAPI',
  9: 'SSPI',
};

/**
 * Checks each message of a server before the driver reads it. The driver believes every length and every order, so that
 * a wrong one makes it read beyond the message, throw out of a socket's event, or never return.
 */
export class Conversation {
  #login: 'begun' | 'asked' | 'sasl' | 'saslContinued' | 'saslDone' | 'admitted' | 'over' = 'begun';
  /** The server has asked, and waits for what we answer. */
  #oursToAnswer = false;
  #query: 'none' | 'running' | 'failed' = 'none';
  #columns: number | undefined;
  /** The bytes of the answer to the query that runs. */
  #answered = 0;
  readonly #binding: Binding;
  /** Nobody reads the rows of the query that runs. */
  discardsRows = false;

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  get loggedIn(): boolean {
    return this.#login === 'over';
  }

  /** Told of each message that goes to the server. */
  sent(message: Uint8Array): void {
    this.#oursToAnswer = false;
    if (this.#login !== 'over' || this.#query !== 'none') return;
    if (message[0] !== query && message[0] !== parse) return;
    this.#query = 'running';
    this.#columns = undefined;
    this.#answered = 0;
  }

  /**
   * Whether a message of this type may come now.
   * @throws ProtocolViolation
   */
  expect(code: number): void {
    if (code === type.error || code === type.notice) return;
    if (this.#login === 'over') {
      if (code === type.parameterStatus || code === type.notification) return;
      if (this.#query === 'running' && ofQuery.has(code)) return;
      if (this.#query === 'failed' && code === type.readyForQuery) return;
    } else if (this.#login === 'admitted') {
      if (code === type.parameterStatus || code === type.backendKeyData || code === type.readyForQuery)
        return;
    } else if (code === type.authentication) return;
    throw new ProtocolViolation(`it sent a message of type ${shown(code)}, which is not due`);
  }

  /**
   * How many bytes the message has, the type's one included.
   * @param length what its length field says
   * @throws ProtocolViolation
   */
  size(code: number, length: number): number {
    const limit = !this.loggedIn ? longest.atLogin : this.skips(code) ? longest.skipped : longest.otherwise;
    if (length < 4 || length > limit)
      throw new ProtocolViolation(
        `it sent a message of type ${shown(code)} with a length of ${length} bytes; 4 to ${limit} are accepted`,
      );
    return length + 1;
  }

  /** Whether a message of this type is a text for people. */
  reports(code: number): boolean {
    return code === type.error || code === type.notice;
  }

  /** Whether a message of this type is passed over without a look: the driver does nothing with the data of a COPY. */
  skips(code: number): boolean {
    return code === type.copyData || (this.discardsRows && code === type.dataRow);
  }

  /**
   * Looks at a whole message, and remembers what it changes.
   * @throws ProtocolViolation; FinalRefusal where the server wants a login that we do not have
   */
  receive(bytes: Buffer, start: number, end: number): void {
    const code = bytes[start] as number;
    const body = start + 5;
    if (this.#query === 'running' && !this.discardsRows && ofQuery.has(code)) {
      this.#answered += end - start;
      if (this.#answered > longestAnswer)
        throw new ProtocolViolation(`its answer to one query has more than ${longestAnswer} bytes`);
    }
    switch (code) {
      case type.dataRow:
        return this.#dataRow(bytes, body, end);
      case type.authentication:
        return this.#authentication(new Fields(bytes, body, end));
      case type.readyForQuery:
        return this.#readyForQuery(bytes, body, end);
      case type.rowDescription:
        this.#columns = rowDescription(new Fields(bytes, body, end));
        return undefined;
      case type.error:
      case type.notice:
        report(new Fields(bytes, body, end));
        // What is left of a query that failed is not sent. A notice changes nothing.
        if (code === type.error && this.#query === 'running') this.#query = 'failed';
        return undefined;
      case type.commandComplete:
        new Fields(bytes, body, end).text().done();
        this.#columns = undefined;
        return undefined;
      case type.parameterStatus:
        new Fields(bytes, body, end).text().text().done();
        return undefined;
      case type.notification:
        new Fields(bytes, body, end).skip(4).text().text().done();
        return undefined;
      case type.backendKeyData:
        // From version 3.2 of the protocol on, which we do not ask for, the key may have up to 256 bytes.
        if (end - body < 8 || end - body > 260) throw malformed(code);
        return undefined;
      case type.copyIn:
        copy(new Fields(bytes, body, end));
        // The driver refuses to send data, and the server has nothing to say but that error.
        this.#query = 'failed';
        return undefined;
      case type.copyOut:
        copy(new Fields(bytes, body, end));
        return undefined;
      default:
        if (end !== body) throw malformed(code);
    }
    return undefined;
  }

  /** Most messages are rows: no object is made for one. */
  #dataRow(bytes: Buffer, body: number, end: number): void {
    if (end - body < 2 || ((bytes[body] as number) << 8) + (bytes[body + 1] as number) !== this.#columns)
      throw malformed(type.dataRow);
    let at = body + 2;
    for (let column = this.#columns; column > 0; column--) {
      if (at + 4 > end) throw malformed(type.dataRow);
      const length =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number);
      at += 4;
      if (length > 0) {
        if (length > end - at) throw malformed(type.dataRow);
        at += length;
      } else if (length < -1) throw malformed(type.dataRow);
    }
    if (at !== end) throw malformed(type.dataRow);
  }

  #readyForQuery(bytes: Buffer, body: number, end: number): void {
    const status = bytes[body];
    // idle, in a transaction, in a failed one
    if (end - body !== 1 || (status !== 0x49 && status !== 0x54 && status !== 0x45))
      throw malformed(type.readyForQuery);
    this.#login = 'over';
    this.#query = 'none';
  }

  #authentication(fields: Fields): void {
    if (this.#oursToAnswer) throw new ProtocolViolation('it went on with the login before it had an answer');
    const code = fields.int32();
    const before = this.#login;
    const method = unsupported[code];
    if (before === 'begun' && method !== undefined) {
      fields.done();
      throw new FinalRefusal(
        `the server asks for a login by ${method}, which is not supported here`,
        'let pg_hba.conf ask this role for scram-sha-256, or give it a client certificate (cert)',
      );
    }
    if (code === authentication.ok && before !== 'sasl' && before !== 'saslContinued') {
      fields.done();
      if (before !== 'saslDone') this.#refuseUnbound('lets the role in without a proof that binds to TLS');
      this.#login = 'admitted';
      return;
    }
    this.#oursToAnswer = true;
    if (before === 'begun' && code === authentication.cleartext) {
      fields.done();
      this.#refuseUnbound('asks for the password itself');
      this.#login = 'asked';
    } else if (before === 'begun' && code === authentication.md5) {
      fields.skip(4).done();
      this.#refuseUnbound('asks for a login by md5');
      this.#login = 'asked';
    } else if (before === 'begun' && code === authentication.sasl) {
      this.#offersScram(fields);
      this.#login = 'sasl';
    } else if (before === 'sasl' && code === authentication.saslContinue) this.#login = 'saslContinued';
    else if (before === 'saslContinued' && code === authentication.saslFinal) {
      this.#login = 'saslDone';
      this.#oursToAnswer = false;
    } else throw new ProtocolViolation(`it sent a step ${code} of the login that is not due`);
  }

  #offersScram(fields: Fields): void {
    const names: string[] = [];
    for (let name = fields.decoded(); name !== ''; name = fields.decoded()) names.push(name);
    fields.done();
    if (names.length === 0 || names.some((name) => !/^[A-Z0-9_-]{1,20}$/.test(name)))
      throw malformed(type.authentication);
    const { encrypted, certificate } = this.#binding;
    const offersBinding = names.includes('SCRAM-SHA-256-PLUS');
    // A server does so over TLS alone: what is in between has TLS with it, and we have none.
    if (offersBinding && !encrypted)
      throw new FinalRefusal(
        'the server offers channel binding (SCRAM-SHA-256-PLUS) on a connection without TLS',
        'something between ends TLS: set sslmode=require, or make it pass the connection on as it is',
      );
    if (offersBinding && certificate !== undefined) return;
    this.#refuseUnbound(`offers ${names.join(' and ')} alone`);
    if (names.includes('SCRAM-SHA-256')) return;
    throw new FinalRefusal(
      `the server asks for a login by ${names.join(' or ')}, which is not supported here`,
      'let pg_hba.conf ask this role for scram-sha-256, or give it a client certificate (cert)',
    );
  }

  /** @throws FinalRefusal where the login must be tied to the server's certificate, and this one is not */
  #refuseUnbound(what: string): void {
    if (this.#binding.required)
      throw new FinalRefusal(
        `channel_binding=require, and the server ${what}`,
        'a proxy or pooler that ends TLS cannot bind to it, nor can a role whose password is stored as md5, nor a login by trust or by certificate: connect to the server directly, or set channel_binding=prefer',
      );
  }
}

/** What may come while a query runs. Nobody asks for pieces of a result, for parameters' types or for replication. */
const ofQuery: ReadonlySet<number> = new Set([
  type.bindComplete,
  type.closeComplete,
  type.commandComplete,
  type.copyData,
  type.copyDone,
  type.copyIn,
  type.copyOut,
  type.dataRow,
  type.emptyQuery,
  type.noData,
  type.parseComplete,
  type.readyForQuery,
  type.rowDescription,
]);

function shown(code: number): string {
  return code > 0x20 && code < 0x7f ? JSON.stringify(String.fromCharCode(code)) : String(code);
}

function malformed(code: number): ProtocolViolation {
  return new ProtocolViolation(`it sent a message of type ${shown(code)} that is not well-formed`);
}

/** Reads a message's parts, none of which may go beyond its end. */
class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #code: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#code = bytes[start - 5] as number;
  }

  skip(count: number): this {
    this.#at += count;
    if (this.#at > this.#end) throw malformed(this.#code);
    return this;
  }

  byte(): number {
    this.skip(1);
    return this.#bytes[this.#at - 1] as number;
  }

  int16(): number {
    this.skip(2);
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.skip(4);
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  /** A text with its zero byte. */
  text(): this {
    this.string();
    return this;
  }

  string(): { readonly from: number; readonly to: number } {
    const from = this.#at;
    const to = this.#bytes.indexOf(0, from);
    if (to < 0 || to >= this.#end) throw malformed(this.#code);
    this.#at = to + 1;
    return { from, to };
  }

  decoded(): string {
    const { from, to } = this.string();
    return this.#bytes.toString('latin1', from, to);
  }

  done(): void {
    if (this.#at !== this.#end) throw malformed(this.#code);
  }
}

/** Fields of an error or a notice: 18 are defined. */
const mostFields = 64;

/** An error or a notice: fields of a letter and a text, then a zero. Its SQLSTATE and message are always there. */
function report(fields: Fields): void {
  let count = 0;
  let hasCode = false;
  let hasMessage = false;
  for (let field = fields.byte(); field !== 0; field = fields.byte()) {
    if (++count > mostFields)
      throw new ProtocolViolation(`it sent an error or notice of more than ${mostFields} fields`);
    if (field === 0x43) hasCode = /^[0-9A-Z]{5}$/.test(fields.decoded());
    else {
      fields.text();
      if (field === 0x4d) hasMessage = true;
    }
  }
  fields.done();
  if (!hasCode || !hasMessage)
    throw new ProtocolViolation('it sent an error or notice without a code or a message');
}

/** @returns the count of columns */
function rowDescription(fields: Fields): number {
  const columns = fields.int16();
  if (columns < 0) throw malformed(type.rowDescription);
  for (let column = 0; column < columns; column++) fields.text().skip(18);
  fields.done();
  return columns;
}

function copy(fields: Fields): void {
  fields.byte();
  fields.skip(2 * Math.max(0, fields.int16())).done();
}
