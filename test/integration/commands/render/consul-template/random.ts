// Random templates: no secrets, but whatever the language has of values, pipes, blocks and blanks.

/** What `{{ env }}` finds in them. */
export const randomVariables: Readonly<Record<string, string>> = {
  A: 'alpha',
  E: '',
  L: 'x,y,z',
  N: '17',
  U: 'Zür ich',
};

const data =
  '`{"a":{"b":"deep","n":3,"f":1.5,"l":[1,"two",{"k":"v"}]},"s":"text","t":true,"e":"","z":null,"m":{"q":"1","p":"2"},"dash-key":"d"}`';
const begin = `{{ $j := parseJSON ${data} }}{{ $i := 7 }}{{ $s := "var" }}{{ define "t" }}<{{ . }}>{{ end }}`;

const texts = [
  '"abc"',
  '"a b"',
  '`raw`',
  '""',
  '"x\\ty"',
  '(env "A")',
  '(env "L")',
  '(env "E")',
  '$j.s',
  '$j.a.b',
  '$s',
  '"10"',
  '"ü€"',
  '(env "U")',
];
const numbers = [
  '1',
  '0',
  '-3',
  '42',
  '0x10',
  '$i',
  '2.5',
  '$j.a.n',
  '$j.a.f',
  '1e3',
  "'a'",
  '(len $j.a.l)',
  '(parseInt "5")',
  '1000000.0',
  '123456.0',
];
const collections = ['$j', '$j.a', '$j.a.l', '$j.m', '(split "," (env "L"))', '(loop 3)', '$j.z', '$j.none'];
const fields = [
  '$j.s',
  '$j.a.b',
  '$j.none',
  '$j.a.l',
  '$j.z',
  '$j.m.q',
  '$j.s.x',
  'index $j "a" "l" 1',
  'index $j "dash-key"',
  'index $j "none"',
  'index $j "a" "l" 9',
  '.',
  '$',
];
const functions = [
  'toUpper',
  'toLower',
  'trimSpace',
  'base64Encode',
  'base64Decode',
  'toJSON',
  'toJSONPretty',
  'len',
  'html',
  'js',
  'urlquery',
  'print',
  'print 1 2',
  'println',
  'printf "%q"',
  'printf "%v"',
  'printf "%5s|"',
  'printf "%-6v|"',
  'printf "%d"',
  'printf "%06d"',
  'printf "%x"',
  'printf "%t"',
  'printf "%.1f"',
  'not',
  'toTitle',
  'sha256Hex',
  'split ","',
  'join "-"',
  'indent 2',
  'replaceAll "a" "-"',
  'trimPrefix "a"',
  'trim "ax"',
  'parseInt',
  'parseBool',
  'add 1',
  'multiply 2',
  'eq "abc"',
  'ne "x"',
  'or "dflt"',
  'and true',
  'index $j',
  'slice',
  'contains "b"',
  'regexReplaceAll "[a-c]" "<$0>"',
  'regexMatch "b+"',
];

/** The same for the same seed. */
export function randomTemplates(seed: number): () => string {
  let state = seed;
  let depth = 0;
  const chance = (): number => {
    // Of C's rand (ISO/IEC 9899, 7.22.2.1).
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(chance() * list.length)] as T;
  const made = (list: readonly (() => string)[]): string => pick(list)();
  const text = (): string => pick(texts);
  const number = (): string => pick(numbers);
  const collection = (): string => pick(collections);
  const any = (): string => made([text, number, truth, collection, () => 'nil']);
  const truth = (): string =>
    made([
      () => pick(['true', 'false', '$j.t', '(lt 1 2)', '(lt 1 0)']),
      () => `(eq ${text()} ${text()})`,
      () => `(not ${text()})`,
      () => `(contains "a" ${text()})`,
    ]);
  const expression = (): string => {
    let whole = made([
      text,
      number,
      truth,
      collection,
      () => pick(fields),
      () => `printf "%s-%v" ${text()} ${any()}`,
      () => `${pick(functions)} ${any()}`,
      () => `or ${any()} ${any()}`,
      () => `and ${any()} ${any()} ${any()}`,
      () => `eq ${any()} ${any()}`,
      () => `print ${any()} ${any()} ${any()}`,
    ]);
    while (chance() < 0.4) whole += ` | ${pick(functions)}`;
    return whole;
  };
  const action = (inside: string): string =>
    pick(['{{', '{{ ', '{{ ', '{{- ']) + inside + pick(['}}', ' }}', ' }}', ' -}}']);
  const maybe = (share: number, what: () => string): string => (chance() < share ? what() : '');
  const nodes = (): string => Array.from({ length: 1 + Math.floor(chance() * 3) }, node).join('');
  const otherwise = (): string => action('else') + nodes();
  const node = (): string => {
    if (depth >= 6) return 't';
    depth++;
    const whole = made([
      () => pick(['text', ' ', '\n', '  \n  a', '} {', '\t', '{{/* c */}}', '{{- /* c */ -}}']),
      () => action(expression()),
      () => action(expression()),
      () => action(expression()),
      () =>
        action(`if ${expression()}`) +
        nodes() +
        maybe(0.3, () => action(`else if ${expression()}`) + nodes()) +
        maybe(0.5, otherwise) +
        action('end'),
      () =>
        action(`with ${pick(['', '$w := '])}${expression()}`) +
        nodes() +
        action('.') +
        maybe(0.4, otherwise) +
        action('end'),
      () =>
        action(`range ${pick(['', '$v := ', '$k, $v := '])}${collection()}`) +
        nodes() +
        action('.') +
        maybe(0.2, () => action(`if ${truth()}`) + action(pick(['break', 'continue'])) + action('end')) +
        maybe(0.3, otherwise) +
        action('end'),
      () => action(`$x := ${expression()}`) + action('$x'),
      () => action(`$i = ${number()}`) + action('$i'),
      () => action(`$s = ${text()}`) + action('$s'),
      () => action(`template "t" ${any()}`),
    ]);
    depth--;
    return whole;
  };
  return () => begin + nodes();
}
