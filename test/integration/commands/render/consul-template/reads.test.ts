// What templates of consul-template make this program read and write, and what must not happen.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../../support/memory-folders.ts';
import { canUseBao, startBao, type Bao } from '../../../../support/openbao.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { promptly, within } from '../../../../support/promptly.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { startReadServer, token, variables } from './server.ts';

const folder = memoryFolders();

/** One run over templates by their names; `out` reads what it wrote. */
async function play(
  templates: Readonly<Record<string, string>>,
  {
    words = [],
    env = {},
    login = false,
    to = 'out/',
  }: {
    words?: readonly string[];
    env?: Readonly<Record<string, string>>;
    login?: boolean;
    to?: string;
  } = {},
) {
  const server = await startReadServer();
  const cwd = folder();
  for (const [name, template] of Object.entries(templates)) writeFileSync(join(cwd, name), template);
  writeFileSync(join(cwd, 'password'), 'the-password-of-app');
  const loginWords = ['--vault-user', 'app', '--vault-password-file', join(cwd, 'password')];
  const result = await runInitbox(
    [
      'render',
      ...Object.keys(templates),
      '--to',
      to,
      '--language',
      'consul-template',
      '--timeout',
      '30s',
      ...(login ? loginWords : []),
      ...words,
    ],
    {
      cwd,
      env: {
        ...variables,
        VAULT_ADDR: server.address,
        CONSUL_HTTP_ADDR: server.address,
        ...(login ? {} : { VAULT_TOKEN: token }),
        ...env,
      },
    },
  );
  await server[Symbol.asyncDispose]();
  return {
    ...result,
    server,
    cwd,
    out: (name: string) => readFileSync(join(cwd, 'out', name), 'utf8'),
    wrote: existsSync(join(cwd, 'out')),
  };
}

describe('what is read', () => {
  test('a secret of several templates is read once, by one login, and the token is given back', async () => {
    const { status, stderr, server, out } = await play(
      {
        a: '{{ with secret "secret/data/app" }}{{ .Data.data.username }}{{ end }}',
        b: '{{ with secret "secret/data/other" }}{{ with secret (printf "secret/data/%s" .Data.data.path) }}{{ .Data.data.username }}{{ end }}{{ end }}',
      },
      { login: true },
    );
    expect(status, stderr).toBe(0);
    expect([out('a'), out('b')]).toEqual(['shop', 'shop']);
    expect(server.asked.toSorted()).toEqual(['GET secret/data/app', 'GET secret/data/other']);
    expect(server.tokens).toEqual(['login', 'revoke']);
  });

  test('what nothing is put out of is not read, and nobody logs in for it', async () => {
    const { status, stderr, server, out } = await play(
      {
        a: '{{ if eq (env "LEVEL") "prod" }}{{ with secret "database/creds/app" }}{{ .Data.password }}{{ end }}{{ end }}{{ define "x" }}{{ secret "secret/data/other" }}{{ end }}ok',
      },
      { login: true },
    );
    expect(status, stderr).toBe(0);
    expect(out('a')).toBe('ok');
    expect([server.asked, server.tokens]).toEqual([[], []]);
  });

  test('a certificate is asked for once for all templates with the same parameters, and its lease is told', async () => {
    const pki = '{{ with pkiCert "pki/issue/web" "common_name=app.example" "ttl=24h" }}';
    const { status, stderr, server, out } = await play({
      'tls.crt': `${pki}{{ .Cert }}{{ end }}`,
      'tls.key': `${pki}{{ .Key }}{{ end }}`,
      creds: '{{ with secret "database/creds/app" }}{{ .Data.password }}{{ end }}',
    });
    expect(status, stderr).toBe(0);
    expect(out('tls.crt')).toContain('BEGIN CERTIFICATE');
    expect(out('tls.key')).toContain('PRIVATE KEY');
    expect(server.written).toEqual([{ common_name: 'app.example', ttl: '24h' }]);
    expect(stderr).toContain('vault:database/creds/app holds for 1h');
  });

  test('parameters do not write to a KV engine', async () => {
    const { status, stderr, server, wrote } = await play({
      a: '{{ secret "secret/data/app" "password=overwritten" }}',
    });
    expect({ status, wrote }, stderr).toEqual({ status: 69, wrote: false });
    expect(stderr).toContain('a template only reads a KV engine');
    expect(server.written).toEqual([]);
  });

  test('a secret that is not there ends the run', async () => {
    const { status, stderr, wrote } = await play({
      a: '{{ with secret "secret/data/nowhere" }}x{{ else }}y{{ end }}',
    });
    expect({ status, wrote }, stderr).toEqual({ status: 69, wrote: false });
    expect(stderr).toContain('there is no secret at secret/nowhere');
  });

  test.each([
    'secret .Data.data.slash',
    'secret .Data.data.data',
    'secret .Data.data.at',
    'secret .Data.data.query',
    'secret (printf "secret/data/%s" .Data.data.slash)',
    '.Data.data.slash | secret',
    'secret (index (.Data.data.slash | split "-") 0)',
    'secret (.Data.data.slash | toLower)',
    'secret .Data.data.slash "a=b"',
    'key .Data.data.slash',
    'key .Data.data.at',
    'file .Data.data.slash',
    'file .Data.data.query',
  ])('an address that is made of a secret shows no piece of it: %s', async (call) => {
    const { status, stderr } = await play({
      a: `{{ with secret "secret/data/cut" }}{{ with ${call} }}x{{ end }}{{ end }}`,
    });
    expect(status, stderr).not.toBe(0);
    expect(stderr).not.toMatch(/kq7zx|hv4pd/i);
  });

  test('an address that is made of other values is shown', async () => {
    const { status, stderr } = await play(
      { a: '{{ with secret (printf "secret/data/%s/%s" (env "STAGE") "nowhere") }}x{{ end }}' },
      { env: { STAGE: 'production' } },
    );
    expect(status, stderr).toBe(69);
    expect(stderr).toContain('there is no secret at secret/production/nowhere');
  });

  test('the token of Consul goes to Consul alone', async () => {
    const { status, stderr, server } = await play(
      { a: '{{ key "app/level" }}{{ with secret "secret/data/app" }}{{ .Data.data.username }}{{ end }}' },
      { env: { CONSUL_HTTP_TOKEN: 'token-of-consul' } },
    );
    expect(status, stderr).toBe(0);
    expect(server.tokens).toEqual(['token-of-consul to kv']);
    expect(stderr).not.toContain('token-of-consul');
  });

  test('data of other sources are the dot', async () => {
    const { status, stderr, out } = await play(
      {
        a: '{{ .NAME }} {{ range .list }}{{ . }};{{ end }}{{ .number }} {{ with "x" }}{{ $.NAME }}{{ end }}',
      },
      {
        words: ['--var', 'NAME=n', '--data', 'data.json'],
      },
    ).then(async (first) => {
      // The file of data is made by a second run in the same folder.
      writeFileSync(join(first.cwd, 'data.json'), '{"list":["a","b"],"number":3}');
      const again = await runInitbox(
        [
          'render',
          'a',
          '--to',
          'out/',
          '--language',
          'consul-template',
          '--var',
          'NAME=n',
          '--data',
          'data.json',
        ],
        { cwd: first.cwd, env: {} },
      );
      return { ...again, out: first.out };
    });
    expect(status, stderr).toBe(0);
    expect(out('a')).toBe('n a;b;3 n');
  });
});

describe('what is refused is refused before anything is read', () => {
  test.each([
    ['a function that is not there', '{{ range service "db" }}{{ end }}', /service is not supported: .*dns:/],
    ['a mistyped name', '{{ base64Decod "x" }}', /there is no function base64Decod; is base64Decode meant\?/],
    ['several files of one template', '{{ "x" | writeToFile "/x" "" "" "" }}', /make a template for each/],
    ['a program', '{{ plugin "date" }}', /no program is started/],
    ['a format', '{{ printf "%z" 1 }}', /"%z" is not a directive of printf/],
    ['a value too few', '{{ printf "%s %s" "a" }}', /the format has 2 directives, and there are 1 values/],
    ['a pattern', '{{ regexMatch "(?=x)" "x" }}', /a group \(\?…\)/],
    ['a layout of time', '{{ timestamp "2/1/2006" }}', /the layout has a part that is not supported/],
    ['a path', '{{ secret "secret/../x" }}', /has the path segment "\.\."/],
    ['a parameter', '{{ secret "pki/issue/web" "common_name" }}', /"KEY=VALUE"/],
  ])('%s', async (_, template, words) => {
    const { status, stderr, server, wrote } = await play(
      { a: `{{ with secret "database/creds/app" }}{{ .Data.password }}\n${template}{{ end }}` },
      { login: true },
    );
    expect({ status, wrote }, stderr).toEqual({ status: 2, wrote: false });
    expect(stderr).toMatch(/a:2:\d+: /);
    expect(stderr).toMatch(words);
    expect([server.asked, server.tokens]).toEqual([[], []]);
  });

  test('keys of Consul without its address', async () => {
    const { status, stderr } = await play({ a: '{{ key "a" }}' }, { env: { CONSUL_HTTP_ADDR: '' } });
    expect(status).toBe(2);
    expect(stderr).toContain('a:1:4: key: it reads Consul, and CONSUL_HTTP_ADDR is not set');
  });

  test('four delimiters, and --only', async () => {
    const four = await play({ a: 'x' }, { words: ['--delimiters', '[[ ]] [% %]'] });
    expect(four).toMatchObject({ status: 2, stderr: expect.stringContaining('has one pair') });
    const only = await play({ a: 'x' }, { words: ['--only', 'A'] });
    expect(only).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--only is for the language env'),
    });
  });
});

describe('secrets', () => {
  test('what is written is for its owner and group, and only in memory', async () => {
    const { status, stderr, cwd } = await play({
      a: '{{ with secret "secret/data/app" }}{{ .Data.data.password }}{{ end }}',
    });
    expect(status, stderr).toBe(0);
    expect(statSync(join(cwd, 'out/a')).mode & 0o777).toBe(0o440);
    const onDisk = temporaryDirectory('render-on-disk');
    const disk = await play(
      { a: '{{ if false }}{{ with secret "secret/data/app" }}x{{ end }}{{ end }}' },
      { to: `${onDisk.path}/` },
    );
    expect(disk).toMatchObject({ status: 2, stderr: expect.stringContaining('is not in memory') });
    onDisk.remove();
    expect(disk.server.asked).toEqual([]);
    const open = await play({ a: '{{ secret (env "LEVEL") }}' }, { words: ['--public'] });
    expect(open).toMatchObject({ status: 2, stderr: expect.stringContaining('cannot be public') });
  });

  test('no message holds a value, or a piece of one', async () => {
    const { status, stderr } = await play({
      a: `{{ with secret "secret/data/app" }}{{ $d := .Data.data }}
{{ index $d $d.password }}
{{ index (splitToMap "," ":" "secretpiece:1") "x" }}
{{ env $d.username }}
{{ (parseJSON $d.json).absent }}
{{ end }}`,
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/a:2:4: there is no such key, whose name is a value: there are "binary"/);
    expect(stderr).toMatch(/a:3:4: there is no "x" in what the text was taken apart into/);
    expect(stderr).toMatch(/a:4:4: the variable is not set/);
    for (const value of ['p4ss', 'secretpiece', 'shop', 'huge']) expect(stderr).not.toContain(value);
    const format = await play({
      a: '{{ with secret "secret/data/app" }}{{ printf (printf "%s%%kx" .Data.data.username) }}{{ end }}',
    });
    expect(format.stderr).toContain('the format has what is not a directive');
    expect(format.stderr).not.toContain('%k');
  });

  test('bytes are written as they are, and --check says that they are no text', async () => {
    const template = '{{ with secret "secret/data/app" }}{{ base64Decode .Data.data.binary }}{{ end }}';
    const { status, stderr, cwd } = await play({ a: template });
    expect(status, stderr).toBe(0);
    expect([...readFileSync(join(cwd, 'out/a'))]).toEqual([0xfe, 0xed, 0xfe, 0xed, 0, 1, 2, 0x80, 0xff]);
    const checked = await play({ a: template }, { words: ['--check', 'yaml'] });
    expect(checked.status).toBe(2);
    expect(checked.stderr).toContain('what it makes is not yaml');
  });
});

describe('templates that take long or grow', () => {
  test.each([
    [
      'a pattern that backtracks',
      '{{ regexMatch "^(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }}',
      /takes too long/,
    ],
    [
      'a text that doubles',
      '{{ $x := "xxxxxxxxxx" }}{{ range loop 60 }}{{ $x = print $x $x }}{{ end }}',
      /too large/,
    ],
    [
      'a replacement that grows',
      '{{ $x := "aaaaaaaaaa" }}{{ range loop 60 }}{{ $x = replaceAll "a" $x $x }}{{ end }}',
      /too large/,
    ],
    [
      'templates that call each other',
      '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}',
      /call each other/,
    ],
    [
      'twice',
      '{{ define "t" }}{{ template "t" }}{{ template "t" }}{{ end }}{{ template "t" }}',
      /call each other/,
    ],
    [
      'loops in loops',
      '{{ range loop 3000 }}{{ range loop 3000 }}{{ end }}{{ end }}',
      /takes too many steps|more than/,
    ],
    ['deep parentheses', `{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`, /nested deeper/],
    ['deep blocks', '{{ if true }}'.repeat(5000) + '{{ end }}'.repeat(5000), /nested deeper/],
  ])('%s', async (_, template, words) => {
    const { status, stderr, wrote } = await play({ a: template });
    expect({ status, wrote }, stderr).toEqual({ status: 2, wrote: false });
    expect(stderr).toMatch(words);
  });

  test('a signal is heard meanwhile', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'file'), 'aaaaaaaaaaaaaaaaaaab');
    writeFileSync(
      join(cwd, 'a'),
      `{{ $x := file "${join(cwd, 'file')}" }}{{ range loop 100000 }}{{ $y := regexMatch "^(a+)+$" $x }}{{ end }}`,
    );
    const running = await startInitbox(['render', 'a', '--to', 'out', '--language', 'consul-template'], {
      cwd,
    });
    await running.waitForStderr(/file: read/);
    running.kill('SIGTERM');
    expect(await within(promptly, running.exit)).toMatchObject({ status: 143 });
  });
});

describe.skipIf(requireOrSkip('templates of a real server', canUseBao()))('a real server', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startBao();
    await bao.must('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.must('POST', 'pki/root/generate/internal', { common_name: 'root.example', ttl: '24h' });
    await bao.must('POST', 'pki/roles/web', { allowed_domains: 'app.example', allow_bare_domains: true });
    await bao.must('POST', 'sys/mounts/one', { type: 'kv', options: { version: '1' } });
    await bao.must('POST', 'one/app', { password: 'of-version-one' });
    await bao.must('POST', 'secret/data/deep/app', { data: { password: 'of-version-two' } });
    await bao.must('PUT', 'sys/policies/acl/narrow', {
      policy: 'path "secret/data/deep/+" { capabilities = ["read"] }',
    });
  });
  afterAll(() => bao[Symbol.asyncDispose]());

  const render = (cwd: string, words: readonly string[], vaultToken = bao.token) =>
    runInitbox(['render', ...words, '--language', 'consul-template', '--timeout', '30s'], {
      cwd,
      env: { VAULT_ADDR: bao.address, VAULT_TOKEN: vaultToken },
    });

  test('a certificate and its key fit, and both engines are read', async () => {
    const cwd = folder();
    const pki = '{{ with pkiCert "pki/issue/web" "common_name=app.example" "ttl=1h" }}';
    writeFileSync(join(cwd, 'tls.crt'), `${pki}{{ .Cert }}{{ end }}`);
    writeFileSync(join(cwd, 'tls.key'), `${pki}{{ .Key }}{{ end }}`);
    writeFileSync(join(cwd, 'ca.crt'), `${pki}{{ .CA }}{{ end }}`);
    writeFileSync(
      join(cwd, 'both'),
      '{{ with secret "one/app" }}{{ .Data.password }}{{ end }} {{ with secret "secret/deep/app" }}{{ .Data.data.password }}{{ end }}',
    );
    const { status, stderr } = await render(cwd, ['tls.crt', 'tls.key', 'ca.crt', 'both', '--to', 'out/']);
    expect(status, stderr).toBe(0);
    expect(readFileSync(join(cwd, 'out/both'), 'utf8')).toBe('of-version-one of-version-two');
    const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd, encoding: 'utf8' });
    expect(openssl('verify', '-CAfile', 'out/ca.crt', 'out/tls.crt')).toContain('OK');
    expect(openssl('x509', '-in', 'out/tls.crt', '-noout', '-pubkey')).toBe(
      openssl('pkey', '-in', 'out/tls.key', '-pubout'),
    );
  });

  test('a token that sees no engine reads the path of the API; what it may not is told with the right', async () => {
    const { auth } = (await bao.must('POST', 'auth/token/create', {
      policies: ['narrow'],
      no_default_policy: true,
    })) as { auth: { client_token: string } };
    const cwd = folder();
    writeFileSync(
      join(cwd, 'a'),
      '{{ with secret "secret/data/deep/app" }}{{ .Data.data.password }}{{ end }}',
    );
    const read = await render(cwd, ['a', '--to', 'out'], auth.client_token);
    expect(read.status, read.stderr).toBe(0);
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('of-version-two');
    writeFileSync(
      join(cwd, 'b'),
      '{{ with pkiCert "pki/issue/web" "common_name=app.example" }}{{ .Cert }}{{ end }}',
    );
    const write = await render(cwd, ['b', '--to', 'out'], auth.client_token);
    expect(write.status, write.stderr).toBe(69);
    expect(write.stderr).toContain('path "pki/issue/web" { capabilities = ["update"] }');
  });
});
