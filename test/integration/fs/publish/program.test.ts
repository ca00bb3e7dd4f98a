import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { runInitbox, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { contents, leftovers } from './drive.ts';
import { lines, startReader, text } from './watch.ts';

const skip = requireOrSkip('fetch-config to a volume in memory', canMount());

/** How often the program is killed at random; more by hand. */
const kills = Number(process.env['INITBOX_TEST_KILLS'] ?? 40);

const secretValue = 'CANARY-9f8e7d6c';

describe.skipIf(skip)('fetch-config', () => {
  let volume: Mounted;
  const sources = temporaryDirectory('sources');

  beforeAll(() => {
    volume = mountTmpfs({ size: '16m' });
    const secret = {
      user: 'app',
      password: secretValue,
      port: 5432,
      ca: Buffer.from(secretValue).toString('base64'),
    };
    writeFileSync(join(sources.path, 'db.json'), JSON.stringify(secret));
    writeFileSync(
      join(sources.path, 'odd.json'),
      JSON.stringify({ 'A-B': secretValue, user: 'x', nested: { a: 1 } }),
    );
  });
  afterAll(() => {
    volume.remove();
    sources.remove();
  });

  const fresh = (): string => mkdtempSync(join(volume.path, 'target-'));
  const source = (name: string): string => `file:${sources.path}/${name}`;

  function specFor(to: string): string {
    const path = join(sources.path, 'fetch.yaml');
    writeFileSync(
      path,
      `to: ${to}
files:
  - path: app.env
    format: dotenv
    from:
      - source: ${source('db.json')}
        keys: { DB_USER: user, DB_PORT: port, DB_NAME: { default: main } }
  - path: tls/ca.crt
    mode: "0400"
    from: [{ source: '${source('db.json')}', keys: { ca: { decode: base64 } } }]
  - path: password
    from: ${source('db.json')}#password
`,
    );
    return path;
  }

  it('writes what a specification asks for, at once, and leaves it alone the second time', async () => {
    const target = fresh();
    const spec = specFor(target);
    const first = await runInitbox(['fetch-config', '--spec', spec]);
    expect(first).toMatchObject({ status: 0, stdout: '' });
    expect(first.stderr).toContain('3 files written (');
    expect(readFileSync(join(target, 'app.env'), 'utf8')).toBe('DB_USER=app\nDB_PORT=5432\nDB_NAME=main\n');
    expect(readFileSync(join(target, 'tls', 'ca.crt'), 'utf8')).toBe(secretValue);
    expect(readFileSync(join(target, 'password'), 'utf8')).toBe(secretValue);
    expect(statSync(join(target, 'password')).mode & 0o777).toBe(0o440);
    expect(statSync(join(target, 'tls', 'ca.crt')).mode & 0o777).toBe(0o400);
    const before = statSync(join(target, 'password'));
    const second = await runInitbox(['fetch-config', '--spec', spec]);
    expect(second.stderr).toContain('3 files unchanged');
    expect(statSync(join(target, 'password'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(first.stderr + second.stderr).not.toContain(secretValue);
  });

  it('reports names and sizes with --dry-run, writes nothing, and prints no value', async () => {
    const target = fresh();
    const { status, stdout, stderr } = await runInitbox([
      'fetch-config',
      '--spec',
      specFor(target),
      '--dry-run',
    ]);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { sources: unknown[]; files: unknown[] };
    const whole = readFileSync(join(sources.path, 'db.json'));
    expect(report.sources).toEqual([
      { source: source('db.json'), time: expect.any(String), size: whole.length },
    ]);
    expect(report.files).toMatchObject([
      {
        path: join(target, 'app.env'),
        format: 'dotenv',
        mode: '0440',
        fields: ['DB_USER', 'DB_PORT', 'DB_NAME'],
      },
      { path: join(target, 'tls/ca.crt'), size: secretValue.length, mode: '0400' },
      { path: join(target, 'password'), size: secretValue.length },
    ]);
    expect(stdout + stderr).not.toContain(secretValue);
    expect(readdirSync(target)).toEqual([]);
  });

  it('env-file: for the kubelet, in memory, and refused with the name of what it cannot hold', async () => {
    const target = fresh();
    const fields = { PASSWORD: 'two words', EMPTY: '' };
    writeFileSync(join(sources.path, 'app.json'), JSON.stringify(fields));
    const args = ['fetch-config', source('app.json'), '--format', 'env-file', '--mode', '0400'];
    const to = `${target}/app.env`;
    const asked = await runInitbox([...args, '--to', to, '--dry-run']);
    expect(asked).toMatchObject({ status: 0 });
    expect(asked.stderr).toMatch(/warn .*"EMPTY": the value is empty/);
    expect(readdirSync(target)).toEqual([]);
    const written = await runInitbox([...args, '--to', to]);
    expect(written).toMatchObject({ status: 0 });
    expect(readFileSync(to, 'utf8')).toBe("PASSWORD='two words'\nEMPTY=''\n");
    // The kubelet is root: nobody has to share the file with the application.
    expect(written.stderr.match(/warn/g)).toHaveLength(1);
    const disk = temporaryDirectory('disk');
    expect(await runInitbox([...args, '--to', `${disk.path}/app.env`])).toMatchObject({ status: 2 });
    disk.remove();
    writeFileSync(join(sources.path, 'app.json'), JSON.stringify({ ...fields, PASSWORD: "it's hunter2" }));
    const refused = await runInitbox([...args, '--to', to]);
    expect(refused.status).toBe(69);
    expect(refused.stderr).toContain('"PASSWORD" holds a single quote');
    expect(refused.stderr).not.toContain('hunter2');
    expect(readFileSync(to, 'utf8')).toBe("PASSWORD='two words'\nEMPTY=''\n");
  });

  it('refuses a disk for secrets before it reads any, unless told otherwise', async () => {
    const disk = temporaryDirectory('disk');
    const args = ['fetch-config', source('db.json'), '--format', 'json', '--to', `${disk.path}/db.json`];
    const refused = await runInitbox(args);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('is not in memory');
    expect(refused.stderr).not.toContain('read of');
    expect(readdirSync(disk.path)).toEqual([]);
    expect(await runInitbox([...args, '--allow-disk'])).toMatchObject({ status: 0 });
    expect(readdirSync(disk.path)).toEqual(['db.json']);
    disk.remove();
  });

  it.each<[string, string[], number, RegExp]>([
    ['a folder as the file', ['db.json', '--format', 'json', '--to', '.'], 2, /it is a folder/],
    ['a name that is none', ['db.json', '--format', 'json', '--to', 'x/'], 2, /names a folder/],
    [
      'a folder that is missing, off every volume',
      ['db.json', '--format', 'json', '--to', '/initbox-none/x'],
      2,
      /\/ is not on a volume/,
    ],
    ['an object under raw', ['odd.json#nested', '--to', 'x'], 69, /is an object, which raw cannot hold/],
    [
      'A-B under dotenv',
      ['odd.json', '--format', 'dotenv', '--to', 'x'],
      69,
      /"A-B" is not a valid variable name for dotenv/,
    ],
    ['a field that is missing', ['db.json#pasword', '--to', 'x'], 69, /no field "pasword"/],
    ['a mode that is none', ['db.json', '--to', 'x', '--mode', '999'], 2, /--mode: "999" is not a file mode/],
    ['an object of its name', ['odd.json#nested', '--to', 'x'], 69, /"nested" is an object/],
    ['an owner by name', ['db.json', '--to', 'x', '--owner', 'app'], 2, /--owner: "app" is not UID:GID/],
  ])('%s: one clear error, nothing written', async (_, [name = '', ...args], status, message) => {
    const target = fresh();
    const result = await runInitbox(['fetch-config', source(name), ...args], { cwd: target });
    expect(result.status).toBe(status);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toContain(secretValue);
    expect(readdirSync(target)).toEqual([]);
  });

  it('two sources with one key: both are named, unless the last is to win', async () => {
    const target = fresh();
    writeFileSync(join(sources.path, 'more.json'), JSON.stringify({ user: 'second', url: 'x' }));
    const args = [
      'fetch-config',
      source('db.json'),
      source('more.json'),
      '--format',
      'files',
      '--to',
      target,
    ];
    const refused = await runInitbox(args);
    expect(refused.status).toBe(69);
    expect(refused.stderr).toContain(`both ${source('db.json')} and ${source('more.json')} have it`);
    expect(readdirSync(target)).toEqual([]);
    expect(await runInitbox([...args, '--merge', 'last'])).toMatchObject({ status: 0 });
    expect(contents(target)).toMatchObject({ user: 'second', url: 'x', port: '5432' });
  });

  it('flags that say what a specification says for each file are refused', async () => {
    const target = fresh();
    for (const flags of [
      ['--format', 'json'],
      ['--merge', 'last'],
      ['--mode', '0400'],
      ['--to', target],
    ]) {
      const result = await runInitbox(['fetch-config', '--spec', specFor(target), ...flags]);
      expect(result.status).toBe(2);
      expect(result.stderr).toContain(`${flags[0]} cannot be combined with --spec`);
    }
    const env = await runInitbox(['fetch-config', 'env:HOME', '--env', '--format', 'json', '--', 'true']);
    expect(env.status).toBe(2);
    expect(env.stderr).toContain('--env writes no file');
    expect(readdirSync(target)).toEqual([]);
  });

  it('a specification with a mistake: exit 2, with line and column', async () => {
    const target = fresh();
    const path = join(sources.path, 'wrong.yaml');
    writeFileSync(path, `files:\n  - path: ${target}/x\n    formt: json\n    from: ${source('db.json')}\n`);
    const result = await runInitbox(['fetch-config', '--spec', path]);
    expect(result.status).toBe(2);
    expect(result.stderr).toContain(`${path}:3:5: files[0].formt: unknown key "formt"; did you mean format?`);
    expect(readdirSync(target)).toEqual([]);
  });

  it(
    'killed at random, again and again: a reader sees whole versions only',
    async () => {
      const target = fresh();
      const folder = join(sources.path, 'versions');
      mkdirSync(folder);
      const names = ['a', 'b', 'c'];
      const publish = (version: number): string[] => {
        for (const name of names) writeFileSync(join(folder, name), text(version).repeat(lines));
        return ['fetch-config', `file:${folder}`, '--format', 'files', '--to', target];
      };
      const { milliseconds } = await runInitbox(publish(0));
      const reader = startReader(target, names);
      let killed = 0;
      for (let version = 1; version <= kills; version++) {
        const program = await startInitbox(publish(version));
        // Most of the time goes into starting: aim at the end.
        const delay = milliseconds * (0.6 + 0.5 * Math.random());
        const timer = setTimeout(() => program.child.kill('SIGKILL'), delay);
        if ((await program.exit).signal === 'SIGKILL') killed++;
        clearTimeout(timer);
      }
      expect(await runInitbox(publish(kills + 1))).toMatchObject({ status: 0 });
      const seen = await reader.end();
      console.log(`${kills} runs, ${killed} killed, ${seen.reads} reads, ${seen.versions} versions seen`);
      expect(seen.problems).toEqual([]);
      expect(killed).toBeGreaterThan(kills / 5);
      expect(contents(target)).toEqual(
        Object.fromEntries(names.map((name) => [name, text(kills + 1).repeat(lines)])),
      );
      expect(leftovers(target)).toEqual([]);
    },
    60_000 + kills * 1000,
  );
});
