import { describe, expect, test } from 'vitest';

import { interfaceReader, ordinalAt, timeReader } from '../../../src/clients/pod-sources.ts';
import { parseSource } from '../../../src/config/source.ts';
import type { InterfaceAddress } from '../../../src/core/host.ts';

const probe = { signal: new AbortController().signal, phase: () => {} };
const address = (text: string) => parseSource(text, () => {});

describe('time:', () => {
  test.each([
    ['time:iso', '2026-01-01T00:59:59Z'],
    ['time:date', '2026-01-01'],
    ['time:unix', 1_767_229_199],
  ])('%s', async (text, value) => {
    const read = timeReader(address(text), new Date('2025-12-31T23:59:59.999-01:00'), undefined);
    expect(await read(probe)).toMatchObject({
      fetched: { content: { kind: 'value', value }, secret: false },
    });
  });
});

describe('ordinal:', () => {
  test.each([
    ['web-0', '', 0],
    ['my-web-12', '', 12],
    ['7', '?plus=9092', 9099],
    ['web-3', '?plus=-1', 2],
    ['web-999999999', '', 999_999_999],
  ])('of %s%s', (POD_NAME, options, ordinal) =>
    expect(ordinalAt(address(`ordinal:POD_NAME${options}`), { POD_NAME })).toBe(ordinal),
  );

  test.each(['', 'web', 'web0', 'web-00', 'web-1a', 'web-1 ', 'web-1234567890', 'web.1', '-'])(
    'none of %j, whose text is not told',
    (POD_NAME) => {
      const read = () => ordinalAt(address('ordinal:POD_NAME'), { POD_NAME });
      expect(read).toThrow('ordinal:POD_NAME ends with no ordinal, as web-0 and web-12 do; ');
      if (POD_NAME.length > 4) expect(read).not.toThrow(POD_NAME);
    },
  );

  test('a variable that is not set, also one that every object has', () => {
    expect(() => ordinalAt(address('ordinal:POD_NAME'), {})).toThrow('ordinal:POD_NAME is not set');
    expect(() => ordinalAt(address('ordinal:constructor'), {})).toThrow('is not set');
  });
});

describe('interface:', () => {
  const at = (name: string, ip: string): InterfaceAddress => ({
    name,
    address: ip,
    family: ip.includes(':') ? 6 : 4,
    internal: name === 'lo',
  });
  const all = [
    at('lo', '127.0.0.1'),
    at('eth0', '169.254.3.4'),
    at('eth0', '10.0.0.9'),
    at('net1', '192.168.7.1'),
    at('lo', '::1'),
    at('eth0', 'fd00::9'),
    at('eth0', 'fe80::1'),
    at('v6', 'FEBF::1'),
    at('v6', 'fec0::1'),
  ];
  const read = (text: string, addresses = all) =>
    interfaceReader(address(text), { interfaceAddresses: () => addresses }, undefined)(probe);
  const value = (expected: unknown) => ({
    state: 'fetched',
    fetched: { content: { kind: 'value', value: expected } },
  });

  test.each<[string, unknown]>([
    ['interface:eth0#address', '10.0.0.9'],
    ['interface:eth0#ipv4', '10.0.0.9'],
    ['interface:eth0#ipv6', 'fd00::9'],
    ['interface:eth0#addresses', ['10.0.0.9', 'fd00::9']],
    ['interface:v6#address', 'fec0::1'],
    ['interface:*#addresses', ['10.0.0.9', '192.168.7.1', 'fd00::9', 'fec0::1']],
    ['interface:*?join=, #addresses', '10.0.0.9, 192.168.7.1, fd00::9, fec0::1'],
  ])('%s', async (text, expected) => expect(await read(text)).toMatchObject(value(expected)));

  test.each([
    ['interface:eth1', 'is not there, or is down'],
    ['interface:lo', 'has no global address'],
    ['interface:net1#ipv6', 'has no global IPv6 address'],
    ['interface:v6#ipv4', 'has no global IPv4 address'],
  ])('%s is waited for', async (text, reason) =>
    expect(await read(text)).toMatchObject({
      state: 'not-yet',
      reason,
      hint: 'interfaces with addresses here are lo, eth0, net1, v6',
    }),
  );

  test('in a pod without any', async () =>
    expect(await read('interface:*#ipv4', [])).toMatchObject({
      reason: 'has no global IPv4 address',
      hint: 'interfaces with addresses here are none',
    }));
});
