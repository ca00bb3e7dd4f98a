import type { TakeAnswer } from '../connection/conversation.ts';

/** What answers does not speak AMQP 0-9-1. */
export class NotAmqp extends Error {}

/** A method that a server sends (https://www.rabbitmq.com/amqp-0-9-1-reference). */
export interface AmqpMethod {
  /** `10.10`: class and method. */
  readonly id: string;
  readonly channel: number;
  readonly fields: AmqpFields;
}

/** The first bytes of a client (AMQP 0-9-1, 4.2.2); a server of another version answers with its own. */
export const amqpHeader = Buffer.from('AMQP\0\0\u0009\u0001', 'latin1');

const frameEnd = 0xce;
const methodFrame = 1;

/** More than any method that is asked for here has. */
const longest = 32 * 1024;

/** Takes one frame off the front of what has come; undefined of one that is no method, a heartbeat. @throws NotAmqp */
export const takeAmqpFrame: TakeAnswer<AmqpMethod | 'heartbeat'> = (heard) => {
  if (heard.length > 0 && (heard.readUInt8(0) < 1 || heard.readUInt8(0) > 8)) throw new NotAmqp();
  if (heard.length < 7) return undefined;
  const size = heard.readUInt32BE(3);
  if (size > longest) throw new NotAmqp();
  if (heard.length < size + 8) return undefined;
  if (heard[size + 7] !== frameEnd) throw new NotAmqp();
  const length = size + 8;
  if (heard.readUInt8(0) !== methodFrame) return { value: 'heartbeat', length };
  const fields = new AmqpFields(heard.subarray(7, size + 7));
  const id = `${fields.number(2)}.${fields.number(2)}`;
  return { value: { id, channel: heard.readUInt16BE(1), fields }, length };
};

export function amqpMethod(channel: number, id: string, ...fields: readonly Buffer[]): Buffer {
  const [classId = 0, methodId = 0] = id.split('.').map(Number);
  const payload = Buffer.concat([amqpShort(classId), amqpShort(methodId), ...fields]);
  return Buffer.concat([
    Buffer.from([methodFrame]),
    amqpShort(channel),
    amqpLong(payload.length),
    payload,
    Buffer.from([frameEnd]),
  ]);
}

/** Reads the fields of a method one after another. @throws NotAmqp where it ends too soon */
export class AmqpFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  bytes(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new NotAmqp();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(count: 1 | 2 | 4): number {
    return this.bytes(count).readUIntBE(0, count);
  }

  shortText(): string {
    return this.bytes(this.number(1)).toString();
  }

  /** A long text, or a table. */
  longText(): string {
    return this.bytes(this.number(4)).toString('latin1');
  }
}

export function amqpShort(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function amqpLong(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function amqpShortText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

export function amqpLongText(bytes: Buffer): Buffer {
  return Buffer.concat([amqpLong(bytes.length), bytes]);
}

export const noAmqpTable = amqpLong(0);
