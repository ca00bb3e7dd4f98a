import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { limitMemory } from '../../../support/memory-limit.ts';
import { runInitbox, terminationLog } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { respond, startFaultServer } from '../fetch-config/fault-server.ts';

const noMounts = requireOrSkip('render into memory', canMount());

let work: ReturnType<typeof temporaryDirectory>;
beforeAll(() => {
  work = temporaryDirectory('render');
});
afterAll(() => work.remove());

let count = 0;
/** A folder with these files, and an empty folder `out` beside them. */
function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const path = join(work.path, String(count++));
  mkdirSync(join(path, 'out'), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

const run = (cwd: string, args: readonly string[], env: Record<string, string> = {}) =>
  runInitbox(['render', ...args], { cwd, env });

describe('what is written', () => {
  test('one file, mode 0444; the same again leaves it alone', async () => {
    const cwd = folder({ 'app.conf.tmpl': 'host=$HOST\nport=${PORT:-80}\n' });
    const first = await run(cwd, ['app.conf.tmpl', '--to', 'out/app.conf'], { HOST: 'db' });
    expect(first).toMatchObject({ status: 0, stdout: '' });
    expect(first.stderr).toContain('1 file written (16 bytes)');
    const target = join(cwd, 'out/app.conf');
    expect(readFileSync(target, 'utf8')).toBe('host=db\nport=80\n');
    expect(statSync(target).mode & 0o7777).toBe(0o444);
    const before = statSync(target, { bigint: true });
    const again = await run(cwd, ['app.conf.tmpl', '--to', 'out/app.conf'], { HOST: 'db' });
    expect(again.stderr).toContain('1 file unchanged');
    expect(statSync(target, { bigint: true })).toMatchObject({ ino: before.ino, mtimeNs: before.mtimeNs });
  });

  test('a folder, by the names of the templates, from a mounted ConfigMap', async () => {
    const cwd = folder();
    const from = join(cwd, 'templates');
    mkdirSync(join(from, '..2026'), { recursive: true });
    writeFileSync(join(from, '..2026', 'a.conf.template'), '$A');
    writeFileSync(join(from, '..2026', 'b.conf'), '${B:-b}');
    symlinkSync('..2026', join(from, '..data'));
    for (const name of ['a.conf.template', 'b.conf']) symlinkSync(`..data/${name}`, join(from, name));
    expect(await run(cwd, ['templates', '--to', 'out'], { A: 'x' })).toMatchObject({ status: 0 });
    expect(readdirSync(join(cwd, 'out')).filter((name) => !name.startsWith('..'))).toEqual([
      'a.conf',
      'b.conf',
    ]);
    expect(readFileSync(join(cwd, 'out/a.conf'), 'utf8')).toBe('x');
  });

  test('data of every kind of file, in both languages', async () => {
    const cwd = folder({
      'v.yaml': 'port: 8080\nhosts: [a, b]\n',
      'j.json': '{"big": 12345678901234567890}',
      'p.properties': 'p.key = props\n',
      '.env': 'DOT="en v"\n',
      't.liquid':
        '{% for h in hosts %}{{ h }}:{{ port }} {% endfor %}{{ j.big }} {{ p["p.key"] }} {{ DOT | shell }} {{ env.E }} {{ V }}',
      't.env': '',
      'e.tmpl': '$port $DOT $E $V',
    });
    const data = ['--data', 'v.yaml', '--data', '.env', '--var', 'V=v'];
    const more = ['--data', 'j=j.json', '--data', 'p=p.properties', '--language', 'liquid'];
    expect(await run(cwd, ['t.liquid', '--to', 'out/t', ...data, ...more], { E: 'e' })).toMatchObject({
      status: 0,
    });
    expect(readFileSync(join(cwd, 'out/t'), 'utf8')).toBe(
      "a:8080 b:8080 12345678901234567890 props 'en v' e v",
    );
    expect(await run(cwd, ['e.tmpl', '--to', 'out/e', ...data], { E: 'e' })).toMatchObject({ status: 0 });
    expect(readFileSync(join(cwd, 'out/e'), 'utf8')).toBe('8080 en v e v');
  });

  test('hands over to the command after --', async () => {
    const cwd = folder({ a: '$A' });
    const result = await run(cwd, ['a', '--to', 'out/a', '--', 'cat', 'out/a'], { A: 'it' });
    expect(result).toMatchObject({ status: 0, stdout: 'it' });
  });

  test('--dry-run writes nothing and tells names and sizes', async () => {
    const cwd = folder({ a: '$A' });
    const result = await run(cwd, ['a', '--to', 'out/a', '--dry-run'], { A: 'hunter2!' });
    expect(JSON.parse(result.stdout)).toEqual({
      files: [{ path: join(cwd, 'out/a'), size: 8, mode: '0444' }],
    });
    expect(readdirSync(join(cwd, 'out'))).toEqual([]);
  });

  test('what a shell reads back of the filter for shells', async () => {
    const hostile = `it's "x" $(id) \`id\` \\ é\n!#*~ `;
    const cwd = folder({ a: 'printf %s {{ env.V | shell }}' });
    expect(await run(cwd, ['a', '--to', 'out/a', '--language', 'liquid'], { V: hostile })).toMatchObject({
      status: 0,
    });
    expect(execFileSync('sh', [join(cwd, 'out/a')]).toString()).toBe(hostile);
  });
});

describe('bad input: one clear error, status 2, nothing written', () => {
  const cases: readonly {
    name: string;
    files: Readonly<Record<string, string | Uint8Array>>;
    args: readonly string[];
    says: RegExp;
    env?: Record<string, string>;
  }[] = [
    { name: 'no template', files: {}, args: ['--to', 'out/a'], says: /no template was given; for example/ },
    { name: 'nowhere to write', files: { a: '' }, args: ['a'], says: /give --to PATH/ },
    {
      name: 'missing',
      files: {},
      args: ['a', '--to', 'out/a'],
      says: /the template a: there is no such file/,
    },
    {
      name: 'not UTF-8',
      files: { a: Buffer.from([0x61, 0xff]) },
      args: ['a', '--to', 'out/a'],
      says: /the template a: it is not UTF-8/,
    },
    {
      name: 'too large',
      files: { a: 'x'.repeat(2000) },
      args: ['a', '--to', 'out/a', '--max-size', '1000'],
      says: /over the limit of .* \(--max-size\)/,
    },
    {
      name: 'unset variables, all of them at once',
      files: { a: '$X\n $Y', b: '${Z:?needed for b}', c: '$OK' },
      args: ['a', 'b', 'c', '--to', 'out/'],
      says: /a:1:1: X is not set[^]*a:2:2: Y is not set[^]*b:1:1: Z is not set: needed for b/,
      env: { OK: 'ok' },
    },
    {
      name: 'an unclosed reference',
      files: { a: 'ok\n  ${A' },
      args: ['a', '--to', 'out/a'],
      says: /a:2:3: \$\{ is not closed by \}/,
    },
    {
      name: 'an unclosed tag',
      files: { a: 'x\n {% if true %}' },
      args: ['a', '--to', 'out/a', '--language', 'liquid'],
      says: /a:2:2: the tag "if" is not closed/,
    },
    {
      name: 'a filter that does not exist',
      files: { a: '{{ env.A | nope }}' },
      args: ['a', '--to', 'out/a', '--language', 'liquid'],
      says: /a:1:1: there is no filter "nope"/,
    },
    {
      name: 'data that does not parse',
      files: { a: '', 'v.yaml': 'a: 1\nb: "x' },
      args: ['a', '--to', 'out/a', '--data', 'v.yaml'],
      says: /--data: v.yaml: 2:/,
    },
    {
      name: 'data that is missing',
      files: { a: '' },
      args: ['a', '--to', 'out/a', '--data', 'v.yaml'],
      says: /--data: v.yaml: there is no such file/,
    },
    {
      name: 'two data of one name',
      files: { a: '', 'v.yaml': 'a: 1' },
      args: ['a', '--to', 'out/a', '--data', 'x=v.yaml', '--data', 'x=file:/etc/hostname'],
      says: /two values for the name "x": --data x=v.yaml and --data x=file:\/etc\/hostname/,
    },
    {
      name: 'two data with one key',
      files: { a: '', 'v.yaml': 'a: 1', 'w.json': '{"a": 2}' },
      args: ['a', '--to', 'out/a', '--data', 'v.yaml', '--data', 'w.json'],
      says: /two values for the name "a": --data v.yaml and --data w.json/,
    },
    {
      name: 'a value in place of a source',
      files: { a: '' },
      args: ['a', '--to', 'out/a', '--data', 'x=hunter2'],
      says: /--data x=…: it is neither a source/,
    },
    {
      name: 'several templates into a file',
      files: { a: '', b: '', 'out/f': '' },
      args: ['a', 'b', '--to', 'out/f'],
      says: /out\/f is a file, and there are several templates/,
    },
    {
      name: 'two templates of one name',
      files: { a: '', 'a.tmpl': '' },
      args: ['a', 'a.tmpl', '--to', 'out'],
      says: /a and a.tmpl would both be written/,
    },
    {
      name: 'over itself',
      files: { a: '' },
      args: ['a', '--to', 'a'],
      says: /a is the same file as .*, which is written/,
    },
    { name: 'no folder', files: { a: '' }, args: ['a', '--to', 'nowhere/a'], says: /nowhere/ },
    {
      name: 'what does not parse, by --check',
      files: { a: 'x: [$A', b: 'x: $A' },
      args: ['a', 'b', '--to', 'out', '--check', 'yaml'],
      says: /a: what it makes is not yaml, at [12]:\d+/,
      env: { A: '1' },
    },
    {
      name: 'an unknown language',
      files: { a: '' },
      args: ['a', '--to', 'out/a', '--language', 'jinja'],
      says: /"jinja" is not one of env, liquid/,
    },
    {
      name: '--only with liquid',
      files: { a: '' },
      args: ['a', '--to', 'out/a', '--language', 'liquid', '--only', 'A'],
      says: /--only is for the language env/,
    },
    {
      name: 'one delimiter',
      files: { a: '' },
      args: ['a', '--to', 'out/a', '--delimiters', '[['],
      says: /--delimiters: "\[\[" is 1 words/,
    },
  ];
  test.each(cases)('$name', async ({ files, args, says, env }) => {
    const { 'out/f': present, ...rest } = files;
    const cwd = folder(rest);
    if (present !== undefined) writeFileSync(join(cwd, 'out/f'), present);
    const before = readdirSync(join(cwd, 'out'));
    const log = terminationLog();
    const result = await run(cwd, [...args, '--termination-log', log.path], env);
    expect(result.status, result.stderr).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(says);
    expect(result.stderr).not.toMatch(/^\s+at .*\.js:\d+/m);
    expect(result.stderr).not.toContain('hunter2');
    expect(log.read().length).toBeGreaterThan(10);
    expect(readdirSync(join(cwd, 'out'))).toEqual(before);
  });
});

describe.skipIf(noMounts)('secrets', () => {
  const value = 'CANARY-"it\'s" $(id) \\ &';
  const json = { 'Content-Type': 'application/json' };
  const server = () =>
    startFaultServer({
      '/v1/sys/internal/ui/mounts/secret/db': respond(
        200,
        JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '1' } } }),
        json,
      ),
      '/v1/secret/db': respond(200, JSON.stringify({ data: { password: value, port: 5432 } }), json),
    });
  let memory: Mounted;
  beforeAll(() => {
    memory = mountTmpfs({ size: '4m' });
  });
  afterAll(() => memory[Symbol.dispose]());

  test('go into memory alone, with mode 0440, and into no line of the log', async () => {
    await using vault = await server();
    const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: 'CANARY-token' };
    const cwd = folder({
      a: 'p: {{ db.password | yaml }}\nq: {{ db.port }}\n',
      b: '$PW',
      bad: '{{ db }}{{ db.password | nope }}',
    });
    const liquid = [
      'a',
      '--language',
      'liquid',
      '--data',
      'db=vault:secret/db',
      '--check',
      'yaml',
      '--log-level',
      'debug',
    ];
    const disk = await run(cwd, [...liquid, '--to', 'out/a'], env);
    expect(disk).toMatchObject({ status: 2 });
    expect(disk.stderr).toContain('is not in memory');
    // The place was looked at before anything was asked for.
    expect(vault.requests).toEqual([]);
    expect(readdirSync(join(cwd, 'out'))).toEqual([]);

    const target = join(memory.path, 'a');
    const result = await run(cwd, [...liquid, '--to', target], env);
    expect(result, result.stderr).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(target, 'utf8')).toBe(`p: ${JSON.stringify(value)}\nq: 5432\n`);
    expect(statSync(target).mode & 0o7777).toBe(0o440);

    const one = join(memory.path, 'b');
    const single = ['b', '--data', 'PW=vault:secret/db#password', '--to', one];
    expect(await run(cwd, single, env)).toMatchObject({ status: 0 });
    expect(readFileSync(one, 'utf8')).toBe(value);

    const whole = await run(cwd, ['b', '--data', 'PW=vault:secret/db', '--to', one], env);
    expect(whole).toMatchObject({ status: 2 });
    expect(whole.stderr).toContain('PW is no text (--data PW=vault:secret/db)');
    for (const { stderr, stdout } of [disk, result, whole]) expect(stderr + stdout).not.toContain('CANARY');
  });

  test('are what lies in memory, as the volumes of Secrets do, and what --secret says', async () => {
    const cwd = folder({ a: '$pw', 'v.json': '{"pw": "CANARY-file"}' });
    const inMemory = join(memory.path, 'v.json');
    writeFileSync(inMemory, '{"pw": "CANARY-file"}');
    const disk = await run(cwd, ['a', '--to', 'out/a', '--data', inMemory]);
    expect(disk).toMatchObject({ status: 2 });
    expect(disk.stderr).toContain('is not in memory');
    expect(await run(cwd, ['a', '--to', 'out/a', '--data', inMemory, '--allow-disk'])).toMatchObject({
      status: 0,
    });
    expect(statSync(join(cwd, 'out/a')).mode & 0o7777).toBe(0o440);
    expect((await run(cwd, ['a', '--to', 'out/b', '--secret'], { pw: 'x' })).status).toBe(2);
    expect(existsSync(join(cwd, 'out/b'))).toBe(false);
  });

  test('of a source that fails are not printed, and nothing is written', async () => {
    await using vault = await startFaultServer({
      '/v1/sys/internal/ui/mounts/secret/db': respond(403, '{"errors": ["denied to CANARY-token"]}', json),
      '/v1/secret/db': respond(403, '{"errors": ["denied to CANARY-token"]}', json),
    });
    const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: 'CANARY-token' };
    const cwd = folder({ a: '$pw' });
    const result = await run(cwd, ['a', '--to', join(memory.path, 'c'), '--data', 'vault:secret/db'], env);
    expect(result.status).toBe(69);
    expect(result.stderr + result.stdout).not.toContain('CANARY');
    expect(existsSync(join(memory.path, 'c'))).toBe(false);
  });

  test('a volume that is full: nothing of it is seen', async () => {
    using full = mountTmpfs({ size: '64k' });
    writeFileSync(join(full.path, 'a'), 'before');
    const cwd = folder({ a: '$A'.repeat(200) });
    const result = await run(cwd, ['a', '--to', join(full.path, 'a')], { A: 'x'.repeat(1000) });
    expect(result.status).not.toBe(0);
    expect(result.stderr).toMatch(/the volume is full \(ENOSPC\)/);
    expect(readFileSync(join(full.path, 'a'), 'utf8')).toBe('before');
    expect(readdirSync(full.path)).toEqual(['a']);
  });
});

test('a template that would never end is ended, and so is one that would fill the memory', async () => {
  const cwd = folder({
    long: '{% for i in (1..1000000) %}{% for j in (1..1000000) %}{% endfor %}{% endfor %}',
    wide: '{% assign x = "0123456789" %}{% for i in (1..1000) %}{% capture y %}{{ x }}{{ x }}{% endcapture %}{% assign x = y %}{% endfor %}{{ x }}',
  });
  // Which of the limits a template meets first depends on the machine.
  for (const name of ['long', 'wide']) {
    const result = await run(cwd, [name, '--to', 'out/a', '--language', 'liquid']);
    expect(result, name).toMatchObject({ status: 2 });
    expect(result.stderr).toMatch(/it takes too long|make more than|has more than/);
    expect(result.milliseconds).toBeLessThan(20_000);
  }
});

const limit = limitMemory(96 << 20);
afterAll(() => limit?.[Symbol.dispose]());

test.skipIf(requireOrSkip('render in 96 MiB', limit === undefined ? 'no cgroup can be made' : undefined))(
  'a limit of 96 MiB is enough for 10,000 values and a megabyte',
  async () => {
    const values = Array.from({ length: 10_000 }, (_, i) => [`KEY_${i}`, 'x'.repeat(80)]);
    const cwd = folder({
      'v.json': JSON.stringify(Object.fromEntries(values)),
      a: Array.from({ length: 10_000 }, (_, i) => `key_${i}=\${KEY_${i}}\n`).join(''),
      l: '{% for pair in v %}{{ pair[0] }}: {{ pair[1] | yaml }}\n{% endfor %}',
    });
    const inGroup = (args: readonly string[]) =>
      runInitbox(['render', ...args], { cwd, prefix: limit!.prefix });
    expect(await inGroup(['a', '--to', 'out/a', '--data', 'v.json'])).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(statSync(join(cwd, 'out/a')).size).toBeGreaterThan(890_000);
    const liquid = ['l', '--to', 'out/l', '--data', 'v=v.json', '--language', 'liquid', '--check', 'yaml'];
    expect(await inGroup(liquid)).toMatchObject({ status: 0, stdout: '' });
    expect(statSync(join(cwd, 'out/l')).size).toBeGreaterThan(890_000);
  },
);
