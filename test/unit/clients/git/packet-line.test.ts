import { describe, expect, test } from 'vitest';

import { packetOf, PacketReader, packetsIn } from '../../../../src/clients/git/packet-line.ts';

const texts = (packets: ReturnType<typeof packetsIn>): string[] =>
  packets.map((packet) => (typeof packet === 'string' ? `(${packet})` : packet.toString()));

describe('packets', () => {
  const bytes = Buffer.from(`${packetOf('hello\n')}0000${packetOf('ü')}0001${packetOf('')}0002`);
  const read = ['hello\n', '(flush)', 'ü', '(delimiter)', '', '(end of response)'];

  test('are read as they were written', () => expect(texts(packetsIn(bytes))).toEqual(read));

  test.each([1, 2, 3, 5, 7])('also in pieces of %i bytes', (size) => {
    const packets: ReturnType<typeof packetsIn> = [];
    const reader = new PacketReader((packet) =>
      packets.push(typeof packet === 'string' ? packet : Buffer.from(packet)),
    );
    for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size));
    expect(texts(packets)).toEqual(read);
    expect(reader.isBetween).toBe(true);
  });

  test.each(['0003', 'fff1', 'ffff', 'xyz1', '-001', '+004', '<htm'])('%s is none', (text) =>
    expect(() => packetsIn(Buffer.from(text))).toThrow(/not a packet/),
  );

  test('that are cut are told from whole ones', () =>
    expect(() => packetsIn(Buffer.from('0008abc'))).toThrow(/ends inside a packet/));
});
