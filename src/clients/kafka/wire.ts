import type { ServerConversation, TakeAnswer } from '../connection/conversation.ts';

/** What answers does not speak Kafka's protocol. */
export class NotKafka extends Error {}

/** Requests, by key and the version that is sent: each is known to Kafka 1.0 and to 4.x (https://kafka.apache.org/protocol). */
export const kafkaRequest = {
  apiVersions: [18, 0],
  saslHandshake: [17, 1],
  saslAuthenticate: [36, 0],
  // The first that can ask without making the topic.
  metadata: [3, 4],
} as const;

/** More than what is said of some topics and all brokers has. */
const longest = 4 * 1024 * 1024;

/** Sends a request and reads its answer. @throws NotKafka, and what a conversation throws */
export async function askKafka(
  conversation: ServerConversation,
  [key, version]: readonly [key: number, version: number],
  ...fields: readonly Buffer[]
): Promise<KafkaFields> {
  const head = Buffer.alloc(8);
  head.writeInt16BE(key, 0);
  head.writeInt16BE(version, 2);
  head.writeInt32BE(key, 4);
  const request = Buffer.concat([head, kafkaText('initbox'), ...fields]);
  conversation.write(Buffer.concat([kafkaNumber(request.length), request]));
  const answer = new KafkaFields(await conversation.read(takeFrame, longest));
  // The number of the request, which is its key.
  if (answer.number(4) !== key) throw new NotKafka();
  return answer;
}

const takeFrame: TakeAnswer<Buffer> = (heard) => {
  if (heard.length < 4) return undefined;
  const length = heard.readInt32BE(0);
  if (length < 4 || length > longest - 4) throw new NotKafka();
  if (heard.length < 4 + length) return undefined;
  return { value: heard.subarray(4, 4 + length), length: 4 + length };
};

/** Reads the fields of an answer one after another. @throws NotKafka where it ends too soon */
export class KafkaFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  bytes(count: number): Buffer {
    if (count < 0 || count > this.#bytes.length - this.#at) throw new NotKafka();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(count: 1 | 2 | 4): number {
    return this.bytes(count).readIntBE(0, count);
  }

  /** Undefined for null. */
  text(): string | undefined {
    const length = this.number(2);
    return length === -1 ? undefined : this.bytes(length).toString();
  }

  list<T>(read: () => T): readonly T[] {
    const count = this.number(4);
    // Each has a byte at least.
    if (count < 0 || count > this.#bytes.length - this.#at) throw new NotKafka();
    return Array.from({ length: count }, read);
  }
}

export function kafkaNumber(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function kafkaText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function kafkaBytes(bytes: Buffer): Buffer {
  return Buffer.concat([kafkaNumber(bytes.length), bytes]);
}
