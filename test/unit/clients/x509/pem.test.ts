import { describe, expect, test } from 'vitest';

import { PemDamaged, pemBlocks, pemBytes, writePem } from '../../../../src/clients/x509/pem.ts';

const bytes = Buffer.from(Array.from({ length: 100 }, (_, index) => index));
const block = writePem('CERTIFICATE', bytes);
const read = (text: string | Buffer) =>
  pemBlocks(Buffer.from(text)).map((one) => ({
    label: one.label,
    line: one.line,
    same: pemBytes(one).equals(bytes),
  }));
const one = (line: number) => ({ label: 'CERTIFICATE', line, same: true });

describe('what is found', () => {
  test.each([
    ['a block', block, [one(1)]],
    ['lines that end in CRLF', block.replaceAll('\n', '\r\n'), [one(1)]],
    ['lines that end in CR', `x\ry\r${block.replaceAll('\n', '\r')}`, [one(3)]],
    ['a byte order mark', `\uFEFF${block}`, [one(1)]],
    ['blanks around the lines', block.replace(/^/gm, '  ').replaceAll('\n', ' \n'), [one(1)]],
    ['no line end behind it', block.trimEnd(), [one(1)]],
    ['text between', `# one\n${block}Certificate:\n    Data:\n${block}\n`, [one(2), one(9)]],
    ['blank lines in it', block.replaceAll('\n', '\n\n'), [one(1)]],
    ['the end of nothing', `-----END CERTIFICATE-----\n${block}`, [one(2)]],
    ['nothing', 'no certificate\n', []],
    ['empty', '', []],
    ['words in a line', 'see -----BEGIN CERTIFICATE----- below', []],
  ])('%s', (_name, text, expected) => expect(read(text)).toEqual(expected));

  test('what is not UTF-8 between them', () =>
    expect(read(Buffer.concat([Buffer.from([0xff, 0xe9, 0x0a]), Buffer.from(block)]))).toEqual([one(2)]));
});

describe('what is damaged', () => {
  test.each([
    ['no end', `\n${block.replace('-----END', '')}`, 2, 'has no -----END CERTIFICATE-----'],
    ['another end', block.replace('END CERT', 'END XCERT'), 1, 'has no -----END CERTIFICATE-----'],
    ['a second beginning', `-----BEGIN CERTIFICATE-----\n${block}`, 1, 'has no'],
    ['not base64', block.replace('AAEC', 'A!EC'), 1, 'the block is not base64'],
    ['empty', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', 1, 'the block is not base64'],
  ])('%s', (_name, text, line, message) => {
    const caught = ((): unknown => {
      try {
        return read(text);
      } catch (error) {
        return error;
      }
    })();
    expect(caught).toBeInstanceOf(PemDamaged);
    expect(caught).toMatchObject({ line, message: expect.stringContaining(message) as string });
  });
});

test('4 MiB of what could be mistaken for boundaries takes no time to speak of', () => {
  const texts = ['-----BEGIN ', '-----', `-----BEGIN CERTIFICATE-----${' '.repeat(1000)}x\n`, '\n', ' '];
  for (const text of texts) {
    const large = text.repeat((4 << 20) / text.length);
    const start = performance.now();
    expect(read(large)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5_000);
  }
});
