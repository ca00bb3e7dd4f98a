import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

import { describe, expect, test } from 'vitest';

import { Wire } from '../../../../src/clients/postgres/wire.ts';
import { dataRow, message, notice, one, welcome } from '../../../integration/clients/postgres/messages.ts';

/** What a wire uses of a socket, with what was done to it. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  readonly paused: boolean[] = [];

  pause(): void {
    this.paused.push(true);
  }

  resume(): void {
    this.paused.push(false);
  }

  write(): boolean {
    return true;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

async function opened(): Promise<{ wire: Wire; socket: FakeSocket; got: Buffer[]; events: string[] }> {
  const socket = new FakeSocket();
  const wire = new Wire(socket as unknown as Socket, (text) => text.replaceAll('s3cret', '***'));
  const got: Buffer[] = [];
  const events: string[] = [];
  wire.on('data', (bytes: Buffer) => got.push(bytes));
  wire.on('error', (error: Error) => events.push(error.message));
  for (const name of ['end', 'close']) wire.on(name, () => events.push(name));
  await new Promise((resolve) => wire.on('connect', resolve).connect());
  return { wire, socket, got, events };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what the driver gets', () => {
  test.each([1, 2, 3, 5, 7, 64, 1000])(
    'whole messages, where they come in pieces of %i bytes',
    async (size) => {
      const { wire, socket, got, events } = await opened();
      const sent = Buffer.concat([...welcome, notice]);
      for (let at = 0; at < sent.length; at += size) socket.emit('data', sent.subarray(at, at + size));
      wire.write(Buffer.from('Q'));
      const answer = Buffer.concat(one);
      for (let at = 0; at < answer.length; at += size) socket.emit('data', answer.subarray(at, at + size));
      expect(Buffer.concat(got)).toEqual(Buffer.concat([sent, answer]));
      for (const bytes of got) {
        let at = 0;
        while (at < bytes.length) at += bytes.readUInt32BE(at + 1) + 1;
        expect(at).toBe(bytes.length);
      }
      expect(events).toEqual([]);
    },
  );

  test.each([1, 4, 6, 20, 5000])('no row that nobody reads, in pieces of %i bytes', async (size) => {
    const { wire, socket, got, events } = await opened();
    socket.emit('data', Buffer.concat([...welcome]));
    got.length = 0;
    wire.discardRows(true);
    wire.write(Buffer.from('Q'));
    const [columns, row, complete, ready] = one as [Buffer, Buffer, Buffer, Buffer];
    const answer = Buffer.concat([columns, row, dataRow(['x'.repeat(9000)]), notice, row, complete, ready]);
    for (let at = 0; at < answer.length; at += size) socket.emit('data', answer.subarray(at, at + size));
    expect(Buffer.concat(got)).toEqual(Buffer.concat([columns, notice, complete, ready]));
    expect(events).toEqual([]);
  });

  test('no answer that goes on and on, unless nobody reads its rows', async () => {
    const row = dataRow(['x'.repeat(1_000_000)]);
    for (const discards of [false, true]) {
      const { wire, socket, events } = await opened();
      socket.emit('data', Buffer.concat(welcome));
      wire.discardRows(discards);
      wire.write(Buffer.from('Q'));
      socket.emit('data', one[0]);
      for (let count = 0; count < 20; count++) socket.emit('data', row);
      expect(events.join()).toBe(
        discards
          ? ''
          : 'the connection broke: what the server sent is not valid: its answer to one query has more than 16777216 bytes',
      );
    }
  });

  test('what came before a wrong message, then the error', async () => {
    const { socket, got, events } = await opened();
    socket.emit('data', Buffer.concat([...welcome, dataRow(['1'])]));
    expect(Buffer.concat(got)).toEqual(Buffer.concat(welcome));
    expect(events).toEqual([
      'the connection broke: what the server sent is not valid: it sent a message of type "D", which is not due',
    ]);
    expect(socket.destroyed).toBe(true);
    socket.emit('data', notice);
    expect(got).toHaveLength(1);
  });
});

test('an error of whoever reads is the connection’s, and does not leave the socket’s event', async () => {
  const { wire, socket, events } = await opened();
  wire.on('data', () => {
    throw new TypeError('Cannot read properties of null');
  });
  socket.emit('data', Buffer.concat(welcome));
  expect(events).toEqual([
    'the connection broke: the server’s answer cannot be read (Cannot read properties of null)',
  ]);
  expect(socket.destroyed).toBe(true);
});

describe('many messages at once', () => {
  test('come a part at a time, so that timers and signals have their turn, and the end comes after them', async () => {
    const { socket, got, events } = await opened();
    socket.emit('data', Buffer.concat(welcome));
    const setting = message('S', 'a\0b\0');
    socket.emit('data', Buffer.concat(Array.from({ length: 3000 }, () => setting)));
    socket.emit('end');
    socket.emit('close');
    const count = (): number => Buffer.concat(got).length;
    expect(count()).toBeLessThan(1100 * setting.length);
    expect(socket.paused.at(-1)).toBe(true);
    expect(events).toEqual([]);
    for (let index = 0; index < 4; index++) await turn();
    expect(count()).toBe(Buffer.concat(welcome).length + 3000 * setting.length);
    expect(socket.paused.at(-1)).toBe(false);
    expect(events).toEqual(['end', 'connection closed', 'close']);
  });

  test('are not handed on once the connection is destroyed', async () => {
    const { wire, socket, got } = await opened();
    socket.emit('data', Buffer.concat([...welcome, ...Array.from({ length: 3000 }, () => notice)]));
    const before = Buffer.concat(got).length;
    wire.destroy();
    for (let index = 0; index < 4; index++) await turn();
    expect(Buffer.concat(got).length).toBe(before);
  });
});

describe('a text of the server', () => {
  const bytesOf = (...fields: readonly (readonly [string, string])[]): Buffer => {
    const body = Buffer.concat([
      ...fields.map(([code, text]) => Buffer.from(`${code}${text}\0`)),
      Buffer.from('\0'),
    ]);
    const head = Buffer.from('E\0\0\0\0', 'latin1');
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const fieldsIn = (bytes: Buffer): Map<string, string> => {
    expect(bytes.readUInt32BE(1)).toBe(bytes.length - 1);
    return new Map(
      bytes
        .subarray(5)
        .toString()
        .split('\0')
        .filter((field) => field !== '')
        .map((field) => [field.charAt(0), field.slice(1)]),
    );
  };
  const start = [
    ['S', 'ERROR'],
    ['C', 'P0001'],
  ] as const;

  test('stays as it is where it is short', async () => {
    const { socket, got } = await opened();
    const long = bytesOf(...start, ['M', 'no s3cret'], ['D', 'x'.repeat(2000)]);
    socket.emit('data', long);
    expect(Buffer.concat(got)).toEqual(long);
  });

  test('is redacted, then cut', async () => {
    const { socket, got } = await opened();
    socket.emit('data', bytesOf(...start, ['M', `${'é'.repeat(1998)}s3cret!`], ['H', 'why']));
    const fields = fieldsIn(Buffer.concat(got));
    expect(fields.get('M')).toBe(`${'é'.repeat(1998)}**…`);
    expect(fields.get('H')).toBe('why');
  });

  test.each([
    ['whole', 1 << 24],
    ['in pieces', 1000],
  ])('is withheld where the sum is more than what is looked through: %s', async (_how, size) => {
    const { socket, got } = await opened();
    const long = bytesOf(
      ...start,
      ['M', `s3cret${'m'.repeat(9000)}`],
      ['D', `${'d'.repeat(9000)}s3cret`],
      ['H', 'a hint'],
      ['q', 'q'.repeat(9000)],
    );
    const after = bytesOf(...start, ['M', 'the next one']);
    const all = Buffer.concat([long, after]);
    for (let at = 0; at < all.length; at += size) {
      socket.emit('data', all.subarray(at, at + size));
      await new Promise((resolve) => void setImmediate(resolve));
    }
    const said = Buffer.concat(got);
    const first = said.subarray(0, said.readUInt32BE(1) + 1);
    const fields = fieldsIn(first);
    expect(fields.get('C')).toBe('P0001');
    expect(fields.get('M')).toBe(`***${'m'.repeat(1997)}…`);
    expect(fields.get('D')).toMatch(/^\(a text of .* which is not shown/);
    expect(fields.get('H')).toBe('a hint');
    expect(fields.has('q')).toBe(false);
    expect(said.subarray(first.length)).toEqual(after);
  });
});
