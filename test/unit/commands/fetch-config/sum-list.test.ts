import { describe, expect, test } from 'vitest';

import { sumFor } from '../../../../src/commands/fetch-config/sum-list.ts';

const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];

describe('the sum of a file in a list', () => {
  test.each([
    ['text mode', `${a}  other.tar\n${b}  site.tar.gz\n`, b],
    ['binary mode', `${b} *site.tar.gz\n`, b],
    ['capitals, CRLF', `${b.toUpperCase()}  site.tar.gz\r\n`, b],
    ['a byte order mark', `\uFEFF${b}  site.tar.gz\r\n${a}  other.tar\r\n`, b],
    ['BSD', `SHA256 (other) = ${a}\nSHA256 (site.tar.gz) = ${b}\n`, b],
    ['with a folder', `${b}  ./dist/site.tar.gz\n`, b],
    ['the very name comes before one in a folder', `${a}  old/site.tar.gz\n${b}  ./site.tar.gz\n`, b],
    ['a sum alone', `${c}\n`, c],
    ['twice the same', `${b}  site.tar.gz\n${b} *site.tar.gz\n`, b],
    [
      'other sums and words beside it',
      `# made by make\nSHA512 (site.tar.gz) = ${a}${a}\n${b}  site.tar.gz\n`,
      b,
    ],
    ['signed in clear text', `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${b}  site.tar.gz\n`, b],
  ])('%s', (_what, text, sum) => expect(sumFor(text, 'site.tar.gz')).toBe(sum));

  test.each([
    ['no such name', `${a}  other.tar\n`, 'has no sum for "site.tar.gz" among its 1 line'],
    ['a web page', '<html></html>', 'has no line with a SHA-256 sum; accepted are'],
    ['nothing', '', 'has no line'],
    ['MD5', `${'a'.repeat(32)}  site.tar.gz\n`, 'has no line'],
    [
      'two that differ',
      `${a}  x/site.tar.gz\n\n${b}  y/site.tar.gz\n`,
      'in lines 1 ("x/site.tar.gz") and 3 ("y/site.tar.gz")',
    ],
  ])('refused: %s', (_what, text, words) => expect(() => sumFor(text, 'site.tar.gz')).toThrow(words));

  test('escaped names', () => {
    expect(sumFor(`\\${a}  a\\\\b\\nc\n`, 'a\\b\nc')).toBe(a);
  });
});
