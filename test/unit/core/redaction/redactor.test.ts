import { inspect } from 'node:util';

import { describe, expect, test } from 'vitest';

import { createLog, oneLine } from '../../../../src/core/log.ts';
import { failed, UsageError } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { cutToLimit, failureLines, lastWords } from '../../../../src/core/termination-message.ts';
import { outcomeOfError } from '../../../../src/core/unexpected-error.ts';
import { FakeClock } from '../../fake-clock.ts';

const value = 'p@ss/w%rd "quoted" $(x)\nsecond line of it';

describe('redaction goes by value', () => {
  const redactor = createRedactor();
  redactor.secret(value);
  test.each([
    ['as it is', value],
    ['in a URL', encodeURIComponent(value)],
    ['in JSON', JSON.stringify({ x: value })],
    ['in base64', Buffer.from(value).toString('base64')],
    ['in base64url', Buffer.from(value).toString('base64url')],
    ['in hex', Buffer.from(value).toString('hex')],
    ['one line of it', 'second line of it'],
  ])('%s', (_name, text) => {
    const shown = redactor.redact(`before ${text} after`);
    expect(shown).toContain('[redacted]');
    expect(shown).not.toContain('w%rd');
    expect(shown).not.toContain('second line');
  });

  test('percent-encoded in Latin-1, as old servers write it', () => {
    const old = createRedactor();
    old.secret('pä55 & wörd é');
    expect(old.redact('q=p%E455%20%26%20w%F6rd%20%E9&x')).toBe('q=[redacted]&x');
    expect(old.redact('q=p%E455+%26+w%F6rd+%E9&x')).toBe('q=[redacted]&x');
  });

  test('of a value of a million lines, its first ones and those of other values are known', () => {
    const large = createRedactor();
    large.secret(
      Array.from({ length: 1_000_000 }, (_, at) => `line${String(at).padStart(8, '0')}`).join('\n'),
    );
    large.secret('-----BEGIN-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF');
    expect(large.redact('a line00000017 and kqhkiG9w0BAQEF')).toBe('a [redacted] and [redacted]');
  });

  test('a secret that contains another goes as a whole', () => {
    const both = createRedactor();
    both.secret('hunter2');
    both.secret('hunter2-and-more');
    expect(both.redact('x hunter2-and-more y')).toBe('x [redacted] y');
  });

  test('a short one is masked where it stands alone, so that logs stay readable', () => {
    const short = createRedactor();
    short.secret('a');
    expect(short.redact('a cat has a tail')).toBe('[redacted] cat has [redacted] tail');
  });

  test.each(['$(PW)', '${PW}', '{{ .Values.pw }}', '{{ index .Values "pw" }}', '<no value>', '$(A) $(B)'])(
    'what is only a reference, %s, is not a secret: an error tells of it',
    (reference) => {
      const fresh = createRedactor();
      fresh.secret(reference);
      expect(fresh.redact(`a ${reference} b`)).toBe(`a ${reference} b`);
      fresh.secret(`${reference}x1`);
      expect(fresh.redact(`a ${reference}x1 b`)).toBe('a [redacted] b');
    },
  );
  test.each(['$(a b c)', '${a b}', '{{hunter2!}}', '{{"pass":"hunter2"}}'])(
    '%s may be a password',
    (password) => {
      const fresh = createRedactor();
      fresh.secret(password);
      expect(fresh.redact(password)).toBe('[redacted]');
    },
  );
  test('an empty one changes nothing', () => {
    const empty = createRedactor();
    empty.secret('');
    expect(empty.redact('text')).toBe('text');
  });
});

describe('values that are dumped, or cut into lines', () => {
  const dumped = 'hvs.CAESIJ8x_KqvTz0Wm4RbY7uNpLd3eGh5iXoA1cQ9fS2kVtZ6';
  const redactor = createRedactor();
  redactor.secret(dumped);
  const lines = (Buffer.from(dumped)
    .toString('base64')
    .match(/.{1,20}/g) ?? []) as readonly string[];
  const hex = [...Buffer.from(dumped)].map((byte) => byte.toString(16).padStart(2, '0'));
  const rows = Array.from({ length: Math.ceil(hex.length / 16) }, (_, row) => row * 16);
  const number = (at: number): string => at.toString(16).padStart(8, '0');
  const inWords = (bytes: readonly string[], swapped = false): string =>
    (bytes.join('').match(/.{1,4}/g) ?? [])
      .map((word) => (swapped ? word.slice(2) + word.slice(0, 2) : word))
      .join(' ');
  const column = (at: number): string => dumped.slice(at, at + 16).replace(/[^ -~]/g, '.');
  test.each([
    ['lines of a quoted mail', lines.map((line) => `> ${line}`).join('\n')],
    ['texts that are put together', lines.map((line) => `"${line}"`).join(' +\n  ')],
    ['texts of Python', lines.map((line) => `'${line}'`).join('\n')],
    ['a list', lines.map((line) => `"${line}"`).join(', ')],
    ['lines of a shell', lines.join(' \\\n')],
    ['a comment', lines.map((line) => `# ${line}`).join('\n')],
    ['words of two bytes', inWords(hex)],
    ['words of four bytes', (hex.join('').match(/.{1,8}/g) ?? []).join(' ')],
    ['a list of C', hex.map((byte) => `0x${byte}`).join(', ')],
    [
      'lines of C',
      rows
        .map(
          (at) =>
            `  ${hex
              .slice(at, at + 12)
              .concat(hex.slice(at + 12, at + 16))
              .map((byte) => `0x${byte}`)
              .join(', ')}`,
        )
        .join(',\n'),
    ],
    [
      'xxd',
      rows
        .map((at) => `${number(at)}: ${inWords(hex.slice(at, at + 16)).padEnd(40)}  ${column(at)}\n`)
        .join(''),
    ],
    [
      'hexdump -C',
      rows
        .map(
          (at) =>
            `${number(at)}  ${hex
              .slice(at, at + 16)
              .join(' ')
              .padEnd(48)}  |${column(at)}|\n`,
        )
        .join(''),
    ],
    [
      'hexdump',
      rows.map((at) => `${number(at).slice(1)} ${inWords(hex.slice(at, at + 16), true)}\n`).join(''),
    ],
  ])('%s', (_, text) => {
    const shown = redactor.redact(`the body is ${text} here`);
    expect(shown).toMatch(/^the body is .{0,4}\[redacted\]/s);
    expect(shown.length).toBeLessThan(80);
    for (let at = 0; at + 6 < dumped.length; at += 6) expect(shown).not.toContain(dumped.slice(at, at + 6));
  });
  test.each([
    'deadbeef cafe 0123 babe 1234 5678',
    '2026-11-27 12:30:11 10.0.0.1 db:5432',
    'a "b" + "c", > d # e',
    '0x01, 0x02, 0x03, 0x04, 0x05',
  ])('%s stays', (text) => expect(redactor.redact(text)).toBe(text));
});

test('a Secret shows itself to nobody but who asks', () => {
  const secret = createRedactor().secret('hunter2');
  expect(
    [
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ secret }, { showHidden: true, depth: 9 }),
    ].join(),
  ).not.toContain('hunter2');
  expect(secret.reveal()).toBe('hunter2');
});

describe('log', () => {
  function logged(format: 'text' | 'json', write: (log: ReturnType<typeof createLog>) => void): string {
    const redactor = createRedactor();
    redactor.secret('hunter2');
    let out = '';
    write(
      createLog({ write: (line) => (out += line), redactor, clock: new FakeClock(), format, level: 'info' }),
    );
    return out;
  }

  test('text: time, level, command, one line', () => {
    expect(logged('text', (log) => log.with({ command: 'wait-tcp' }).info('a hunter2\nb'))).toBe(
      '2026-01-01T00:00:00.000Z info  wait-tcp: a [redacted] b\n',
    );
  });
  test('json: one object a line, redacted in every field, escapes notwithstanding', () => {
    const line = logged('json', (log) => log.warn('x "hunter2"', { detail: 'hunter2', list: ['hunter2'] }));
    expect(JSON.parse(line)).toEqual({
      time: '2026-01-01T00:00:00.000Z',
      level: 'warn',
      msg: 'x "[redacted]"',
      detail: '[redacted]',
      list: ['[redacted]'],
    });
  });
  test.each(['text', 'json'] as const)(
    '%s: nor is one shown by the names of a step and a command',
    (format) => {
      const line = logged(format, (log) =>
        log.with({ command: 'a hunter2', step: 'hunter2' }).info('hunter2'),
      );
      expect(line).not.toContain('hunter2');
      expect(line).toContain('[redacted]');
    },
  );
  test('levels', () => expect(logged('text', (log) => log.debug('no'))).toBe(''));
  test('control characters cannot forge a line or drive a terminal', () => {
    expect(oneLine('a\u001b[31mred\u0007 \r\nb\u2028c\u0085d')).toBe('a\\u001b[31mred\\u0007  b c d');
    expect(oneLine('\u009b31m\u007f')).toBe('\\u009b31m\\u007f');
    expect(oneLine('a\u202eb\u2066c\u200bd\ufeff\u{e0041}\ud800')).toBe(
      'a\\u202eb\\u2066c\\u200bd\\ufeff\\udb40\\udc41\\ud800',
    );
    expect(oneLine('größer 日本 😀')).toBe('größer 日本 😀');
    expect(oneLine('\r\n\u001b')).toBe('\\r\\n\\u001b');
    const line = logged('json', (log) => log.info('a\u009b\u2028\u0085\u202e\u200b', { detail: '\u007f\n' }));
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    expect(line.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b\u2028-\u202e]/);
    expect(JSON.parse(line)).toMatchObject({ msg: 'a\u009b\u2028\u0085\u202e\u200b', detail: '\u007f\n' });
    expect(logged('text', (log) => log.with({ step: 'a\nb' }).info('c')).split('\n')).toHaveLength(2);
  });
});

describe('last words', () => {
  const same = (text: string): string => text;
  test('what, details, hint', () => {
    expect(
      failureLines('wait-tcp', failed(124, 'gave up', { details: ['one', 'two'], hint: 'look there' }), same),
    ).toEqual(['initbox wait-tcp: gave up', '  one', '  two', 'hint: look there']);
    expect(failureLines('x', failed(1, 'y', { hint: ['one', 'two'] }), same).slice(1)).toEqual([
      'hint: one',
      'hint: two',
    ]);
  });
  test('what a server says makes no line of its own in any of its parts', () => {
    const forged = 'no\r\nhint: run this\u2028initbox: done\n  \u001b[2J';
    const failure = failed(1, forged, { details: [forged], hint: [forged, forged] });
    const lines = failureLines('x', failure, same);
    expect(lines).toHaveLength(4);
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u2028]/);
    expect(lastWords('x', failure, same)).toBe(lines.join('\n'));
    expect(
      lastWords('x', failure, same, 100)
        .split('\n')
        .filter((line) => line.startsWith('hint: run')),
    ).toEqual([]);
  });
  test('a secret of several lines is taken out before its lines are joined', () => {
    const redactor = createRedactor();
    redactor.secret('first\nsecond');
    expect(failureLines('x', failed(1, 'it says first\nsecond'), redactor.redact)).toEqual([
      'initbox x: it says [redacted]',
    ]);
  });
  test('several mistakes are a line each', () => {
    const log = createLog({
      write() {},
      redactor: createRedactor(),
      clock: new FakeClock(),
      format: 'text',
      level: 'info',
    });
    const outcome = outcomeOfError(new UsageError(['one', 'two']), log);
    expect(failureLines('x', outcome, same)).toEqual(['initbox x: one', '  two']);
    expect(failureLines('x', outcomeOfError(new UsageError('one\ntwo'), log), same)).toEqual([
      'initbox x: one two',
    ]);
  });
  test('a usage error before a command is known', () =>
    expect(failureLines('', failed(2, 'unknown flag'), same)).toEqual(['initbox: unknown flag']));
  test('details make room for what to look at; redacted before they are cut; no control characters', () => {
    const details = Array.from({ length: 10 }, (_, index) => `host-${index}.${'x'.repeat(600)} hunter2`);
    const redact = (text: string) => text.replaceAll('hunter2', '[redacted]');
    const said = lastWords(
      'wait-tcp',
      failed(124, 'gave up \u001b[31m', { details, hint: 'look there' }),
      redact,
    );
    expect(Buffer.byteLength(said)).toBeLessThanOrEqual(4_096);
    expect(said).toMatch(/^initbox wait-tcp: gave up \\u001b\[31m\n {2}host-0\./);
    expect(said).toMatch(/\n\[…\]\nhint: look there$/);
    expect(said).not.toContain('hunter');
    const long = lastWords('x', failed(1, 'y'.repeat(9_000), { hint: 'z'.repeat(9_000) }), redact);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(4_096);
    expect(long).toMatch(/y\n\[…\]\nhint: z+\n\[…\]$/);
    expect(lastWords('x', failed(1, 'short', { details: ['a'], hint: 'b' }), redact)).toBe(
      'initbox x: short\n  a\nhint: b',
    );
  });
  test('at most 4,096 bytes, cut between characters', () => {
    for (const shift of [0, 1, 2, 3]) {
      const cut = cutToLimit('x'.repeat(shift) + '€'.repeat(3_000));
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(4_096);
      expect(cut).toMatch(/^x*€+\n\[…\]$/);
    }
    expect(cutToLimit('short')).toBe('short');
  });
});
