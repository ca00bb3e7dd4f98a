// The part of the DNS wire format (RFC 1035, RFC 2782, RFC 3596) that a test server needs.

export const typeNumbers = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
} as const;
export const codeNumbers = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;

export type DnsCode = keyof typeof codeNumbers;

/** Resource record as a test writes it; the owner is the name asked for unless `name` is given. `ttl` in seconds. */
export type DnsRecord = { name?: string; ttl?: number } & (
  | { type: 'A' | 'AAAA'; address: string }
  | { type: 'CNAME'; target: string }
  | { type: 'SRV'; target: string; port: number; priority?: number; weight?: number }
  | { type: 'TXT'; text: string | string[] }
  | { type: 'NS'; target: string }
  | { type: 'MX'; target: string; priority?: number }
);

export interface DnsQuestion {
  id: number;
  /** As it was written, without the final dot; '' is the root. */
  name: string;
  /** `A`, `SRV` …, or the number. */
  type: string;
  recursionDesired: boolean;
  /** The question section as it came, to be echoed byte for byte: some resolvers mix upper and lower case. */
  section: Buffer;
}

export function decodeQuestion(message: Buffer): DnsQuestion {
  const labels: string[] = [];
  let offset = 12;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length > 63) throw new Error('a question with a compressed name');
    offset += 1;
    if (length === 0) break;
    labels.push(message.toString('latin1', offset, offset + length));
    offset += length;
  }
  const number = message.readUInt16BE(offset);
  const known = Object.entries(typeNumbers).find(([, value]) => value === number);
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.'),
    type: known?.[0] ?? String(number),
    recursionDesired: (message.readUInt8(2) & 1) === 1,
    section: message.subarray(12, offset + 4),
  };
}

function encodeName(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of name.replace(/\.$/, '').split('.')) {
    if (label === '') continue;
    const bytes = Buffer.from(label, 'latin1');
    parts.push(Buffer.from([bytes.length]), bytes);
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function encodeIPv6(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  const bytes = Buffer.alloc(16);
  all.forEach((group, index) => bytes.writeUInt16BE(group, index * 2));
  return bytes;
}

function uint16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2));
  return bytes;
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number));
    case 'AAAA':
      return encodeIPv6(record.address);
    case 'MX':
      return Buffer.concat([uint16(record.priority ?? 10), encodeName(record.target)]);
    case 'NS':
    case 'CNAME':
      return encodeName(record.target);
    case 'SRV':
      return Buffer.concat([
        uint16(record.priority ?? 0, record.weight ?? 0, record.port),
        encodeName(record.target),
      ]);
    case 'TXT':
    default:
      return Buffer.concat(
        [record.text].flat().flatMap((text) => {
          const bytes = Buffer.from(text);
          return [Buffer.from([bytes.length]), bytes];
        }),
      );
  }
}

function encodeRecord(owner: string, record: DnsRecord): Buffer {
  const data = encodeData(record);
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(record.ttl ?? 1);
  return Buffer.concat([
    encodeName(record.name ?? owner),
    uint16(typeNumbers[record.type], 1),
    ttl,
    uint16(data.length),
    data,
  ]);
}

/** An authoritative reply to the question. */
export function encodeReply(
  question: DnsQuestion,
  code: DnsCode,
  records: readonly DnsRecord[],
  truncated: boolean,
): Buffer {
  // QR and AA; TC; RD as it came; RA, without which stub resolvers may look elsewhere.
  const flags =
    0x8400 | (truncated ? 0x0200 : 0) | (question.recursionDesired ? 0x0100 : 0) | 0x0080 | codeNumbers[code];
  return Buffer.concat([
    uint16(question.id, flags, 1, records.length, 0, 0),
    question.section,
    ...records.map((record) => encodeRecord(question.name, record)),
  ]);
}
