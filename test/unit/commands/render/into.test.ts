import { describe, expect, test } from 'vitest';

import { parseComment, parseLineBeside } from '../../../../src/commands/render/into/block-options.ts';
import { withBlock, type BlockSettings } from '../../../../src/commands/render/into/marked-block.ts';
import { withLines } from '../../../../src/commands/render/into/missing-lines.ts';

const block = (file: string, text: string, more: Partial<BlockSettings> = {}) =>
  withBlock(file, text, { name: 'b', comment: ['#'], ...more }, '/f');
const after = (line: string) => ({ beside: { side: 'after', line } }) as const;
const before = (line: string) => ({ beside: { side: 'before', line } }) as const;

describe('a block between markers', () => {
  test.each<[what: string, file: string, text: string, made: string, more?: Partial<BlockSettings>]>([
    ['an empty file', '', 'x\n', '# BEGIN initbox b\nx\n# END initbox b\n'],
    ['the end', 'a\n', 'x', 'a\n# BEGIN initbox b\nx\n# END initbox b\n'],
    ['a last line without an end', 'a', 'x\n', 'a\n# BEGIN initbox b\nx\n# END initbox b\n'],
    ['nothing in it', 'a\n', '', 'a\n# BEGIN initbox b\n# END initbox b\n'],
    [
      'lines of Windows',
      'a\r\nz\r\n',
      'x\ny',
      'a\r\nz\r\n# BEGIN initbox b\r\nx\r\ny\r\n# END initbox b\r\n',
    ],
    ['after a line', '[s] \nz\n', 'x', '[s] \n# BEGIN initbox b\nx\n# END initbox b\nz\n', after('[s]')],
    [
      'after the last line, without an end',
      'z\n[s]',
      'x',
      'z\n[s]\n# BEGIN initbox b\nx\n# END initbox b\n',
      after('[s]'),
    ],
    [
      'before a line',
      'a\n  </c>\n',
      'x',
      'a\n<!-- BEGIN initbox b -->\nx\n<!-- END initbox b -->\n  </c>\n',
      { ...before('</c>'), comment: ['<!--', '-->'] },
    ],
    [
      'in place of an earlier one',
      'a\n# BEGIN initbox b\nold\n\n# END initbox b\nz',
      'x',
      'a\n# BEGIN initbox b\nx\n# END initbox b\nz',
    ],
    [
      'one with a last marker without an end',
      'a\n# BEGIN initbox b\n# END initbox b',
      'x',
      'a\n# BEGIN initbox b\nx\n# END initbox b\n',
    ],
    [
      'where it is, whatever --after says',
      '# BEGIN initbox b\n# END initbox b\n[s]\n',
      'x',
      '# BEGIN initbox b\nx\n# END initbox b\n[s]\n',
      after('[s]'),
    ],
    [
      'one of other comment signs',
      ' ; BEGIN initbox b\no\n // END initbox b */\n',
      'x',
      '# BEGIN initbox b\nx\n# END initbox b\n',
    ],
    [
      'beside one of another name',
      '# BEGIN initbox b2\n# END initbox b2\n',
      'x',
      '# BEGIN initbox b2\n# END initbox b2\n# BEGIN initbox b\nx\n# END initbox b\n',
    ],
    [
      'what only resembles a marker',
      'BEGIN initbox b\n# BEGIN initbox b c d\n# begin initbox b\n',
      'x',
      'BEGIN initbox b\n# BEGIN initbox b c d\n# begin initbox b\n# BEGIN initbox b\nx\n# END initbox b\n',
    ],
    ['bytes that are no text', '\xff\xfe\n', 'x', '\xff\xfe\n# BEGIN initbox b\nx\n# END initbox b\n'],
  ])('%s', (_, file, text, made, more) => {
    expect(block(file, text, more)).toBe(made);
    expect(block(made, text, more)).toBe(made);
  });

  test.each<[file: string, words: string, more?: Partial<BlockSettings>]>([
    ['# BEGIN initbox b\n', '/f: the block b begins at line 1, and ends nowhere'],
    ['a\n# END initbox b\n', '/f: the block b ends at line 2, and begins nowhere'],
    ['# END initbox b\n# BEGIN initbox b\n', 'ends at line 1, before it begins at line 2'],
    [
      '# BEGIN initbox b\n# END initbox b\n'.repeat(2),
      'more than once: it begins at lines 1, 3 and ends at lines 2, 4',
    ],
    ['# BEGIN initbox b\n; BEGIN initbox b\n# END initbox b\n', 'begins at lines 1, 2 and ends at line 3'],
    [
      '# BEGIN initbox b\n# BEGIN initbox c\n# END initbox c\n# END initbox b\n',
      'has a marker of the block c in it, at lines 2, 3',
    ],
    ['a\n', 'no line is the one that --after names', after('b')],
    ['a\nb\na\n', 'lines 1, 3 are all the one that --before names', before('a')],
  ])('%j is refused', (file, words, more) => {
    expect(() => block(file, 'x', more)).toThrow(words);
  });

  test('a text that is a marker itself is refused, of whatever block', () => {
    expect(() => block('', 'x\n# END initbox b\n')).toThrow('line 2 of what was rendered is a marker itself');
    expect(() => block('', '// BEGIN initbox other')).toThrow('a marker itself');
  });

  test('whatever stands around it stays, and the same again changes nothing', () => {
    const parts = [
      'a',
      '\n',
      '\r\n',
      '',
      '# x\n',
      '\xe4',
      '\t',
      '## BEGIN initbox b2\n',
      '## END initbox b2\n',
    ];
    let seed = 7;
    const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 2000; round++) {
      const pick = (): string => Array.from({ length: next(8) }, () => parts[next(7)]).join('');
      const [head, tail, text] = [pick(), pick(), pick()];
      const file = `${head === '' || head.endsWith('\n') ? head : `${head}\n`}# BEGIN initbox b\n${pick()}\n# END initbox b\n${tail}`;
      const made = block(file, text);
      expect(made.startsWith(file.slice(0, file.indexOf('# BEGIN initbox b\n')))).toBe(true);
      expect(made.endsWith(tail)).toBe(true);
      expect(block(made, text)).toBe(made);
    }
  });

  test('lines of any length are gone through', () => {
    const file = `${'x'.repeat(1 << 24)}\n${' '.repeat(1 << 20)}y\n`;
    expect(block(file, 'z')).toBe(`${file}# BEGIN initbox b\nz\n# END initbox b\n`);
  });

  test('the comment signs are one word or two, a line is one line', () => {
    expect(parseComment(' /* */ ')).toEqual(['/*', '*/']);
    expect(parseComment('#')).toEqual(['#']);
    for (const wrong of ['', ' ', '/* x */', '#\n', '\0', '#'.repeat(33)])
      expect(() => parseComment(wrong)).toThrow('one word');
    for (const wrong of ['', ' ', 'a\nb', 'a\r']) expect(() => parseLineBeside(wrong)).toThrow('one line');
  });
});

test.each([
  ['', 'a\nb\n', 'a\nb\n'],
  ['a', 'a\nb', 'a\nb\n'],
  ['a\n', 'a', 'a\n'],
  ['a\r\nb\r\n', 'b\nc\n', 'a\r\nb\r\nc\r\n'],
  ['ab\n', 'a\n\n\na\nb\n', 'ab\na\nb\n'],
  ['a \n', 'a\n', 'a \na\n'],
  ['\xff', '\xff\n\xfe', '\xff\n\xfe\n'],
])('the lines that are missing: %j and %j', (file, text, made) => {
  expect(withLines(file, text)).toBe(made);
  expect(withLines(made, text)).toBe(made);
});
