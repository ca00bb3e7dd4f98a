import { describe, expect, test } from 'vitest';

import { excerpt } from '../../../../src/core/excerpt.ts';
import { createLog } from '../../../../src/core/log.ts';
import { failed } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { SaidText } from '../../../../src/core/said-text.ts';
import { failureLines } from '../../../../src/core/termination-message.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';

function redactorOf(...values: string[]) {
  const redactor = createRedactor();
  for (const value of values) redactor.secret(value);
  return redactor;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const hexOf = (character: string): string => character.codePointAt(0)!.toString(16);

function base32(text: string): string {
  const bits = Array.from(Buffer.from(text), (byte) => byte.toString(2).padStart(8, '0')).join('');
  const signs = (bits.match(/.{1,5}/g) ?? []).map((part) => {
    return 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(part.padEnd(5, '0'), 2)];
  });
  return signs.join('') + '='.repeat((8 - (signs.length % 8)) % 8);
}

/** RFC 2045, 6.7, with a soft line break in the middle. */
function quotedPrintable(text: string): string {
  const signs = Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x3d
      ? String.fromCharCode(byte)
      : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return [...signs.slice(0, 6), '=\r\n', ...signs.slice(6)].join('');
}

/** The bytes in hex, by themselves or in groups with the same between them. */
function pairs(text: string, group = 1): string[] {
  const each = Buffer.from(text).toString('hex').match(/../g) ?? [];
  if (group === 1) return each;
  const mark = group === 15 ? ':' : ' ';
  return Array.from({ length: Math.ceil(each.length / group) }, (_, at) =>
    each.slice(at * group, (at + 1) * group).join(mark),
  );
}

describe('every usual form', () => {
  const value = 'Xk9vQ/2+m"Pz\\L7ü\nthe second line\n';
  const forms: Readonly<Record<string, string>> = {
    'as it is': value,
    'without its last line end': value.trim(),
    'in a URL': encodeURIComponent(value),
    'in a URL, lightly': encodeURI(value),
    'in a URL, in small letters': encodeURIComponent(value).replace(/%../g, (escape) => escape.toLowerCase()),
    'in JSON': JSON.stringify(value),
    'in JSON as ASCII': JSON.stringify(value).replace('ü', '\\u00fc'),
    'in base64': base64(value),
    'in base64 without padding': base64(value).replace(/=+$/, ''),
    'in base64url': Buffer.from(value).toString('base64url'),
    'in base64 behind one character': base64(`u${value}`),
    'in base64 behind two': base64(`u:${value}`),
    'in base64 in a URL': encodeURIComponent(base64(value)),
    'in base64 in JSON with escaped slashes': base64(value).replaceAll('/', '\\/'),
    'in hex': Buffer.from(value).toString('hex'),
    'in hex, in capitals': Buffer.from(value).toString('hex').toUpperCase(),
    'a line in base64': base64('the second line'),
    'in hex with colons, as OpenSSL writes it': pairs(value).join(':'),
    'in hex with colons, in lines': pairs(value, 15).join(':\n            '),
    'in hex with blanks, as od writes it': pairs(value).join(' '),
    'in hex with blanks, in lines': pairs(value, 16).join('\n '),
    'in hex with hyphens': pairs(value).join('-'),
    'in base32': base32(value),
    'in base32 without padding': base32(value).replace(/=+$/, ''),
    'in base32 behind a character': base32(`a${value}`),
    'in quoted-printable': quotedPrintable(value),
    'in UTF-16': Buffer.from('the second line', 'utf16le').toString('latin1'),
    'in UTF-16 in base64, as PowerShell takes a command': Buffer.from('the second line', 'utf16le').toString(
      'base64',
    ),
    'in braces, as JavaScript and Rust write it': Array.from(value.trim(), (c) => `\\u{${hexOf(c)}}`).join(
      '',
    ),
    'in braces, as Perl writes it': Array.from(value.trim(), (c) => `\\x{${hexOf(c)}}`).join(''),
  };
  test.each(Object.entries(forms))('%s', (_name, form) => {
    const shown = redactorOf(value).redact(`before (${form}) after`);
    expect(shown).toMatch(/^before \(.{0,2}\[redacted\].{0,3}\) after$/s);
    for (let at = 0; at + 8 <= form.length; at++) expect(shown).not.toContain(form.slice(at, at + 8));
  });

  test('bytes that are no text, in base64, in hex and as a program misreads them', () => {
    const redactor = createRedactor();
    const bytes = Uint8Array.of(0xff, 0xfe, 0x41, 0x42, 0x43, 0x44, 0x80, 0x31);
    redactor.bytes(bytes);
    for (const encoding of ['base64', 'hex', 'utf8'] as const)
      expect(redactor.redact(`x ${Buffer.from(bytes).toString(encoding)} y`)).toBe('x [redacted] y');
  });

  test('what a file holds behind its byte order mark', () =>
    expect(redactorOf('\uFEFFhunter2\n').redact('x hunter2 y')).toBe('x [redacted] y'));

  test('half a surrogate pair is read as it is written', () =>
    expect(redactorOf('pass\ud800word').redact('x pass\ud800word y')).toBe('x [redacted] y'));
});

/** The ways in which programs write a value, one of which may hold what another made. */
const layers: Readonly<Record<string, (text: string) => string>> = {
  percent: (text) => encodeURIComponent(text),
  form: (text) => new URLSearchParams({ v: text }).toString().slice(2),
  JSON: (text) => JSON.stringify(text).slice(1, -1),
  'shell words with backslashes': (text) => text.replaceAll(/[^\w\s]/g, '\\$&'),
  'shell quotes': (text) => text.replaceAll("'", "'\\''"),
  'shell quotes, as Python writes them': (text) => text.replaceAll("'", `'"'"'`),
  'single quotes of YAML and SQL': (text) => text.replaceAll("'", "''"),
  'double quotes of CSV': (text) => text.replaceAll('"', '""'),
  'HTML names': (text) =>
    text.replaceAll(/["&'<>]/g, (mark) => `&${names[mark]};`).replaceAll('\u00a0', '&nbsp;'),
  'HTML numbers': (text) => text.replaceAll(/["&'<>]/g, (mark) => `&#${mark.charCodeAt(0)};`),
  'HTML hex numbers': (text) =>
    text.replaceAll(/["&'<>]/g, (mark) => `&#x${mark.charCodeAt(0).toString(16)};`),
  base64: (text) => base64(text),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  hex: (text) => Buffer.from(text).toString('hex'),
};
const names: Readonly<Record<string, string>> = {
  '"': 'quot',
  '&': 'amp',
  "'": 'apos',
  '<': 'lt',
  '>': 'gt',
};

function written(value: string, kinds: readonly string[]): string {
  return kinds.reduce((text, kind) => layers[kind]!(text), value);
}

/** What is shown of it, and how it was made, for a failure. */
function shownOf(value: string, kinds: readonly string[]): string {
  return `${redactorOf(value).redact(`before (${written(value, kinds)}) after`)} ${kinds.join(' in ')}`;
}

/** The value goes as a whole: only characters that hold a few bits of it, or padding, may stay at its ends. */
const wholly = /^before \(.{0,4}\[redacted\].{0,4}\) after /s;

describe('one encoding in another', () => {
  const value = `ab"Qk9v W2'mP&z\\L7<rT4>wB+%x/ü`;
  const kinds = Object.keys(layers);
  test.each(kinds)('%s', (kind) => expect(shownOf(value, [kind])).toMatch(wholly));
  test.each(kinds)('%s, in any other', (kind) => {
    for (const other of kinds) expect(shownOf(value, [kind, other])).toMatch(wholly);
  });

  test('values and up to three encodings of them by chance', () => {
    let seed = 20_261_126;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const characters = `abcXYZ019_-.:/+=%&;#<>"'\\ $!ü€`.split('');
    for (let round = 0; round < 1000; round++) {
      const some = Array.from({ length: 9 + random(20) }, () => characters[random(characters.length)]!);
      const chosen = Array.from({ length: 1 + random(3) }, () => kinds[random(kinds.length)]!);
      expect(shownOf(`k${some.join('')}k`, chosen)).toMatch(wholly);
    }
  });

  const password = 'ab"Qk9vW2mPzL7rT4wB';
  const body = JSON.stringify({ password });
  test.each([
    ['a JSON body as a string in JSON', JSON.stringify({ detail: `rejected ${body}` })],
    ['a JSON body as a string in JSON in JSON', JSON.stringify({ detail: JSON.stringify({ detail: body }) })],
    ['a JSON body in a URL', `/v1/login?body=${encodeURIComponent(body)}&x=1`],
    ['a JSON body in base64', base64(body)],
    ['a JSON body in hex', Buffer.from(body).toString('hex')],
    ['a part of a URL in base64', base64(`x=1&password=${encodeURIComponent(password)}`)],
    ['Basic credentials in base64', base64(base64(`usr:${password}`))],
    ['Basic credentials in a JSON string', JSON.stringify({ header: `Basic ${base64(`usr:${password}`)}` })],
    ['Basic credentials in JSON in base64', base64(JSON.stringify({ auth: base64(`usr:${password}`) }))],
    ['a URL in a URL', `/a?next=${encodeURIComponent(`/b?p=${encodeURIComponent(password)}`)}`],
    ['a form', new URLSearchParams({ user: 'a b', password, c: 'd e' }).toString()],
    ['an attribute of HTML', `<input value="${layers['HTML names']!(password)}">`],
    ['escapes of two digits, as nginx and Python write them', String.raw`body: ab\x22Qk9vW2mPzL7rT4wB`],
    ['octal escapes, as Git and ls write them', String.raw`file: ab\042Qk9vW2mPzL7rT4wB`],
  ])('%s', (_name, line) => {
    const shown = redactorOf(password).redact(line);
    expect(shown).toContain('[redacted]');
    const encodings = [password, base64(password), base64(`1${password}`), base64(`12${password}`)];
    for (const form of [...encodings, ...encodings.map(base64), Buffer.from(password).toString('hex')])
      for (let at = 4; at + 8 <= form.length - 4; at++) expect(shown).not.toContain(form.slice(at, at + 8));
    expect(shown.length).toBeLessThan(line.length);
  });

  test('what stands around it stays readable', () => {
    const { redact } = redactorOf(password);
    expect(redact(JSON.stringify({ detail: `rejected ${body}`, at: 'b&amp;c' }))).toBe(
      String.raw`{"detail":"rejected {\"password\":\"[redacted]\"}","at":"b&amp;c"}`,
    );
    expect(redact(`p=${encodeURIComponent(encodeURIComponent(password))}&q=a+b`)).toBe('p=[redacted]&q=a+b');
    expect(redactorOf('correct horse battery').redact('p=correct+horse+battery&q=a+b')).toBe(
      'p=[redacted]&q=a+b',
    );
  });

  test('equal encoded texts in one line are hidden each', () => {
    const form = base64(encodeURIComponent(password));
    expect(redactorOf(password).redact(`${form} ${form}, ${form}`)).toBe('[redacted] [redacted], [redacted]');
  });

  const within = `${'x'.repeat(40)}${password}${'y'.repeat(60)}`;
  const wrappings: readonly (readonly [string, string])[] = [
    ['line ends', '\n'],
    ['CRLF', '\r\n'],
    ['blanks in their place', ' '],
    ['a line end and an indentation', '\n    '],
    ['line ends in JSON', '\\n'],
    ['CRLF in JSON', '\\r\\n'],
    ['line ends in JSON within JSON', '\\\\n'],
  ];
  for (const [name, end] of wrappings)
    test.each([
      ['base64', base64(within)],
      ['base64 of a JSON text in a URL', base64(JSON.stringify({ x: encodeURIComponent(within) }))],
      ['hex', Buffer.from(within).toString('hex')],
      ['base64url', Buffer.from(within).toString('base64url')],
    ])(`${name} between wrapped lines of %s`, (_form, text) => {
      for (const columns of [20, 64, 76])
        for (let lead = 0; lead < 4; lead++) {
          const lines = `${'Q'.repeat(lead)}${text}`.match(new RegExp(`.{1,${columns}}`, 'g')) ?? [];
          expect(redactorOf(password).redact(`said: ${lines.join(end)}`)).toContain('[redacted]');
        }
    });

  // Lines are a part of how base64 is written, and no encoding of their own.
  const wrap =
    (columns: number, end: string) =>
    (text: string): string =>
      (text.match(new RegExp(`.{1,${columns}}`, 'g')) ?? []).join(end);
  const lines20 = (text: string): string => wrap(20, '\n')(base64(text));
  const crlf20 = (text: string): string => wrap(20, '\r\n')(base64(text));
  const lines76 = (text: string): string => wrap(76, '\n')(base64(text));
  const little = (text: string): string => Buffer.from(text, 'utf16le').toString('base64');
  const bigInHex = (text: string): string => Buffer.from(text, 'utf16le').swap16().toString('hex');
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  test.each<[string, ...((text: string) => string)[]]>([
    ['UTF-16LE in base64 in lines', little, lines20],
    ['UTF-16LE in base64 in lines of CRLF', little, crlf20],
    ['UTF-16LE in base64 in lines of 76', little, lines76],
    ['UTF-16LE in base64 in lines, in lines', (text) => wrap(20, '\n')(little(text)), lines20],
    ['UTF-16BE in hex in lines', bigInHex, lines20],
    ['UTF-16BE in hex in lines of its own, in lines', (text) => wrap(20, '\n')(bigInHex(text)), lines20],
    ['lines in lines', lines20, lines20],
    ['lines of CRLF in lines', crlf20, lines20],
    ['lines of 76 in lines of 76', lines76, lines76],
    ['lines in lines in JSON', lines20, crlf20, JSON.stringify],
    ['lines of 76 in lines of 76 in JSON', lines76, lines76, JSON.stringify],
    ['lines in lines in lines', lines20, lines20, lines20],
    ['lines of 76, three times', lines76, lines76, lines76],
    ['a URL in lines in lines', encodeURIComponent, lines76, lines20],
    ['hex in lines in a URL', hex, lines76, encodeURIComponent],
    ['JSON in lines in JSON', JSON.stringify, lines76, JSON.stringify],
  ])('base64: %s', (_name, ...encodings) => {
    for (const said of [
      `Kx9vQ2mPzL7rT4w"B`,
      'Kx9vQ2mPzL7rT4wBs8GhN3yEuW6jDc1aFq5oZiXp0VbRkMtJlHnQeY2SxCg4d7',
    ]) {
      const text = encodings.reduce((inner, encode) => encode(inner), said);
      const left = redactorOf(said).redact(`<${text}>`);
      expect(left).toContain('[redacted]');
      // The padding of a first or last character may stay.
      expect(left.replaceAll('[redacted]', ' ')).not.toMatch(/[\w+/]{4}/);
    }
  });

  test('words behind a long one keep their blanks', () =>
    expect(redactorOf('configuration-key-of-it').redact('a configuration-key-of-it is missing')).toBe(
      'a [redacted] is missing',
    ));

  test('lines of tokens that hold no value stay whole', () => {
    let seed = 5;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const redactor = redactorOf(...Array.from({ length: 1000 }, (_, at) => `v${at}-${random(1e6)}`));
    // A line of 400 characters is looked at in some 20 kB of views, with each kind of encoding taken off.
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(Array.from({ length: 96 }, () => random(256)));
      const line = `%41 &amp; '' "" \\n a+b ${bytes.toString('base64')} ${bytes.toString('hex')}`;
      expect(redactor.redact(line)).toBe(line);
    }
  });
});

describe('other blanks than the value has', () => {
  const lines = ['482913', '759204', '110358', '664027'];
  const value = lines.join('\n');
  test.each([
    ['a blank', ' '],
    ['nothing', ''],
    ['CRLF and an indentation', '\r\n    '],
    ['a bar of blanks', ' \t \t '],
    ['a no-break space', '\u00a0'],
    ['a line separator', '\u2028'],
  ])('%s', (_name, blank) => {
    const text = lines.join(blank);
    const { redact } = redactorOf(`${value}\n`);
    expect(redact(`before ${text} after`)).toBe('before [redacted] after');
    expect(redact(JSON.stringify({ a: JSON.stringify({ b: text }) }))).toBe(
      JSON.stringify({ a: JSON.stringify({ b: '[redacted]' }) }),
    );
    expect(redact(`x=${encodeURIComponent(text)}&y`)).toBe('x=[redacted]&y');
    expect(redact(`(${base64(text)})`)).toMatch(/^\(.{0,2}\[redacted\].{0,3}\)$/);
  });
  test('of bytes and of a line with blanks', () => {
    const redactor = createRedactor();
    redactor.bytes(Buffer.from('kit  ten\tpup  4x9'));
    expect(redactor.redact('a kit ten pup 4x9 b')).toBe('a [redacted] b');
  });
  test('words that only look like it stay', () => {
    const { redact } = redactorOf('ab cd ef', 'one-word');
    expect(redact('the abc de f, one -word')).toBe('the abc de f, one -word');
  });
});

describe('hex with something in between', () => {
  test.each([
    'at 12:30:45',
    '10.0.0.4 ab:cd:ef',
    'be ad de',
    '00:16:3e:5e:6c:00 is a network card',
    '2001:db8:12:34:56:78:9a:bc',
  ])('that is no value stays: %s', (line) => expect(redactorOf('s3cr3t-12345').redact(line)).toBe(line));
});

describe('which of several', () => {
  test('one within another, one overlapping another, one behind another', () => {
    const redactor = redactorOf('abc123', 'abc123def4', '3def456', 'zzz999');
    expect(redactor.redact('abc123def4')).toBe('[redacted]');
    expect(redactor.redact('abc123def456')).toBe('[redacted]');
    expect(redactor.redact('abc123zzz999')).toBe('[redacted][redacted]');
  });
  test('a later one, after lines were redacted', () => {
    const redactor = redactorOf('first-1');
    for (let count = 0; count < 50; count++) {
      redactor.secret(`number-${count}`);
      expect(redactor.redact(`first-1 number-${count} number-0`)).toBe('[redacted] [redacted] [redacted]');
    }
  });
  test('the same as when every value is looked for one by one', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const word = (length: number): string => Array.from({ length }, () => random(2)).join('');
    for (let round = 0; round < 200; round++) {
      const values = Array.from({ length: 1 + random(30) }, () => word(4 + random(random(2) === 0 ? 6 : 60)));
      const redactor = redactorOf(...values);
      const line = word(20) + values.map((value) => value.slice(0, random(70)) + word(random(4))).join('');
      const hidden = new Uint8Array(line.length);
      for (const value of values)
        for (let at = line.indexOf(value); at >= 0; at = line.indexOf(value, at + 1))
          hidden.fill(1, at, at + value.length);
      const shown = line
        .split('')
        .filter((_, at) => hidden[at] === 0)
        .join('');
      expect(redactor.redact(line).replaceAll('[redacted]', '')).toBe(shown);
    }
  });
});

describe('an excerpt', () => {
  const { redact } = redactorOf('Xk9vQ2mPzL7rT4bNw');
  test('is redacted before it is cut', () => {
    for (let at = 0; at < 40; at++)
      expect(excerpt(`${'x'.repeat(at)}Xk9vQ2mPzL7rT4bNw${'y'.repeat(40)}`, 30, redact)).not.toMatch(
        /Xk9|rT4/,
      );
    expect(excerpt('short', 30, redact)).toBe('short');
    expect(excerpt('y'.repeat(40), 30, redact)).toBe(`${'y'.repeat(30)}…`);
  });
  test('is not made of megabytes', () =>
    expect(excerpt('y'.repeat(32 << 20), 30, redact)).toBe('(32 MiB of text)'));
  test('is not made of more than a signal may wait for', () => {
    expect(excerpt('y'.repeat(1 << 14), 3, redact)).toBe('yyy…');
    expect(excerpt('y'.repeat((1 << 14) + 1024), 3, redact)).toBe('(17 KiB of text)');
  });
});

describe('what a server said', () => {
  const { redact } = redactorOf('482913\n759204');
  const shown = (most: number, ...texts: string[]): string =>
    SaidText.shown(
      texts.map((text) => new SaidText(text)),
      most,
      redact,
    );
  test('is redacted before it is put on one line and cut', () => {
    expect(shown(99, 'two errors:\n\t* 482913\n759204\n\t* b\n', 'c')).toBe('two errors: [redacted] b; c');
    expect(shown(20, 'bad 482913\n759204 value')).toBe('bad [redacted] value');
    expect(shown(3, 'bad 482913\n759204 value')).toBe('bad…');
    expect(shown(9)).toBe('');
  });
  test('is told by its length where there is too much of it, in one text or in many', () => {
    expect(shown(9, 'y'.repeat(1 << 20))).toBe('(1 MiB of text)');
    expect(shown(9, ...Array.from({ length: 10_000 }, () => 'y'))).toMatch(/^\(\d+ KiB of text\)$/);
  });
  test('is shown in no other way', () => {
    const said = new SaidText('482913');
    expect([said.toString(), JSON.stringify(said), said.says(/^48/), said.says(/49/)]).toEqual([
      '[not shown]',
      '"[not shown]"',
      true,
      false,
    ]);
  });
  test('no line of the log is looked through beyond a bound', () => {
    const write: string[] = [];
    const log = createLog({
      write: (line) => void write.push(line),
      redactor: createRedactor(),
      clock: systemClock,
      format: 'text',
      level: 'info',
    });
    log.info('y'.repeat(1 << 20));
    expect(write.join('')).toMatch(/ info {2}\(1 MiB of text\)\n$/);
    expect(failureLines('x', failed(1, 'a', { details: ['y'.repeat(1 << 20)] }), redact)).toEqual([
      'initbox x: a',
      '(1 MiB of text)',
    ]);
  });
});

describe('what stays readable', () => {
  test.each([
    ['/etc/mysql/extra.cnf', '/etc/mysql/extra.cnf'],
    ['vault:secret/extra#pass', 'vault:secret/extra#pass'],
    ['extras and my-extra', 'extras and my-extra'],
    ['extra', '[redacted]'],
    ['postgres://u:extra@db/x', 'postgres://u:[redacted]@db/x'],
    ['password=extra.', 'password=[redacted].'],
    ['“extra”', '“[redacted]”'],
    [`Basic ${base64('me:extra')}`, `Basic ${base64('me:e').slice(0, 4)}[redacted]`],
  ])('a word as a value: %s', (line, shown) => expect(redactorOf('extra').redact(line)).toBe(shown));
  test('what is longer than a word, or has more than letters, goes wherever it stands', () => {
    expect(redactorOf('extrahot').redact('/etc/extrahot.cnf')).toBe('/etc/[redacted].cnf');
    expect(redactorOf('extr4').redact('/etc/extr4.cnf')).toBe('/etc/[redacted].cnf');
  });
  test('short ones beside letters of any script', () => {
    const redactor = redactorOf('ab', ' c\n', '€');
    expect(redactor.redact('ab äab abö 𝒜ab ab𝒜 c €')).toBe(
      '[redacted] äab abö 𝒜ab ab𝒜 [redacted] [redacted]',
    );
  });
});

/** Milliseconds of CPU, which a busy machine does not lengthen as it does the clock's. */
function cpu(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** One pattern of all forms took 13 s for 0.8 MB, and much more for near matches; a table takes a tenth of this. */
const bounded = 3000;

describe('the work is linear, whatever the values and lines are', () => {
  test.each([
    [
      '4 MB in 1,000 values',
      Array.from({ length: 1000 }, (_, at) => `${at}-${'v'.repeat(4000)}`),
      'x'.repeat(1e5),
    ],
    ['300,000 lines', [Array.from({ length: 300_000 }, (_, at) => `line ${at}`).join('\n')], 'line 1 '],
    [
      'many with one beginning, a line of near matches',
      Array.from({ length: 2000 }, (_, at) => 'p'.repeat(300 + at) + at),
      'p'.repeat(1e5),
    ],
    ['64 kB of one character, a line of one less', ['a'.repeat(65_536)], `${'a'.repeat(65_535)}b`.repeat(4)],
    [
      'every length, all within each other',
      Array.from({ length: 2000 }, (_, at) => '9'.repeat(at + 4)),
      '9'.repeat(1e5),
    ],
    ['1,000 equal lines', ['the very same line\n'.repeat(1000)], 'the very same line '.repeat(5000)],
    ['1,000 short values', Array.from({ length: 999 }, (_, at) => String(at)), '1 2 333 '.repeat(20_000)],
    ['a line of escapes', ['p%p\\p"p', 'x'.repeat(1e5)], '%41\\u0041%%\\\\'.repeat(20_000)],
    [
      'a line of escapes of every kind, each of them several times over',
      ['p%p\\p"p', 'x'.repeat(1e5)],
      `%252541 \\\\\\\\n&amp;amp;amp;#65;''''''''""+%2B ${base64(base64(base64('%2541+')))}`.repeat(4000),
    ],
    [
      'wrapped lines and runs of blanks',
      ['p%p\\p"p'],
      `${'A'.repeat(20)}${' \\\\\\'.repeat(20)}`.repeat(10_000),
    ],
    ['hex with colons and blanks', ['p%p\\p"p', 'two words\nand more'], '73:33 63  -\n'.repeat(40_000)],
    ['a line of blanks', ['two words\nand more'], `two ${' '.repeat(500_000)}words`],
    [
      '20,000 values of several lines',
      Array.from({ length: 20_000 }, (_, at) => `first ${at}\nsecond ${at}\nthird`),
      'first 1 second 1 third '.repeat(5000),
    ],
    ['escapes in braces', ['p%p\\p"p'], '\\u{73}\\x{7'.repeat(50_000)],
    ['base64 in short lines', ['p%p\\p"p'], 'JTQxJTQxJTQxJTQx\n'.repeat(60_000)],
    ['base64 of base64 of base64', ['p%p\\p"p'], base64(base64(base64('%41+'.repeat(20_000))))],
    ['a million runs that may be base64', ['p%p\\p"p'], 'JTQxJTQx '.repeat(100_000)],
  ])('%s', (_name, values, text) =>
    expect(cpu(() => void redactorOf(...values).redact(text))).toBeLessThan(bounded),
  );

  test('100,000 values of one line', () => {
    const redactor = createRedactor();
    for (let at = 0; at < 100_000; at++) redactor.secret(`${'v'.repeat(100)}${at}`);
    expect(cpu(() => void redactor.redact('a line of the log'))).toBeLessThan(bounded);
  });

  test('1,000 values of 4 kB, each registered between two lines', () => {
    const redactor = createRedactor();
    const spent = cpu(() => {
      for (let at = 0; at < 1000; at++) {
        redactor.secret(`${at}-${'v'.repeat(4000)}`);
        redactor.redact(`a line of the log, number ${at}`);
      }
    });
    expect(spent).toBeLessThan(bounded);
  });

  test('nothing is done before a line is redacted', () =>
    expect(
      cpu(() => void redactorOf(...Array.from({ length: 1000 }, (_, at) => `${at}${'v'.repeat(4000)}`))),
    ).toBeLessThan(200));
});
