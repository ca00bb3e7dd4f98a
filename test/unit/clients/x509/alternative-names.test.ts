import { describe, expect, test } from 'vitest';

import { parseAlternativeName } from '../../../../src/clients/x509/alternative-names.ts';

describe('a name of a certificate', () => {
  test.each<[given: string, text: string, hex?: string]>([
    ['shop', 'shop', '820473686f70'],
    ['Shop.Prod.svc.cluster.local.', 'shop.prod.svc.cluster.local'],
    ['*.kafka.prod', '*.kafka.prod'],
    ['my_db-0.x', 'my_db-0.x'],
    ['10.0.0.4', '10.0.0.4', '87040a000004'],
    ['::1', '::1', '871000000000000000000000000000000001'],
    ['::', '::', '871000000000000000000000000000000000'],
    ['FD00:0:0:1::00ab', 'fd00:0:0:1::ab', '8710fd0000000000000100000000000000ab'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8', '871000010002000300040005000600070008'],
    ['::ffff:10.0.0.4', '::ffff:a00:4', '871000000000000000000000ffff0a000004'],
  ])('%s', (given, text, hex) => {
    const name = parseAlternativeName(given);
    expect(name.text).toBe(text);
    if (hex !== undefined) expect(name.element.toString('hex')).toBe(hex);
  });

  test.each<[given: string, said: string]>([
    ['', 'the name is empty'],
    ['.', 'is not a DNS name'],
    ['a..b', 'is not a DNS name'],
    ['-a', 'is not a DNS name'],
    ['a-', 'is not a DNS name'],
    ['a b', 'is not a DNS name'],
    ['a\u0000b', 'is not a DNS name'],
    ['m\u00fcnchen.example', 'beyond ASCII in punycode'],
    ['https://shop', 'is not a DNS name'],
    ['shop:443', 'is not a DNS name'],
    ['a.*.b', 'is not a DNS name'],
    ['fe80::1%eth0', 'is not a DNS name'],
    [`${'a'.repeat(64)}.b`, 'is not a DNS name'],
    [Array.from({ length: 64 }, () => 'abc').join('.'), 'is not a DNS name'],
    ['*', 'is not a DNS name'],
    ['*.kafka', 'no wildcard before a single label'],
    ['10.0.0.256', 'looks like an IP address and is not a valid one'],
    ['10.0.0', 'looks like an IP address'],
    ['1', 'looks like an IP address'],
  ])('%j is refused', (given, said) => {
    expect(() => parseAlternativeName(given)).toThrow(said);
  });
});
