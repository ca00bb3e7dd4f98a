import { randomBytes } from 'node:crypto';

import type { TakeAnswer } from '../connection/conversation.ts';

/** What answers does not speak WebSocket. */
export class NotWebSocket extends Error {}

/** Operation codes (RFC 6455, 5.2). */
export const webSocketOperation = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface WebSocketFrame {
  readonly operation: number;
  /** The last frame of a message. */
  readonly last: boolean;
  readonly payload: Buffer;
}

/** Bytes of a message, and of the answer's head, that are read. */
export const mostWebSocketBytes = 64 * 1024;

/** Takes one frame of a server off the front of what has come. @throws NotWebSocket */
export const takeWebSocketFrame: TakeAnswer<WebSocketFrame> = (heard) => {
  if (heard.length < 2) return undefined;
  const [first = 0, second = 0] = heard;
  // No extension was agreed on, and a server masks nothing (RFC 6455, 5.1 and 5.2).
  if ((first & 0x70) !== 0 || (second & 0x80) !== 0) throw new NotWebSocket();
  const operation = first & 0x0f;
  if (!Object.values<number>(webSocketOperation).includes(operation)) throw new NotWebSocket();
  const last = (first & 0x80) !== 0;
  if (operation >= webSocketOperation.close && (!last || second > 125)) throw new NotWebSocket();
  const head = second === 127 ? 10 : second === 126 ? 4 : 2;
  if (heard.length < head) return undefined;
  const length =
    second === 127 ? Number(heard.readBigUInt64BE(2)) : second === 126 ? heard.readUInt16BE(2) : second;
  if (length > mostWebSocketBytes) throw new NotWebSocket();
  if (heard.length < head + length) return undefined;
  const payload = Buffer.from(heard.subarray(head, head + length));
  return { value: { operation, last, payload }, length: head + length };
};

/** A frame of a client, which is masked (RFC 6455, 5.3). */
export function webSocketFrame(operation: number, payload: Uint8Array): Buffer {
  const mask = randomBytes(4);
  const size =
    payload.length > 125
      ? Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff])
      : Buffer.from([0x80 | payload.length]);
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x80 | operation]), size, mask, masked]);
}
