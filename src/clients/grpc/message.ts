/** The few pieces of Protocol Buffers that are spoken here (https://protobuf.dev/programming-guides/encoding/). */

/** What came is not a message, or not the one that was asked for. */
export class NotProtobuf extends Error {}

/** Wire types. */
const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5];

/** A text or a message as a field. */
export function protobufField(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([
    protobufVarint((number << 3) | lengthDelimited),
    protobufVarint(bytes.length),
    bytes,
  ]);
}

/** A whole number below 2^31. */
export function protobufVarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

export interface ProtobufField {
  readonly number: number;
  /** A number, or the bytes of a text or message. Numbers of fixed length are left out. */
  readonly value: number | Buffer;
}

/** The fields of a message, in their order. @throws NotProtobuf */
export function protobufFields(bytes: Buffer): readonly ProtobufField[] {
  const fields: ProtobufField[] = [];
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new NotProtobuf();
    at += length;
    return bytes.subarray(at - length, at);
  };
  const takeVarint = (): number => {
    let value = 0;
    // At most 64 bits; more than 2^53 has no meaning here.
    for (let place = 1, count = 0; count < 10; count += 1, place *= 128) {
      const byte = take(1).readUInt8(0);
      value += (byte & 0x7f) * place;
      if (byte < 0x80) return value;
    }
    throw new NotProtobuf();
  };
  while (at < bytes.length) {
    const tag = takeVarint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (number < 1) throw new NotProtobuf();
    if (type === varint) fields.push({ number, value: takeVarint() });
    else if (type === lengthDelimited) fields.push({ number, value: take(takeVarint()) });
    else if (type === fixed64) take(8);
    else if (type === fixed32) take(4);
    else throw new NotProtobuf();
  }
  return fields;
}
