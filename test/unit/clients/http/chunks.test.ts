import { describe, expect, test } from 'vitest';

import { ChunkReader } from '../../../../src/clients/http/chunks.ts';

/** What a reader makes of a body that comes in pieces of so many bytes. */
function readIn(size: number, body: Buffer) {
  const reader = new ChunkReader();
  const pieces: Buffer[] = [];
  let used = 0;
  for (let at = 0; at < body.length && !reader.done; at += size)
    used += reader.read(Buffer.from(body.subarray(at, at + size)), (piece) =>
      pieces.push(Buffer.from(piece)),
    );
  return { pieces, used, done: reader.done };
}

const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`;

describe('a body in chunks', () => {
  test('chunks of a byte each that come at once are handed on as one piece', () => {
    const data = 'abcdefghij'.repeat(1000);
    const body = Buffer.from(`${Array.from(data, (letter) => chunk(letter)).join('')}0\r\n\r\n`);
    const { pieces, used, done } = readIn(body.length, body);
    expect({ pieces: pieces.length, used, done }).toEqual({ pieces: 1, used: body.length, done: true });
    expect(pieces[0]?.toString()).toBe(data);
  });

  test('small and large chunks, however they come, are the same body', () => {
    const sizes = [1, 3, 5000, 1, 4095, 4096, 4097, 2, 20_000, 7];
    const parts = sizes.map((size, index) => String.fromCharCode(97 + index).repeat(size));
    const body = Buffer.from(`${parts.map(chunk).join('')}0\r\nA: b\r\n\r\n`);
    for (const size of [1, 2, 7, 100, 4096, 4097, 10_000, body.length]) {
      const { pieces, used, done } = readIn(size, body);
      expect({ size, used, done }).toEqual({ size, used: body.length, done: true });
      expect(Buffer.concat(pieces).toString() === parts.join(''), `in pieces of ${size}`).toBe(true);
    }
  });

  test('what came before a fault is handed on', () => {
    const reader = new ChunkReader();
    const pieces: string[] = [];
    const body = Buffer.from(`${chunk('a')}${chunk('b')}x\r\n`);
    expect(() => reader.read(body, (piece) => pieces.push(piece.toString()))).toThrow('is not a number');
    expect(pieces).toEqual(['ab']);
  });
});
