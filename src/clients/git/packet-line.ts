/** What separates packets (gitprotocol-common(5), gitprotocol-v2(5)). */
export type PacketMark = 'flush' | 'delimiter' | 'end of response';
export type Packet = Buffer | PacketMark;

export const flushPacket = '0000';
export const delimiterPacket = '0001';

const marks: Readonly<Record<number, PacketMark>> = { 0: 'flush', 1: 'delimiter', 2: 'end of response' };

/** Bytes of a packet's length, in hexadecimal digits, and of the longest packet with it (gitprotocol-common(5)). */
const lengthDigits = 4;
const longestPacket = 65_520;

/** What is not as the protocol has it. The message follows what answered. */
export class NotGit extends Error {
  override readonly name = 'NotGit';
}

/** A line as a packet. */
export function packetOf(line: string): string {
  const length = Buffer.byteLength(line) + lengthDigits;
  return `${length.toString(16).padStart(lengthDigits, '0')}${line}`;
}

/** Takes packets from bytes that come in pieces. */
export class PacketReader {
  readonly #take: (packet: Packet) => void;
  readonly #bytes = Buffer.allocUnsafeSlow(longestPacket);
  #length = 0;
  /** Of the packet that has begun, with its length's digits; undefined before these are there. */
  #whole: number | undefined;

  /** @param take is handed each packet, whose bytes are others once it returns */
  constructor(take: (packet: Packet) => void) {
    this.#take = take;
  }

  /** Whether no packet has begun that is not whole. */
  get isBetween(): boolean {
    return this.#length === 0;
  }

  /** @throws NotGit, or what the taker throws */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const wanted = (this.#whole ?? lengthDigits) - this.#length;
      const part = bytes.subarray(at, at + wanted);
      this.#bytes.set(part, this.#length);
      this.#length += part.length;
      at += part.length;
      if (part.length < wanted) return;
      if (this.#whole === undefined) this.#begin();
      if (this.#whole === this.#length) this.#end();
    }
  }

  #begin(): void {
    const digits = this.#bytes.toString('latin1', 0, lengthDigits);
    const length = /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    const mark = marks[length];
    if (mark !== undefined) {
      this.#length = 0;
      return this.#take(mark);
    }
    if (!(length >= lengthDigits && length <= longestPacket))
      throw new NotGit('sent something that is not a packet of Git’s protocol');
    this.#whole = length;
  }

  #end(): void {
    const packet = this.#bytes.subarray(lengthDigits, this.#length);
    this.#whole = undefined;
    this.#length = 0;
    this.#take(packet);
  }
}

/** All packets of an answer that is there. @throws NotGit */
export function packetsIn(bytes: Uint8Array): Packet[] {
  const packets: Packet[] = [];
  const reader = new PacketReader((packet) =>
    packets.push(typeof packet === 'string' ? packet : Buffer.from(packet)),
  );
  reader.write(bytes);
  if (!reader.isBetween) throw new NotGit('sent an answer that ends inside a packet');
  return packets;
}

/** A packet's line without its end; undefined for a mark. */
export function lineIn(packet: Packet | undefined): string | undefined {
  return packet instanceof Buffer ? packet.toString('utf8').replace(/\n$/, '') : undefined;
}
