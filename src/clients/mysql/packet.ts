import type { TakeAnswer } from '../connection/conversation.ts';

/** What answers does not speak the protocol of MySQL and MariaDB. */
export class NotMysql extends Error {
  constructor() {
    super('what answers there is not MySQL or MariaDB');
  }
}

/** One packet of the protocol (https://mariadb.com/kb/en/0-packet/): three bytes of length, one of sequence, a payload. */
export interface MysqlPacket {
  readonly sequence: number;
  readonly payload: Buffer;
}

/** No packet that is asked for here is longer: a greeting, a word on a login, a row with one value. */
const longest = 60_000;

/** Takes one packet off the front of what has come. @throws NotMysql */
export const takeMysqlPacket: TakeAnswer<MysqlPacket> = (heard) => {
  if (heard.length < 4) return undefined;
  const length = heard.readUIntLE(0, 3);
  if (length === 0 || length > longest) throw new NotMysql();
  if (heard.length < 4 + length) return undefined;
  return {
    value: { sequence: heard.readUInt8(3), payload: heard.subarray(4, 4 + length) },
    length: 4 + length,
  };
};

export function mysqlPacket(sequence: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head.writeUInt8(sequence & 0xff, 3);
  return Buffer.concat([head, payload]);
}

/** Reads the fields of a payload one after another. @throws NotMysql where it ends too soon */
export class MysqlFields {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, from = 0) {
    this.#bytes = bytes;
    this.#at = from;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(count: number): Buffer {
    if (count < 0 || count > this.left) throw new NotMysql();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** A little-endian number of so many bytes. */
  number(count: 1 | 2 | 3 | 4): number {
    return this.bytes(count).readUIntLE(0, count);
  }

  /** Up to a NUL, or, where none is to come, to the end. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const bytes = this.bytes((end < 0 ? this.#bytes.length : end) - this.#at);
    if (end >= 0) this.#at += 1;
    return bytes.toString();
  }

  /** A text behind its length; undefined for NULL (https://mariadb.com/kb/en/protocol-data-types/). */
  measured(): string | undefined {
    const first = this.number(1);
    if (first === 0xfb) return undefined;
    const width = first === 0xfc ? 2 : first === 0xfd ? 3 : undefined;
    if (first > 0xfd) throw new NotMysql();
    return this.bytes(width === undefined ? first : this.number(width)).toString();
  }
}

/** What a server says of itself before anybody logs in. */
export interface MysqlGreeting {
  /** `10.11.19-MariaDB`, `8.4.6`. */
  readonly version: string;
  readonly capabilities: number;
  readonly challenge: Buffer;
  readonly plugin: string;
}

/** Flags of both ends (https://mariadb.com/kb/en/connection/#capabilities). */
export const mysqlCapability = {
  longPassword: 1,
  connectWithDatabase: 8,
  protocol41: 0x200,
  tls: 0x800,
  transactions: 0x2000,
  secureConnection: 0x8000,
  pluginAuth: 0x8_0000,
} as const;

/** An error of the server (https://mariadb.com/kb/en/err_packet/). */
export interface MysqlError {
  /** `1045` (https://mariadb.com/kb/en/mariadb-error-code-reference/). */
  readonly code: number;
  readonly message: string;
}

/** The error that a payload is; undefined where it is something else. */
export function mysqlErrorIn(payload: Buffer): MysqlError | undefined {
  if (payload[0] !== 0xff) return undefined;
  const fields = new MysqlFields(payload, 1);
  const code = fields.number(2);
  const said = fields.bytes(fields.left).toString();
  // Behind a # stands an SQLSTATE, which an error before the login does not have.
  return { code, message: said.startsWith('#') ? said.slice(6) : said };
}

/** @throws NotMysql */
export function readMysqlGreeting(payload: Buffer): MysqlGreeting {
  const fields = new MysqlFields(payload);
  // Version 10 is the protocol since MySQL 3.21.
  if (fields.number(1) !== 10) throw new NotMysql();
  const version = fields.text();
  fields.number(4);
  const first = fields.bytes(8);
  fields.bytes(1);
  const low = fields.number(2);
  fields.bytes(3);
  const high = fields.number(2);
  const length = fields.number(1);
  fields.bytes(10);
  const second = fields.bytes(Math.min(Math.max(13, length - 8), fields.left));
  const plugin = fields.left > 0 ? fields.text() : 'mysql_native_password';
  const capabilities = (low | (high << 16)) >>> 0;
  if ((capabilities & mysqlCapability.protocol41) === 0) throw new NotMysql();
  // 20 bytes and a NUL.
  return { version, capabilities, challenge: Buffer.concat([first, second]).subarray(0, 20), plugin };
}
