import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { sourceOptions } from '../../../src/clients/sources/options.ts';
import { parseYamlNodes } from '../../../src/clients/yaml/nodes.ts';
import { commands } from '../../../src/commands/index.ts';
import { keysOf } from '../../../src/commands/run/keys.ts';
import { kinds } from '../../../src/commands/wait/kinds/index.ts';
import { allOptions } from '../../../src/core/options/all.ts';
import { meaningOf } from '../../../src/core/options/meaning.ts';
import { list, parseText, secret, text, type Option } from '../../../src/core/options/option.ts';
import { resolveOptions } from '../../../src/core/options/resolve-options.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import { refuseUnexpanded, unexpanded, type Meaning } from '../../../src/core/template-variables.ts';
import { readSecretFile } from '../../../src/fs/input-file.ts';
import { temporaryDirectory } from '../../support/undo.ts';

describe('a reference that nobody replaced', () => {
  test.each([
    ['$(DB_HOST)', 'the variable DB_HOST '],
    ['db.$(POD_NAMESPACE).svc', 'the variable POD_NAMESPACE '],
    ['$(db.host-name)', 'the variable db.host-name '],
    ['${DB_HOST}', 'the variable DB_HOST '],
    ['${DB_HOST:-${OTHER}}', 'the variable DB_HOST '],
    ['${DB_HOST', 'the variable DB_HOST '],
    ['$DB_HOST:5432', 'the variable DB_HOST '],
    ['$(hostname -f)', "the shell's $(hostname -f) "],
    ['$()', "the shell's $() "],
    ['{{ .Values.host }}', "the template's {{ .Values.host }} "],
    ['a{{- include "x" . }}b', `the template's {{- include "x" . }} `],
    ['${{ secrets.HOST }}', "the template's {{ secrets.HOST }} "],
    ['{{ .Values', "the template's {{ .Values "],
    ['<no value>', '"<no value>" '],
    ['map[a:<nil>]', '"<nil>" '],
  ])('%s', (given, words) => {
    expect(unexpanded(given)).toContain(words);
  });

  test.each(['', '$', 'a$', '$$', '100$', '$5', 'a$-b', '{ }', '${}', '{a}', '(X)', '<none>', 'a { { b'])(
    'not %j',
    (given) => {
      expect(unexpanded(given)).toBeUndefined();
    },
  );

  test('after a mere $ a name may be meant so, where names with one exist', () => {
    expect(unexpanded('app$user', false)).toBeUndefined();
    expect(unexpanded('app$user${X}', false)).toContain('the variable X ');
    expect(unexpanded('$a$(X)', false)).toContain('the variable X ');
  });
});

const refused = (meaning: Meaning, given: string) => () => refuseUnexpanded(meaning, given, '--it');

describe('by what a text is', () => {
  test.each<[Meaning, string]>([
    ['url', '$(URL)'],
    ['url', 'http:$(X)'],
    ['url', 'http://$(X)/'],
    ['url', 'http://a:$(X)/'],
    ['url', 'http://$X:1/'],
    ['url', 'http://%24(X)/'],
    ['url', 'http://u:p@%24%7BX%7D:80/'],
    ['url', 'HTTP://a/$(X)'],
    ['url', 'http://a?b=${X}'],
    ['url', 'http://$(X):b@c/'],
    ['url', 'http://a:$(X)@c/'],
    ['url', 'postgres://a:b@c,$(X)/d'],
    ['url', 'http://$(X)/@scope/package'],
    ['url', 'http://h:$(X)/users/@me'],
    ['url', 'http://h:${X}/a@b'],
    ['url', 'postgres://a:1,h:$(X)/a@b'],
    ['url', 'http://[::1]:80$(X)/a@b'],
    ['url', 'http://u:$(X)$(Y)@h/'],
    ['url', 'http://u$(X)@c/'],
    ['url', 'http://u${X}:p@c/'],
    ['url', 'redis://${X:-app}:p@c/'],
    ['url', 'http://u:${X:-secret}@c/'],
    ['url', 'redis://u$(X):a/b@c:1/'],
    ['url', '//u$(X):p@c:1'],
    ['secret', '$(X)'],
    ['secret', '$(X)$(Y)'],
    ['secret', '${X} {{ .y }}'],
    ['secret', ' ${X}\n'],
    ['token', 'hvs.$(X)'],
    ['token', 'Bearer ${X}'],
    ['name', 'team-$(X)'],
    ['word', '$X'],
    ['path', '/data/$(X)'],
    ['path', '/data/a${X}.conf'],
    ['path', '$X'],
    ['path', '/data/$X/x'],
  ])('%s %j is refused', (meaning, given) => {
    expect(refused(meaning, given)).toThrow(
      /^--it cannot be used: (the variable (X|URL)|a \$(\(…\)|\{…\})) in it was not replaced/,
    );
  });

  test.each<[Meaning, string]>([
    ['url', 'http://a/$metadata?$filter=a&$expand=Items($select=b)'],
    ['url', 'http://a/%24(X)/%7B%7Bb}}'],
    ['url', 'http://a:x$(b)y@c/'],
    ['url', 'http://a$b:x@c/'],
    ['url', 'http://a%24(b):x@c/'],
    ['url', 'http://a:x:y${b}@c/'],
    ['url', 'postgres://a:b/$(c@d/e'],
    ['secret', 'a$(X)'],
    ['secret', '$X'],
    ['secret', '{{a}}b'],
    ['name', 'a$b'],
    ['token', 'hvs.a$b'],
    ['path', '/data/a$'],
    ['path', 'Outer$Inner.class'],
    ['path', '/data/new$dir/'],
    ['path', '/data/$data.conf'],
    ['path', '/data/$RECYCLE.BIN'],
    ['path', '/data/$pod/x'],
    ['path', '/data/$$X/$5'],
    ['url', 'http://a:pa$(b)/c@d/e'],
    ['url', 'http://h:80/a@b'],
  ])('%s %j is taken', (meaning, given) => {
    expect(refused(meaning, given)).not.toThrow();
  });

  test('a template stands in braces, whatever its quotes hold', () => {
    for (const given of ['{{ index .Values "{a}" }}', '{{ .a }}{{ .b }}'])
      expect(refused('secret', given)).toThrow("a template's {{ … }} in it was not filled in");
    for (const port of ['{{ .Values.port }}', '{{ index .Values "a/b" }}'])
      expect(refused('url', `http://h:${port}/users/@me`)).toThrow("the template's {{ ");
  });

  test.each<[Meaning, string]>([
    ['secret', '{{ Xk9vQ2 }}'],
    ['secret', '{{Xk9vQ2}}$(Xk9vQ2)'],
    ['secret', '$(Xk9vQ2)'],
    ['secret', '$(Xk9vQ2 mP)'],
    ['secret', ' ${Xk9vQ2}\n'],
    ['secret', '${Xk9vQ2:-mP}'],
    ['token', 'hvs.{{Xk9vQ2}}'],
    ['token', 'hvs.$(Xk9vQ2)q'],
    ['token', '${Xk9vQ2}'],
    ['token', '{{ Xk9vQ2'],
    ['url', 'http://u:$(Xk9vQ2)@h/'],
    ['url', 'http://u:{{ Xk9vQ2 }}@h/'],
    ['url', 'http://u:a:${Xk9vQ2}@h/'],
  ])('of a %s nothing is shown: %j', (meaning, given) => {
    expect(refused(meaning, given)).toThrow(/^--it cannot be used: a (?!.*(Xk9|vQ2|mP))/s);
  });

  test('a password that is refused is not shown', () => {
    expect(refused('url', 'http://user:hunter2@$(X)/')).toThrow(/^(?!.*hunter2)/s);
  });

  test('a path, where something of that very name exists, down to the last reference', () => {
    const folder = temporaryDirectory('unexpanded').path;
    mkdirSync(join(folder, '$(A)'));
    expect(refused('path', join(folder, '$(A)'))).not.toThrow();
    expect(refused('path', join(folder, '$(A)', 'new', 'file'))).not.toThrow();
    expect(refused('path', join(folder, '$(A)', '$B'))).toThrow('the variable A in it');
    expect(refused('path', join(folder, '$(B)'))).toThrow('the variable B in it');
  });
});

describe('options', () => {
  test('each option of each command has a meaning: a new placeholder needs one in meaning.ts', async () => {
    const all = await Promise.all(Object.values(commands).map((load) => load()));
    const targets = await Promise.all(
      Object.entries(kinds).map(async ([name, kind]) => ({ name, options: (await kind.load()).options })),
    );
    const ofTargets = targets.flatMap(({ name, options }) =>
      Object.entries(options as Readonly<Record<string, Option>>)
        .filter(([, option]) => option.kind !== 'switch' && option.choices === undefined)
        .filter(([, option]) => meaningOf(option) === undefined)
        .map(([option, { placeholder }]) => `${name}: ${option}=${placeholder}`),
    );
    expect(ofTargets).toEqual([]);
    const unknown = [undefined, ...all].flatMap((command) => {
      const own = command === undefined ? {} : allOptions(command);
      const keys = [...keysOf(command)].flatMap(([name, key]) =>
        'option' in key ? [[name, key.option] as const] : [],
      );
      return [...Object.entries(own), ...keys]
        .filter(([, option]) => option.kind !== 'switch' && option.choices === undefined)
        .filter(([, option]) => meaningOf(option) === undefined)
        .map(([name, { placeholder }]) => `${command?.name ?? 'a step'} --${name} ${placeholder}`);
    });
    expect(unknown).toEqual([]);
  });

  test('the path of Vault’s auth method is a name: nothing is looked for in the file system', () => {
    expect(meaningOf(sourceOptions['vault-mount'])).toBe('name');
  });

  test.each(['PATH', 'FILE', 'DIR', 'URL', 'NAME', 'KEY', 'HOST[:PORT]'])(
    '%s is looked at',
    (placeholder) => {
      const options = {
        one: text({ description: '', placeholder }),
        many: list({ description: '', placeholder, parse: parseText }),
      };
      const resolve = (name: string, given: Record<string, string> = {}) =>
        resolveOptions(
          options,
          new Map([[name, [{ text: 'a$(X)', origin: `--${name}` }]]]),
          given,
          createRedactor(),
          readSecretFile,
        );
      expect(() => resolve('one')).toThrow('--one cannot be used: the variable X in it');
      expect(() => resolve('many')).toThrow('--many cannot be used: the variable X in it');
      expect(() => resolve('none', { INITBOX_MANY: 'b,$(Y)' })).toThrow(
        'INITBOX_MANY cannot be used: the variable Y',
      );
    },
  );

  test('the path of a secret is looked at', () => {
    const options = { token: secret({ description: '' }) };
    const given = new Map([['token', [{ text: '/run/$(X)', origin: '--token-file' }]]]);
    expect(() => resolveOptions(options, given, {}, createRedactor(), readSecretFile)).toThrow(
      '--token-file cannot be used',
    );
  });
});

describe('a template in YAML that nobody filled in', () => {
  test.each([
    'targets: {{ .Values.db }}:5432\n',
    'steps:\n  {{- range .Values.hunter2 }}\n  - a\n  {{- end }}\n',
    'targets: <no value>: 5432\n',
    'targets: {{ .Values.db }}\n',
  ])('%j', (yaml) => {
    expect(() => parseYamlNodes(yaml)).toThrow(/a template was not filled in/);
    expect(() => parseYamlNodes(yaml)).toThrow(/^(?!.*hunter2)/s);
  });

  test('other mistakes are told as before', () => {
    expect(() => parseYamlNodes('# {{ a }}\na: [b\n')).toThrow(/^(?!.*template)/s);
  });
});

/** What is said of a text as each of the meanings that name a reference. */
const saidOfEach = (written: string): readonly string[] =>
  (['url', 'place', 'path', 'word', 'name'] as const).map((meaning) => {
    try {
      refuseUnexpanded(meaning, written, 'X');
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  });

test.each([
  'https://user:pa$(wmtr)x',
  'postgres://u:pa$(wmtr)x',
  'postgres://u:$(wmtr)x/db',
  'postgres://u:12$(wmtr)x,b:1/db',
  'jdbc:postgresql://u:pa${wmtr}x',
  'postgres://u:pa$wmtr',
  'postgres://u:pa{{wmtr}}x',
  'postgres://u:pa#$(wmtr)x',
  'u:pa$(wmtr)x',
])('a password without its @ has no variable that is named: %s', (written) => {
  for (const said of saidOfEach(written)) expect(said).not.toContain('wmtr');
  expect(saidOfEach(written)[0]).toMatch(/was not replaced by a value|was not filled in/);
});

test.each([
  'redis://cache:$(PORT)/0',
  'redis://cache:1$(PORT)/0',
  'redis://cache:$PORT/0',
  'mongodb://a:1,b:$(PORT)/x',
  'http://[fd00::7]:$(PORT)/',
  '$(PORT):80',
  'db:$(PORT)',
])('a host or port that was not replaced is named: %s', (written) => {
  expect(saidOfEach(written)[0]).toContain('the variable PORT in it');
});

test.each(['vault:secret/$(APP)x#a', 'kubernetes:configmap/$(APP)-x', 'file:/x/$(APP)b', '/srv/a:b/$(APP)'])(
  'so is one in a path: %s',
  (written) => expect(saidOfEach(written)[1]).toContain('the variable APP in it'),
);
