// Generated values that parsers stumble over, the same on every run.
const pieces = [
  ...'\'"`$(){}!#=:;&|<>*?~[]\\ \t\n\r,%@^-_+/.'.split(''),
  '\r\n',
  '\n\n',
  ' #',
  '# ',
  '$(',
  '${',
  '$(touch EXECUTED)',
  '`touch EXECUTED`',
  '${HOME}',
  '$HOME',
  '!!',
  '\\n',
  '\\\\',
  "\\'",
  '\\"',
  'a',
  'Z',
  '0',
  '7',
  'key',
  'value',
  'true',
  'null',
  'export',
  '---',
  '...',
  '- ',
  '? ',
  ': ',
  'no',
  '0777',
  '1e5',
  '<<',
  '|',
  '>',
  '%YAML',
  'é',
  'ß',
  '漢字',
  '🔑',
  '👩‍👩‍👧',
  '\u00a0',
  '\u0085',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\u0001',
  '\u001b[31m',
  '\u007f',
  '\u009f',
  '\ufffd',
  '\v',
  '\f',
  '\u001c',
  '\u3000',
];

/** Values that have broken tools before, by name of what is in them. */
const known = [
  '',
  ' ',
  '\n',
  '\r',
  '\\',
  "'",
  '"',
  '#',
  '=',
  '!',
  '~',
  'yes',
  'null',
  '0777',
  '1_000',
  '1e5',
  '2001-01-01',
  '12:30:45',
  ' leading',
  'trailing ',
  'tab\t',
  'line\n',
  '\n\nlines\n\n',
  'a: b',
  '- item',
  '{"json": "value", "n": 1.10}',
  '-----BEGIN PRIVATE KEY-----\nMIIEvQ+/=\nabc\n-----END PRIVATE KEY-----\n',
  'postgres://user:p@ss$w0rd#1!@db:5432/x?y=z&a=%20',
  "it's $(touch EXECUTED) and `touch EXECUTED`",
  "'; touch EXECUTED; '",
  '"; touch EXECUTED; "',
  "\\'; touch EXECUTED #",
  'ends with a backslash\\',
  'two of them\\\\',
  'a\\nb',
  'C:\\new\\table',
  '  indented\n    more\nless',
  'a\n b\n',
  'x # not a comment',
  '#starts',
  "it's",
  'it\'s "x"',
  'say "x"',
  'it\'s "x"\nEVIL=1',
  "it's\\",
  'EVIL=1\nEVIL=2',
  "a\nexport EVIL='1'",
  '\\\\server\\share',
  "it's ${HOME}",
  '${HOME}',
  'a\r\nb\r\n',
  'a\rb',
  '\ttabs\t',
  'VAR=value',
  'export X=1',
];

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `K0`, `K1`, …: the known ones, one of 64 kB, one of 1 MB, and generated ones. */
export function generatedValues(count = 5000): Map<string, string> {
  const random = generator(42);
  const pick = (): string => pieces[Math.floor(random() * pieces.length)] as string;
  const values = [
    ...known,
    'x'.repeat(65_536 - 20),
    `${'0123456789abcde\n'.repeat(65_536)}'"$(touch EXECUTED)\\.`,
  ];
  while (values.length < count) {
    values.push(Array.from({ length: 1 + Math.floor(random() * 24) }, pick).join(''));
  }
  return new Map(values.map((value, index) => [`K${index}`, value]));
}
