import type { ServerConversation, TakeAnswer } from '../connection/conversation.ts';
import { bson, int32, NotMongodb, readBson, type BsonDocument, type BsonInput } from './bson.ts';

/** The one operation that is sent and answered (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/). */
const opMessage = 2013;

/** More than the answer to anything that is asked here has. */
const longest = 1 << 20;

/** Bytes of a message before its sections: length, number, the number it answers, operation, flags. */
const head = 20;

/** Whether a checksum of four bytes ends a message, and whether more messages follow it unasked. */
const flag = { checksum: 1, more: 2 } as const;

let requests = 0;

/**
 * Sends a command to a database and reads its answer.
 * @throws NotMongodb, and what a conversation throws
 */
export async function askMongodb(
  conversation: ServerConversation,
  database: string,
  command: { readonly [name: string]: BsonInput },
): Promise<BsonDocument> {
  requests = (requests + 1) % 0x7f_ff_ff_ff;
  const request = requests;
  const body = bson({ ...command, $db: database });
  conversation.write(
    Buffer.concat([
      int32(head + 1 + body.length),
      int32(request),
      int32(0),
      int32(opMessage),
      // No flags; a section of one document.
      Buffer.alloc(5),
      body,
    ]),
  );
  return conversation.read(takeMessage(request), longest);
}

function takeMessage(request: number): TakeAnswer<BsonDocument> {
  return (heard) => {
    if (heard.length < 4) return undefined;
    const length = heard.readInt32LE(0);
    if (length < head + 6 || length > longest) throw new NotMongodb();
    // What speaks otherwise is known by this already.
    if (heard.length < 16) return undefined;
    if (heard.readInt32LE(8) !== request || heard.readInt32LE(12) !== opMessage) throw new NotMongodb();
    if (heard.length < length) return undefined;
    const flags = heard.readUInt32LE(16);
    if ((flags & flag.more) !== 0 || heard[head] !== 0) throw new NotMongodb();
    const end = length - ((flags & flag.checksum) === 0 ? 0 : 4);
    const size = heard.readInt32LE(head + 1);
    if (size < 5 || head + 1 + size > end) throw new NotMongodb();
    return { value: readBson(heard.subarray(head + 1, head + 1 + size)), length };
  };
}
