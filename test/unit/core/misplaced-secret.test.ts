// A secret in the place of a path, a word or an address: it is told by its shape, and ordinary texts are not.
import { describe, expect, test } from 'vitest';

import { interpret } from '../../../src/cli/interpret.ts';
import { commands } from '../../../src/commands/index.ts';
import { registerQuery } from '../../../src/config/source.ts';
import {
  hideMisplaced,
  hideMisplacedInDocument,
  hideMisplacedInVariables,
  hideMisplacedInWords,
  quoted,
  quotedSigns,
  quotedValue,
  refusalOfPath,
  refusalOfUrl,
  shownPath,
} from '../../../src/core/misplaced-secret.ts';
import { allOptions } from '../../../src/core/options/all.ts';
import { flagName, twinName } from '../../../src/core/options/option.ts';
import { UsageError } from '../../../src/core/outcome.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import { misplacedShapes, shownCanaries } from '../../support/misplaced-shapes.ts';

const hidden = (text: string): readonly string[] => {
  const found: string[] = [];
  hideMisplaced(text, { secret: (value) => found.push(value) });
  return found;
};

describe.each(misplacedShapes)('$name', ({ text, canaries }) => {
  test('is not quoted', () => expect(quoted(text)).not.toContain(canaries[0]));
  test('is hidden in whatever quotes it, and its pieces are', () => {
    const redactor = createRedactor();
    hideMisplaced(text, redactor);
    for (const line of [text, JSON.stringify(text), encodeURI(text), ...text.split(/[\s/?#@:;$]+/)])
      expect(shownCanaries(redactor.redact(`it is ${line}.`), canaries)).toEqual([]);
  });
});

test.each([
  '/etc/config/app.conf',
  './a b/c',
  'host:8080/users/@me',
  'https://host:8080/users/@me',
  'registry:5000/a/img@sha256:0123',
  '/srv/a:prod@c',
  'https://repo/maven/org:artifact@jar',
  'https://unpkg:8080/react@18',
  'https://npm.internal/@scope/pkg',
  'https://api.test/x?mail=a@b.test',
  '1000:1000',
  'app:staff',
  'db:5432',
  '[fd00::7]:1',
  'fd00::7',
  '2001:db8:0:1:2:3:4:5',
  'kafka://a:9092,b:9092?topic=orders',
  'vault:secret/api@x#db.password',
  'redis://cache:$(PORT)/0',
  'postgres://db:5432/app?sslmode=verify-full&sslrootcert=/ca.pem',
  '--password-file=/run/pw',
  '--vault-token-file=/run/secrets/token',
  'password=vault:secret/db#password',
  'password-env=DB_PASSWORD',
  'git@github.com:acme/site',
  'git+ssh://git@git.internal/acme/site#v1.2:public',
  'jdbc:postgresql://db:5432/app',
  "SELECT count(*) FROM a WHERE x = 'a:b@c'",
  'Host: api.test',
  'unix:/run/app.sock',
  'http://unix:/run/app.sock:/healthz',
  'arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf',
  'bob@example.test',
  'mailto:bob@example.test',
  'condition=Ready',
  'hvs.internal.example.com:8200',
  'hvs.example.com',
  'hvb.vault:8200',
  's.averylonglabelofahostname.example.com',
  '/tmp/x/token=1/secret',
  '/tmp/x/password=reset/page',
  '/srv/token=1/file',
  './out/secret=a/token=b',
  '/data/api-key=2026-11-27/part-0.csv',
  'u=rwX,g=rX',
  'glpat-rotation',
  'npm_config_cache=/tmp',
  'sk_live',
  'SG.internal.example.com',
  'AIzaak',
  '/srv/private_key=2024/part-0.csv',
  'private-key-file=/run/key',
  '--private-key=/run/key.pem',
  'https://accounts.google.com/o/oauth2/auth',
  'bypass=1',
  'compass=north',
  'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
  '/usr/share/zoneinfo/America/Argentina/Buenos_Aires',
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'registry.example.com/team/app:v1.2.3@sha256:0123456789abcdef',
])('%s is shown, and nothing of it is hidden', (text) => {
  expect(quoted(text)).toBe(`"${text}"`);
  expect(hidden(text)).toEqual([]);
  expect(refusalOfPath(text)).toBeUndefined();
  expect(refusalOfUrl(text)).toBeUndefined();
});

describe('a value of a closed form', () => {
  test.each([
    '30',
    '3x',
    '30 sec',
    '5 minutes',
    'half an hour',
    '1h30Min',
    '.inf',
    '-5m',
    '1:30',
    '10 MiB',
    '1.5Gi',
    '2026-11-27T10:00:00Z',
    'PT1H30M',
    '0640a',
    'u=rwX,g=rX',
    'a=rw,',
    'ugo+rwxst',
    'app:staff',
    '1000:1000:1000',
    'jsn',
    'Debug',
    'de_DE.UTF-8',
    'en_US.UTF-8@euro',
    'ECDSA-P256',
    'rsa-4096',
    'properties-file',
    '--verbose',
    '--log-level=debug',
    '/etc/app/config.yaml',
    './templates/a b.tpl',
    '/usr/share/app/config/templates/of/an/app.properties',
    '$TIMEOUT',
    '$(TIMEOUT)',
    '${TIMEOUT:-30s}',
    '"30s"',
    "'30s'",
    '30s\n',
    'µs',
    'deux minutes',
    'PostgreSQL16',
    '',
  ])('is shown where it may be a mistyped one: %s', (text) => {
    expect(quotedValue(text)).toBe(quoted(text));
    expect(quotedValue(text)).toContain(text.trim().replaceAll('"', '\\"'));
  });

  test.each([
    'Kq7ZxWm9Tr',
    'Kq7ZxWm9Tr-hV4pdB8sQz',
    'Ordinary words, and too many of them',
    'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    '/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'password hunter2',
    'hunter2;x',
    'pass<word>',
    'x=hunter2',
    'correct!horse',
    'a\u200bb',
    'd41d8cd98f00b204e9800998ecf8427e0',
  ])('is described where it cannot: %s', (text) => {
    const shown = quotedValue(text);
    expect(shown).not.toContain(text);
    expect(shown).toMatch(
      /^\((?:a text of \d+ characters(?:, some of them unseen)?|what stands there looks like a secret)\)$/,
    );
  });

  test('is judged as a whole, and never cut', () => {
    const secret = 'correct-horse-battery-staple'.repeat(4);
    expect(quotedValue(secret, 80)).toBe('(a text of 112 characters)');
    const token = `${'a'.repeat(70)} hvs.CAESIKq7ZxWm9TrhV4pdB8sQz`;
    expect(quotedValue(token, 80)).not.toContain('aaa');
  });

  test('signs are shown, and letters among them are not', () => {
    expect(quotedSigns('<% %> [[', 20)).toBe('"<% %> [["');
    expect(quotedSigns('Kq7ZxWm9Tr', 20)).toBe('(a text of 10 characters)');
  });
});

test.each(['ca.crt', 'my file.txt', 'certs/ca-bundle.pem', '/run/x=y', './a=b', 'Kq7ZxWm9Tr.pem'])(
  'the name of a file is shown: %s',
  (text) => expect(shownPath(text)).toBe(text),
);

test.each([
  'DB_PW=correct horse',
  'pw: hunter2',
  'Kq7ZxWm9TrhV4',
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  'a\u200bb',
])('what can be none is described: %s', (text) => expect(shownPath(text)).not.toContain(text));

test.each([
  'http://http://api',
  'git+https://git+https://api/x',
  "https://a'b/x",
  'https://app;x#@minio',
  'https://app%40db/x',
])('%s has no host that is one', (text) => expect(refusalOfUrl(text)).toBeDefined());

test.each([
  'http://api',
  'http://api:80/a;b',
  'http://user:p!;w@api/',
  'http://[fd00::7]:80/',
  'postgres://%2Fvar%2Frun/db',
  'http://m%C3%BCller.test/',
  'http://müller.test/',
  'mongodb://a:1,b:2/x',
  'http://host//x',
  'http://a/http://b',
])('%s has one', (text) => expect(refusalOfUrl(text)).toBeUndefined());

test('variables of the program and of its libraries are looked at, and the names of others are not', () => {
  const found: string[] = [];
  const text = 'postgres:/app:Kq7ZxWm9Tr@db';
  for (const name of [
    'INITBOX_TO',
    'DATABASE_URL',
    'PGPASSFILE',
    'VAULT_ADDR',
    'AWS_ENDPOINT_URL_S3',
    'https_proxy',
    'KUBECONFIG',
    'INITBOX_PLAN',
  ]) {
    found.length = 0;
    hideMisplacedInVariables({ [name]: text }, { secret: (value) => found.push(value) });
    expect([name, found.includes('Kq7ZxWm9Tr')]).toEqual([name, true]);
  }
  found.length = 0;
  hideMisplacedInVariables({ PS1: text }, { secret: (value) => found.push(value) });
  expect(found).toEqual([]);
});

test('each text of a document is looked at, and what is called a password there', () => {
  const found: string[] = [];
  hideMisplacedInDocument(
    { a: [{ token: 'Kq7ZxWm9Tr' }, 'https:/app:hV4pdB8sQz@db'], 'password-file': '/run/pw', n: null },
    { secret: (value) => found.push(value) },
  );
  expect(found).toContain('Kq7ZxWm9Tr');
  expect(found).toContain('hV4pdB8sQz');
  expect(found).not.toContain('/run/pw');
});

test.each([
  '/srv/password=Kq7ZxWm9Tr/x',
  '/srv/a?password=hunter2/x',
  'hvs.CAESIKq7ZxWm9Tr',
  's.Kq7ZxWm9TrhV4pdB8sQz',
])('%s is not an ordinary path or host', (text) => expect(quoted(text)).not.toContain(text));

const sentence =
  'what stands there looks like the secret itself; use a variable or a file, with a token or password of the host';

test.each([
  'token=file',
  'password: secret',
  'http://h/?token=file',
  '"token": "itself"',
  'password=host/variable',
  'API_KEY=token',
])('a word of the program’s own is hidden only where it was written: %s', (text) => {
  const redactor = createRedactor();
  hideMisplaced(text, redactor);
  hideMisplacedInDocument({ password: 'secret', token: 'file' }, redactor);
  expect(redactor.redact(sentence)).toBe(sentence);
  expect(redactor.redact(`cannot open ${text}`)).not.toContain(text);
});

test('nor is it hidden alone where it is the token of a URL', () => {
  const redactor = createRedactor();
  registerQuery('http://h/?token=file&access_token=hunter2', (value) => void redactor.secret(value));
  expect(redactor.redact(`${sentence} http://h/?token=file hunter2`)).toBe(
    `${sentence} http://h/?[redacted] [redacted]`,
  );
});

const variable = 'PARTNER_KEY';

test.each([
  [['wait-http', '--header-env', `X-Api-Key=${variable}`, 'http://a/']],
  [['wait-http', `--header-env=X-Auth-Token=${variable}`, 'http://a/']],
  [['wait', `temporal://a:7233?header-env=x-auth-token=${variable}`]],
  [['trust', '--password-env', variable]],
])('the name of a variable is shown: %s', (words) => {
  const redactor = createRedactor();
  hideMisplacedInWords(words, redactor);
  expect(redactor.redact(`the variable ${variable} is not set`)).toBe(`the variable ${variable} is not set`);
});

test('and so it is from a variable, from a plan, and behind a comma', () => {
  const redactor = createRedactor();
  hideMisplacedInVariables({ INITBOX_HEADER_ENV: `X-Api-Key=${variable}, X-Token=OTHER` }, redactor);
  hideMisplacedInDocument(
    { steps: [{ 'header-env': [`X-Api-Key=${variable}`] }, { 'header-env': `X-Vault-Token=${variable}` }] },
    redactor,
  );
  expect(redactor.redact(`${variable} OTHER`)).toBe(`${variable} OTHER`);
});

test.each([
  'Kq7ZxWm9Tr',
  'hunter2',
  'AKIAIOSFODNN7EXAMPLE',
  'JBSWY3DPEHPK3PXP',
  's3cr3t_pass',
  'correct-horse',
])('a header’s value in place of its variable is hidden: %s', (value) => {
  for (const words of [
    ['--header-env', `X-Api-Key=${value}`],
    [`--header-env=X-Api-Key=${value}`],
    [`temporal://a?header-env=x-token=${value}`],
  ]) {
    const redactor = createRedactor();
    hideMisplacedInWords(words, redactor);
    expect(redactor.redact(`it is ${value}.`)).toBe('it is [redacted].');
  }
});

/** What the interpretation of a command line says of it. */
async function said(argv: readonly string[], environment: Record<string, string>): Promise<string> {
  const redactor = createRedactor();
  try {
    const { kind, ...rest } = await interpret(argv, environment, redactor);
    return redactor.redact(kind === 'run' && 'warnings' in rest ? rest.warnings.join('\n') : '');
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return redactor.redact(error.lines.join('\n'));
  }
}

/** Options that several commands share: all shapes once, and some of them in the other commands. */
const looked = new Set<unknown>();

describe.each(Object.entries(commands))('options, variables and arguments of %s', (name, load) => {
  test('show no secret that stands in them', async () => {
    const command = await load();
    const found: string[] = [];
    const options = Object.entries(allOptions(command));
    const known = new Set(options.filter(([, { parse }]) => looked.has(parse)).map(([key]) => key));
    for (const [, { parse }] of options) looked.add(parse);
    for (const [index, { name: shape, text, canaries }] of misplacedShapes.entries()) {
      const places = options
        .filter(([key], at) => !known.has(key) || (index + at) % 5 === 0)
        .flatMap(([key, option]): (readonly [string, readonly string[], Record<string, string>])[] => [
          [`--${key}`, [name, `--${flagName(key, option)}=${text}`], {}],
          [twinName(key, option), [name], { [twinName(key, option)]: text }],
        ]);
      places.push(['the argument', [name, text], {}], ['the second', [name, 'a', text], {}]);
      for (const [place, argv, environment] of places) {
        const shown = shownCanaries(await said(argv, environment), canaries);
        if (shown.length > 0) found.push(`${place} ${shape}: ${await said(argv, environment)}`);
      }
    }
    expect(found).toEqual([]);
  });
});

test.each(misplacedShapes)('the name of a command: $name', async ({ text, canaries }) => {
  expect(shownCanaries(await said([text], {}), canaries)).toEqual([]);
  expect(shownCanaries(await said(['help', text], {}), canaries)).toEqual([]);
});
