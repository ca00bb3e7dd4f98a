import { randomBytes } from 'node:crypto';
import { chownSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { liveDescendants, mountTmpfs, underStrace } from '../../../../support/faults.ts';
import {
  commitTime,
  startGitServer,
  type GitRepository,
  type GitServer,
} from '../../../../support/git-server.ts';
import { memoryFolders } from '../../../../support/memory-folders.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { promptly, within } from '../../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../../support/tls.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { waitUntil } from '../../../../support/wait-until.ts';

const text = Array.from({ length: 4000 }, (_, index) => `line ${index}`).join('\n');
const large = Buffer.alloc(3 << 20, 'not quite the same; ');

const folder = memoryFolders('64m');
let server: GitServer;
let site: GitRepository;
let first: string;
let second: string;

beforeAll(async () => {
  server = await startGitServer();
  site = server.repository('acme/site.git');
  first = site.commit({ 'public/index.html': '<h1>one</h1>' });
  site.git('tag', '-a', '-m', 'one', 'v1.0');
  second = site.commit({
    'README.md': 'read me\n',
    'public/index.html': '<h1>two</h1>',
    'public/a/one.txt': text,
    'public/a/two.txt': `${text}\nmore`,
    'public/run.sh': { program: '#!/bin/sh\n' },
    'public/link': { link: 'a/one.txt' },
    'large.bin': large,
    'empty.txt': '',
    'Übersicht.txt': 'ü',
  });
  // Deltas, as a server of many commits sends them.
  site.git('repack', '-a', '-d', '-q', '-f');
});
afterAll(() => server[Symbol.asyncDispose]());

const source = (rest = '', from: Pick<GitServer, 'url'> = server): string =>
  `git+${from.url}/acme/site.git${rest}`;

const fetch = (rest: string, to: string, ...more: readonly string[]) =>
  runInitbox(['fetch-config', source(rest), '--to', to, ...more]);

/** What readers see: names that are not the volume's own. */
const seen = (path: string): string[] =>
  readdirSync(path)
    .filter((name) => !name.startsWith('..'))
    .toSorted();

describe('a repository over HTTP', () => {
  test('its default branch, with programs, links, deltas and times', async () => {
    const to = folder();
    const { status, stderr } = await fetch('', to);
    expect(stderr).toContain(`(commit ${second})`);
    expect(status).toBe(0);
    expect(seen(to)).toEqual(['README.md', 'empty.txt', 'large.bin', 'public', 'Übersicht.txt'].toSorted());
    expect(readFileSync(join(to, 'public/a/one.txt'), 'utf8')).toBe(text);
    expect(readFileSync(join(to, 'public/a/two.txt'), 'utf8')).toBe(`${text}\nmore`);
    expect(readFileSync(join(to, 'large.bin')).equals(large)).toBe(true);
    expect(readFileSync(join(to, 'empty.txt'), 'utf8')).toBe('');
    expect(readlinkSync(join(to, 'public/link'))).toBe('a/one.txt');
    expect(statSync(join(to, 'public/run.sh')).mode & 0o777).toBe(0o755);
    expect(statSync(join(to, 'README.md')).mode & 0o777).toBe(0o644);
    expect(statSync(join(to, 'README.md')).mtimeMs).toBe(commitTime);
  });

  test.each([
    ['a branch and a folder', '#main:public', ['a', 'index.html', 'link', 'run.sh']],
    ['a folder of the default branch', '#:/public/a/', ['one.txt', 'two.txt']],
    ['one file', '#main:public/a/one.txt', ['one.txt']],
    ['a large file', '#:large.bin', ['large.bin']],
    ['an annotated tag', '#v1.0:public', ['index.html']],
    ['a whole name', '#refs/tags/v1.0', ['public']],
  ])('%s', async (_, rest, names) => {
    const to = folder();
    const { status, stderr } = await fetch(rest, to);
    expect(stderr).toMatch(/has \d+ files? /);
    expect(status).toBe(0);
    expect(seen(to)).toEqual(names);
  });

  test('a commit by its hash, though no branch or tag is at it', async () => {
    const to = folder();
    const { status, stderr } = await fetch(`#${first}`, to);
    expect(stderr).toContain(`(commit ${first})`);
    expect(status).toBe(0);
    expect(readFileSync(join(to, 'public/index.html'), 'utf8')).toBe('<h1>one</h1>');
  });

  test('what is in the folder is replaced whole; the same again transfers nothing', async () => {
    const to = folder();
    expect((await fetch(`#${first}`, to)).status).toBe(0);
    server.requests.length = 0;
    // Of a commit that is pinned, nobody is asked.
    expect((await fetch(`#${first}`, to)).stderr).toContain('holds already');
    expect(server.requests).toEqual([]);
    expect((await fetch('#main:public/a', to)).status).toBe(0);
    expect(seen(to)).toEqual(['one.txt', 'two.txt']);
    const { ino } = statSync(join(to, 'one.txt'));
    server.requests.length = 0;
    expect((await fetch('#main:public/a', to)).stderr).toContain('holds already');
    // The branch is looked up, and no pack is asked for.
    expect(server.requests.map(({ line }) => line)).toEqual([
      'GET /acme/site.git/info/refs?service=git-upload-pack',
      'POST /acme/site.git/git-upload-pack',
    ]);
    expect(statSync(join(to, 'one.txt')).ino).toBe(ino);
    // What somebody changed is put right again.
    rmSync(join(to, 'one.txt'));
    expect((await fetch('#main:public/a', to)).status).toBe(0);
    writeFileSync(join(to, 'one.txt'), 'changed');
    expect((await fetch('#main:public/a', to)).status).toBe(0);
    expect(readFileSync(join(to, 'one.txt'), 'utf8')).toBe(text);
  });

  test('a branch that moved is fetched anew', async () => {
    const moving = server.repository('moving.git');
    const to = folder();
    const run = () => runInitbox(['fetch-config', `git+${server.url}/moving.git#main`, '--to', to]);
    moving.commit({ a: '1', b: '1' });
    expect((await run()).status).toBe(0);
    moving.commit({ a: '2' });
    expect((await run()).status).toBe(0);
    expect(seen(to)).toEqual(['a']);
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('2');
  });

  test('as a step of a plan, which is checked before anything runs', async () => {
    const to = folder();
    const plan = join(temporaryDirectory('plan').path, 'plan.yaml');
    const step = (more: string): string =>
      `steps:\n  - name: site\n    uses: fetch-config\n    sources: ${source('#main:public')}\n    to: ${to}\n${more}`;
    writeFileSync(plan, step('    format: json\n'));
    const wrong = await runInitbox(['run', plan]);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('a Git repository and format cannot be combined');
    writeFileSync(plan, step(''));
    const { status, stderr } = await runInitbox(['run', plan]);
    expect(stderr).toContain('has 5 files');
    expect(status).toBe(0);
    expect(seen(to)).toEqual(['a', 'index.html', 'link', 'run.sh']);
  });

  test('two at once: both end well', async () => {
    const to = folder();
    const results = await Promise.all([fetch('#main', to), fetch('#main', to)]);
    expect(results.map(({ status }) => status)).toEqual([0, 0]);
    expect(readFileSync(join(to, 'large.bin')).equals(large)).toBe(true);
  });

  test('--owner and --mode', async () => {
    const to = folder();
    expect((await fetch('#:public', to, '--owner', '1000:1000', '--mode', '0440')).status).toBe(0);
    const { uid, gid, mode } = statSync(join(to, 'run.sh'));
    expect([uid, gid, mode & 0o777]).toEqual([1000, 1000, 0o440]);
  });

  test('as a user without a name, without any capability', async () => {
    const to = folder();
    const { status, stderr } = await runInitbox(['fetch-config', source('#:public'), '--to', to], {
      user: { uid: 12_345, gid: 0 },
    });
    expect(stderr).toMatch(/permission|not permitted/i);
    expect(status).not.toBe(0);
    chownSync(to, 12_345, 0);
    const mine = await runInitbox(['fetch-config', source('#:public'), '--to', to], {
      user: { uid: 12_345, gid: 0 },
    });
    expect(mine.stderr).toContain('has 5 files');
    expect(mine.status).toBe(0);
  });
});

describe('other servers', () => {
  test('one that speaks the old version of the protocol alone', async () => {
    await using old = await startGitServer({ old: true });
    const repository = old.repository('acme/site.git');
    const before = repository.commit({ a: 'one' });
    repository.git('tag', '-a', '-m', 'one', 'v1');
    const commit = repository.commit({ a: 'two' });
    const run = (rest: string, to: string) => runInitbox(['fetch-config', source(rest, old), '--to', to]);
    const to = folder();
    expect((await run('#v1', to)).stderr).toContain(`(commit ${before})`);
    expect((await run('', to)).stderr).toContain(`(commit ${commit})`);
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('two');
    expect((await run(`#${before}`, to)).status).toBe(0);
    expect(readFileSync(join(to, 'a'), 'utf8')).toBe('one');
    // Of a commit between, which is the tip of nothing.
    repository.git('tag', '-d', 'v1');
    const refused = await run(`#${before}`, folder());
    expect(refused.status).toBe(69);
    expect(refused.stderr).toContain('sends the newest commits of branches and tags alone');
  });

  test('objects named by SHA-256', async () => {
    const repository = server.repository('new.git', 'sha256');
    const commit = repository.commit({ a: 'one', 'b/c': text });
    const to = folder();
    for (const rest of ['', `#${commit}`, `#${commit}`]) {
      const { status, stderr } = await runInitbox([
        'fetch-config',
        `git+${server.url}/new.git${rest}`,
        '--to',
        to,
      ]);
      expect(stderr).toContain(commit);
      expect(status).toBe(0);
    }
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `git+${server.url}/new.git#${first}`,
      '--to',
      folder(),
    ]);
    expect(status).toBe(69);
    expect(stderr).toContain('names its objects by SHA256');
  });

  test('https with an authority of its own, a login, a redirect to where the repository is', async () => {
    using authority = await createCertificateAuthority();
    const tls = await authority.server();
    const login = 'deploy:hunter22secret';
    await using secure = await startGitServer({
      tls,
      login,
      instead(request, response) {
        if (!request.url?.startsWith('/acme/site/')) return false;
        response.writeHead(301, { Location: request.url.replace('/site/', '/site.git/') }).end();
        return true;
      },
    });
    secure.repository('acme/site.git').commit({ a: 'secret content', 'bin/run': { program: '#!/bin/sh\n' } });
    const files = temporaryDirectory('files').path;
    const file = (name: string, content: string): string => {
      writeFileSync(join(files, name), content);
      return join(files, name);
    };
    const ca = ['--ca-file', file('ca.pem', authority.certificate)];
    const address = `git+${secure.url}/acme/site`;
    let to = '';
    const run = (...words: readonly string[]) =>
      runInitbox(['fetch-config', ...words, ...ca, '--to', (to = folder())]);
    const modes = () => ['a', 'bin', 'bin/run'].map((name) => statSync(join(to, name)).mode & 0o777);
    for (const words of [
      [address, '--user-file', file('user', login)],
      [address, '--netrc-file', file('netrc', 'machine 127.0.0.1 login deploy password hunter22secret')],
      [
        address,
        '--header-file',
        file('headers', `Authorization: Basic ${Buffer.from(login).toString('base64')}`),
      ],
      [address.replace('://', `://${login}@`)],
    ]) {
      secure.requests.length = 0;
      const { status, stderr, stdout } = await run(...words);
      expect(stderr).toContain('has 2 files');
      expect(status).toBe(0);
      expect(modes()).toEqual([0o440, 0o750, 0o550]);
      expect(stderr + stdout).not.toContain('hunter22secret');
      expect(secure.requests.every(({ authorization }) => authorization?.startsWith('Basic '))).toBe(true);
    }
    expect((await run(address, '--user-file', file('user', login), '--public')).status).toBe(0);
    expect(modes()).toEqual([0o644, 0o755, 0o755]);
    const without = await run(address);
    expect(without.status).toBe(69);
    expect(without.stderr).toContain('answered 401');
    expect(without.stderr).toContain('it wants credentials: --user-file, --netrc-file, or --header-file');
    const wrong = await run(address, '--user-file', file('user', 'deploy:wrong-password'));
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toContain('it rejected the credentials that were sent');
    expect(wrong.stderr).not.toContain('wrong-password');
    const untrusted = await runInitbox(['fetch-config', address, '--to', folder()]);
    expect(untrusted.status).toBe(69);
    // What comes with credentials is a secret, and goes to no disk.
    const disk = await runInitbox([
      'fetch-config',
      address,
      ...ca,
      '--user-file',
      file('user', login),
      '--to',
      temporaryDirectory('disk').path,
    ]);
    expect(disk.status).toBe(2);
    expect(disk.stderr).toContain('--allow-disk');
  });
});

describe('what cannot be fetched', () => {
  const refused = async (rest: string, from = server): Promise<string> => {
    const { status, stderr } = await runInitbox(['fetch-config', `git+${from.url}${rest}`, '--to', folder()]);
    expect(stderr).toContain('error');
    expect(status).toBe(69);
    return stderr;
  };

  test.each([
    ['a repository', '/acme/nothing.git', /answered 404[^]*no repository is there, or it is private/],
    ['a branch', '/acme/site.git#nothing', /has no branch or tag "nothing"[^]*git ls-remote/],
    ['a part of a hash', '/acme/site.git#abcd123', /a commit is named by all of its 40 digits/],
    ['a commit', `/acme/site.git#${'1'.repeat(40)}`, /has no such commit/],
    [
      'a folder',
      '/acme/site.git#main:nothing/here',
      /has no "nothing"; nothing was written[^]*hint: look at what is there, letter by letter: git ls-tree/,
    ],
    [
      'a folder below a file',
      '/acme/site.git#main:README.md/x',
      /has no "README.md\/x": "README.md" is a file/,
    ],
    ['a colon in a name', '/acme/site.git#main:a:b', /has no "a:b"[^]*what follows the colon is the path/],
    [
      'a link',
      '/acme/site.git#main:public/link',
      /which is a link, not a file or folder[^]*hint: name what it leads to/,
    ],
  ])('%s that is not there', async (_, rest, words) => {
    expect(await refused(rest)).toMatch(words);
  });

  test('what no tree is made of says what to do about it', async () => {
    const odd = server.repository('odd.git');
    const commit = odd.commit({ a: 'one', b: 'two' });
    odd.git('tag', 'of-tree', `${commit}^{tree}`);
    odd.git('tag', 'of-file', `${commit}:a`);
    const emptied = odd.git('commit-tree', odd.git('mktree').trim(), '-m', 'x');
    odd.git('update-ref', 'refs/heads/emptied', emptied.trim());
    for (const [rest, words] of [
      ['#of-tree', /which is a tree, not a commit[^]*hint: name a branch, a commit, or a tag of a commit/],
      ['#of-file', /which is a blob, not a commit[^]*hint: name a branch/],
      ['#emptied', /is empty; nothing was written[^]*hint: is it the branch, commit or folder that is meant/],
    ] as const) {
      const said = await refused(`/odd.git${rest}`);
      expect(said).toMatch(words);
      expect(said).not.toContain('not even in part');
    }
    const many = await runInitbox([
      'fetch-config',
      `git+${server.url}/odd.git`,
      '--max-entries',
      '1',
      '--to',
      folder(),
    ]);
    expect(many.stderr).toMatch(/more than 1 [^]*\(--max-entries\)[^]*hint: --max-entries raises the limit/);
  });

  test('a repository without a commit', async () => {
    server.repository('empty.git');
    expect(await refused('/empty.git')).toContain('has no default branch');
  });

  test('a web page, and plain files', async () => {
    await using page = await startGitServer({
      instead(_, response) {
        response.setHeader('Content-Type', 'text/html').end('<html>log in</html>');
        return true;
      },
    });
    expect(await refused('/acme/site.git', page)).toContain('answered with a web page');
    await using plain = await startGitServer({
      instead(_, response) {
        response.setHeader('Content-Type', 'text/plain').end(`${first}\trefs/heads/main\n`);
        return true;
      },
    });
    expect(await refused('/acme/site.git', plain)).toContain('does not speak Git’s smart protocol');
  });

  test('submodules are refused, or left empty', async () => {
    const repository = server.repository('with.git');
    const tree = repository.commit({ a: 'one' });
    const list = repository.git('ls-tree', 'main');
    expect(list).toContain('a');
    const made = repository.commit({ a: 'one', '.gitmodules': '[submodule "theme"]\n' });
    expect(made).not.toBe(tree);
    repository.git('read-tree', 'main');
    repository.git('update-index', '--add', '--cacheinfo', `160000,${first},vendor/theme`);
    const commit = repository.git('commit-tree', repository.git('write-tree'), '-m', 'x');
    repository.git('update-ref', 'refs/heads/main', commit);
    expect(await refused('/with.git')).toContain('has the submodule "vendor/theme"');
    const to = folder();
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `git+${server.url}/with.git`,
      '--submodules',
      'skip',
      '--to',
      to,
    ]);
    expect(stderr).toContain('left empty, as --submodules skip says: vendor/theme');
    expect(status).toBe(0);
    expect(readdirSync(join(to, 'vendor/theme'))).toEqual([]);
  });

  test('pointers of Git LFS are told of', async () => {
    const repository = server.repository('lfs.git');
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 5\n`;
    repository.commit({ 'b.bin': pointer, 'a.txt': 'a' });
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `git+${server.url}/lfs.git`,
      '--to',
      folder(),
    ]);
    expect(stderr).toContain(
      '1 file is a pointer of Git LFS, whose content is not fetched; the first is "b.bin"',
    );
    expect(status).toBe(0);
  });
});

describe('in the middle', () => {
  test('a connection that is cut is tried again', async () => {
    const options = { cutAfter: 100_000 as number | undefined };
    await using cut = await startGitServer(options);
    cut.repository('acme/site.git').commit({ a: randomBytes(1 << 20) });
    const to = folder();
    const running = await startInitbox(['fetch-config', source('', cut), '--to', to]);
    await waitUntil(() => cut.requests.length > 5, { timeout: 60_000 });
    options.cutAfter = undefined;
    const { status, stderr } = await running.exit;
    expect(stderr).toContain('has 1 file');
    expect(status).toBe(0);
  });

  test('a server that is busy is waited for', async () => {
    let refusals = 3;
    await using busy = await startGitServer({
      instead(_, response) {
        if (refusals-- <= 0) return false;
        response.writeHead(503).end();
        return true;
      },
    });
    busy.repository('acme/site.git').commit({ a: '1' });
    const { status } = await runInitbox(['fetch-config', source('', busy), '--to', folder()]);
    expect(status).toBe(0);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    '%s leaves what was there, and the next run ends well',
    async (signal) => {
      const options = { held: true };
      await using slow = await startGitServer({
        instead(request, response) {
          if (!options.held || request.method !== 'POST') return false;
          response.setHeader('Content-Type', 'application/x-git-upload-pack-result');
          response.write('000dpackfile\n');
          return true;
        },
      });
      const commit = slow.repository('acme/site.git').commit({ a: 'new' });
      const to = folder();
      expect((await fetch(`#${first}`, to)).status).toBe(0);
      const running = await startInitbox(['fetch-config', source(`#${commit}`, slow), '--to', to]);
      await waitUntil(() => slow.requests.some(({ line }) => line.startsWith('POST')), { timeout: 60_000 });
      running.kill(signal);
      const { status } = await within(promptly, running.exit);
      if (signal === 'SIGTERM') expect(status).toBe(143);
      expect(seen(to)).toEqual(['public']);
      options.held = false;
      expect((await runInitbox(['fetch-config', source(`#${commit}`, slow), '--to', to])).status).toBe(0);
      expect(seen(to)).toEqual(['a']);
      expect(readdirSync(to).filter((name) => /pack|\.\.\.|tmp/.test(name))).toEqual([]);
    },
  );

  test('SIGTERM while files are written leaves nothing of them', async () => {
    const many = server.repository('many.git');
    const commit = many.commit(
      Object.fromEntries(
        Array.from({ length: 400 }, (_, index) => [`d${index % 9}/f${index}`, `file ${index}`]),
      ),
    );
    const to = folder();
    // Each takes so long that it is in the middle.
    const prefix = underStrace('trace=fchmod', 'inject=fchmod:delay_enter=20000');
    const running = await startInitbox(['fetch-config', `git+${server.url}/many.git#${commit}`, '--to', to], {
      prefix,
    });
    const staged = (): number =>
      readdirSync(to, { recursive: true, encoding: 'utf8' }).filter((name) => /f\d+$/.test(name)).length;
    await waitUntil(() => staged() > 10, { timeout: 60_000 });
    for (const { pid } of liveDescendants(running.pid)) process.kill(pid, 'SIGTERM');
    const { status } = await running.exit;
    expect(status).toBe(143);
    expect(staged()).toBe(0);
    expect(seen(to)).toEqual([]);
    expect((await runInitbox(['fetch-config', `git+${server.url}/many.git`, '--to', to])).status).toBe(0);
    expect(staged()).toBeGreaterThanOrEqual(400);
  });

  test('the deadline', async () => {
    await using silent = await startGitServer({ instead: () => true });
    const { status, stderr } = await runInitbox([
      'fetch-config',
      '--timeout',
      '1s',
      source('', silent),
      '--to',
      folder(),
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain('waiting for a response');
  });

  test('a full volume', async () => {
    using volume = mountTmpfs({ size: '2m' });
    const to = join(volume.path, 'to');
    const { status, stderr } = await fetch('', to);
    expect(stderr).toContain('the volume is full (ENOSPC)');
    expect(status).toBe(1);
    expect(readdirSync(volume.path).flatMap((name) => seen(join(volume.path, name)))).toEqual([]);
  });
});

describe('usage', () => {
  test.each([
    [['git+https://h/r'], 'a Git repository needs --to'],
    [['git+https://h/r', 'env:A', '--to', '/x'], 'in a run of its own, and 2 sources are given'],
    [['git+https://h/r', '--to', '/x', '--unpack'], 'fills the folder without it'],
    [['git+https://h/r', '--to', '/x', '--format', 'json'], '--format cannot be combined'],
    [['git+https://h/r', '--to', '/x', '--sha256', 'a'.repeat(64)], 'name a commit by its full hash instead'],
    [['git+https://h/r', '--to', '/x', '--strip-components', '1'], 'name the folder instead'],
    [['git+https://h/r', '--env', '--', 'x'], 'needs --to'],
    [['git+https://h/r', '--to', '/x', '--dry-run'], 'no --dry-run'],
    [['git+https://h/r#a..b', '--to', '/x'], 'cannot be the name of a branch or tag'],
    [['git+https://h/r#a:../b', '--to', '/x'], 'has the path segment ".."'],
    [['git+https://h/r#a:.git/config', '--to', '/x'], 'has .git in its path'],
    [['git+https://h/r?x=1', '--to', '/x'], 'has no query'],
    [['git+https://h/', '--to', '/x'], 'names a host and no repository'],
    [['git+https://h/r#$(REF)', '--to', '/x'], '$(REF)'],
  ])('%j', async (words, said) => {
    const { status, stderr } = await runInitbox(['fetch-config', ...words]);
    expect(stderr).toContain(said);
    expect(status).toBe(2);
  });
});
