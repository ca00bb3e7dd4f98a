/** What answers does not speak MongoDB's protocol. */
export class NotMongodb extends Error {}

/** A value of what is sent. */
export type BsonInput = string | number | boolean | Buffer | { readonly [name: string]: BsonInput };

/** A value of what is received; undefined for those of types that nothing here looks at. */
export type BsonValue = string | number | boolean | Buffer | BsonDocument | undefined;

/** An array has its indexes as names. */
export type BsonDocument = ReadonlyMap<string, BsonValue>;

/** The types of BSON (https://bsonspec.org/spec.html) that are sent. */
const type = { text: 2, document: 3, binary: 5, boolean: 8, int32: 16 } as const;

/** Writes a document; numbers are whole ones of 32 bits. */
export function bson(document: { readonly [name: string]: BsonInput }): Buffer {
  const fields = Object.entries(document).map(([name, value]) => {
    const [kind, bytes] = written(value);
    return Buffer.concat([Buffer.from([kind]), Buffer.from(`${name}\0`), bytes]);
  });
  const body = Buffer.concat([...fields, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function written(value: BsonInput): readonly [kind: number, bytes: Buffer] {
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0`);
    return [type.text, Buffer.concat([int32(text.length), text])];
  }
  if (typeof value === 'number') return [type.int32, int32(value)];
  if (typeof value === 'boolean') return [type.boolean, Buffer.from([value ? 1 : 0])];
  if (Buffer.isBuffer(value))
    return [type.binary, Buffer.concat([int32(value.length), Buffer.from([0]), value])];
  return [type.document, bson(value)];
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** Documents within documents, which no answer here has more of. */
const deepest = 20;

/** Reads a document that takes all of the bytes. @throws NotMongodb */
export function readBson(bytes: Buffer, depth = 0): BsonDocument {
  if (depth > deepest || bytes.length < 5 || bytes.readInt32LE(0) !== bytes.length || bytes.at(-1) !== 0)
    throw new NotMongodb();
  const found = new Map<string, BsonValue>();
  const end = bytes.length - 1;
  for (let at = 4; at < end;) {
    const kind = bytes[at] ?? 0;
    const nameEnd = bytes.indexOf(0, at + 1);
    if (nameEnd < 0 || nameEnd >= end) throw new NotMongodb();
    const name = bytes.toString('utf8', at + 1, nameEnd);
    const start = nameEnd + 1;
    const length = lengthOf(kind, bytes, start);
    if (length === undefined || length < 0 || start + length > end) throw new NotMongodb();
    found.set(name, readValue(kind, bytes.subarray(start, start + length), depth));
    at = start + length;
  }
  return found;
}

/** Bytes of the types that always have as many: double, undefined, ObjectId, boolean, date, null, int32, timestamp, int64, decimal128, min and max key. */
const fixed: Readonly<Record<number, number>> = {
  1: 8,
  6: 0,
  7: 12,
  8: 1,
  9: 8,
  10: 0,
  16: 4,
  17: 8,
  18: 8,
  19: 16,
  127: 0,
  255: 0,
};

/** Bytes of a value; undefined where that is not one of any type that an answer has. */
function lengthOf(kind: number, bytes: Buffer, start: number): number | undefined {
  const known = fixed[kind];
  if (known !== undefined) return known;
  if (start + 4 > bytes.length) return undefined;
  const counted = bytes.readInt32LE(start);
  // Text, JavaScript, symbol.
  if (kind === 2 || kind === 13 || kind === 14) return counted < 1 ? undefined : counted + 4;
  if (kind === 3 || kind === 4) return counted;
  if (kind === 5) return counted < 0 ? undefined : counted + 5;
  return undefined;
}

function readValue(kind: number, bytes: Buffer, depth: number): BsonValue {
  switch (kind) {
    case 1:
      return bytes.readDoubleLE(0);
    case 2:
      return bytes.toString('utf8', 4, bytes.length - 1);
    case 3:
    case 4:
      return readBson(bytes, depth + 1);
    case 5:
      return bytes.subarray(5);
    case 8:
      return bytes[0] === 1;
    case 16:
      return bytes.readInt32LE(0);
    case 18:
      return Number(bytes.readBigInt64LE(0));
    default:
      return undefined;
  }
}
