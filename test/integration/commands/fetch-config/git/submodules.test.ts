// Submodules: fetched at the commits that are written down, by their addresses, which may be anybody's.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startGitServer, type GitFile, type GitServer } from '../../../../support/git-server.ts';
import { memoryFolders } from '../../../../support/memory-folders.ts';
import { runInitbox } from '../../../../support/program.ts';
import { canUseSshd, startSshd } from '../../../../support/sshd.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

const folder = memoryFolders('64m');
const scratch = temporaryDirectory('submodules');
afterAll(() => scratch.remove());

let server: GitServer;
let other: GitServer;
let library: string;
let inner: string;

beforeAll(async () => {
  server = await startGitServer({ login: 'a:geheim-1' });
  other = await startGitServer();
  const deep = server.repository('acme/deep.git');
  inner = deep.commit({ 'deep.txt': 'deep' });
  const lib = server.repository('acme/lib.git');
  library = lib.commit({
    'lib.txt': 'old',
    'in/deep': { submodule: inner },
    '.gitmodules': '[submodule "deep"]\n\tpath = in/deep\n\turl = ../deep.git\n',
  });
  // What is newer is not what was written down.
  lib.commit({ 'lib.txt': 'new' });
  deep.commit({ 'deep.txt': 'newer' });
  other.repository('else.git').commit({ 'else.txt': 'elsewhere' });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  server.requests.length = 0;
  other.requests.length = 0;
});

const login = join(scratch.path, 'login');
writeFileSync(login, 'a:geheim-1');

let count = 0;

/** Fetches a repository with these files. */
async function fetchOf(
  files: Readonly<Record<string, GitFile>>,
  more: readonly string[] = [],
  rest = '',
): Promise<{ to: string; status: number | null; stderr: string }> {
  const name = `acme/top${count++}.git`;
  server.repository(name).commit(files);
  const to = folder();
  const address = `git+${server.url}/${name}${rest}`;
  const args = ['fetch-config', address, '--to', to, '--user-file', login, '--submodules', 'fetch', ...more];
  const result = await runInitbox(args);
  if (result.status !== 0) expect(readdirSync(to)).toEqual([]);
  return { to, ...result };
}

const modules = (path: string, url: string, more = ''): string =>
  `[submodule "x"]\n\tpath = ${path}\n\turl = ${url}\n${more}`;

describe('submodules', () => {
  test('and theirs, with relative addresses, at the commits that are written down', async () => {
    const { to, status, stderr } = await fetchOf({
      'top.txt': 'top',
      'libs/one': { submodule: library },
      '.gitmodules': modules('libs/one', '../lib.git'),
    });
    expect(stderr).toContain('has 5 files');
    expect(status).toBe(0);
    expect(readFileSync(join(to, 'top.txt'), 'utf8')).toBe('top');
    expect(readFileSync(join(to, 'libs/one/lib.txt'), 'utf8')).toBe('old');
    expect(readFileSync(join(to, 'libs/one/in/deep/deep.txt'), 'utf8')).toBe('deep');
    expect(server.requests.every(({ authorization }) => authorization?.startsWith('Basic '))).toBe(true);
  });

  test('of a folder that is named alone; of a pinned commit nobody is asked again', async () => {
    const files = {
      'top.txt': 'top',
      'libs/one': { submodule: library },
      '.gitmodules': `# of a test\n[submodule "a \\"name\\""]\n  path = "libs/one" ; here\n  URL=./../lib.git/\n`,
    };
    const { to, status } = await fetchOf(files, [], '#main:libs');
    expect(status).toBe(0);
    expect(readdirSync(to).filter((name) => !name.startsWith('..'))).toEqual(['one']);
    expect(readFileSync(join(to, 'one/in/deep/deep.txt'), 'utf8')).toBe('deep');
    server.requests.length = 0;
    const top = server.repository('acme/pinned.git').commit(files);
    const args = ['--to', to, '--user-file', login, '--submodules', 'fetch'];
    const pinned = ['fetch-config', `git+${server.url}/acme/pinned.git#${top}`, ...args];
    expect((await runInitbox(pinned)).stderr).toContain('has 5 files');
    server.requests.length = 0;
    expect((await runInitbox(pinned)).stderr).toContain('holds already');
    expect(server.requests).toEqual([]);
  });

  test.each([
    ['at another port', () => other.url],
    ['at another host', () => other.url.replace('127.0.0.1', 'localhost')],
    ['of another scheme', () => server.url.replace('http:', 'https:')],
  ])('%s are fetched where that is said, without credentials', async (where, url) => {
    const commit = other.repository('far.git').commit({ 'far.txt': 'far' });
    const files = { sub: { submodule: commit }, '.gitmodules': modules('sub', `${url()}/far.git`) };
    other.requests.length = 0;
    const refused = await fetchOf(files);
    expect(refused.stderr).toContain(`has the submodule "sub", which is at another origin (${url()})`);
    expect(refused.status).toBe(69);
    expect(other.requests).toEqual([]);
    if (where === 'of another scheme') return;
    expect((await fetchOf(files, ['--cross-origin'])).status).toBe(0);
    expect(other.requests.length).toBeGreaterThan(0);
    expect(other.requests.map(({ authorization }) => authorization).filter(Boolean)).toEqual([]);
  });

  test('whose address has a port for a password leave the ports of the log alone', async () => {
    const { host, port } = new URL(other.url);
    const url = `http://127.0.0.1:${port}@${host}/far.git`;
    const { status, stderr } = await fetchOf({
      sub: { submodule: library },
      '.gitmodules': modules('sub', url),
    });
    expect(stderr).toContain(`which is at another origin (http://${host})`);
    expect(stderr).not.toContain('[redacted]');
    expect(status).toBe(69);
  });

  test('that are left out by .gitmodules are empty', async () => {
    const { to, status, stderr } = await fetchOf({
      'a.txt': 'a',
      sub: { submodule: library },
      '.gitmodules': modules('sub', '../lib.git', '\tupdate = none\n'),
    });
    expect(stderr).toContain('left empty, as .gitmodules says: sub');
    expect(status).toBe(0);
    expect(readdirSync(join(to, 'sub'))).toEqual([]);
  });

  test('that are not to be fetched are refused, with what to do', async () => {
    const name = 'acme/refused.git';
    server.repository(name).commit({ sub: { submodule: library } });
    const refused = await runInitbox([
      'fetch-config',
      `git+${server.url}/${name}`,
      '--to',
      folder(),
      '--user-file',
      login,
    ]);
    expect(refused.stderr).toContain('--submodules fetch fetches it');
    expect(refused.status).toBe(69);
  });
});

describe('hostile submodules', () => {
  test.each([
    ['--upload-pack=touch /tmp/x', 'which is not one of https, http or ssh'],
    ['-oProxyCommand=touch:/tmp/x', 'which is not one of https, http or ssh'],
    ['ext::sh -c touch% /tmp/x', 'which is not one of https, http or ssh'],
    ['file:///etc', 'which is not one of https, http or ssh'],
    ['/etc', 'which is not one of https, http or ssh'],
    ['git://127.0.0.1/x', 'which is not one of https, http or ssh'],
    ['', 'which is not one of https, http or ssh'],
    ['../../../../x.git', 'which leads above its host'],
    ['https://127.0.0.1/a/../b', 'has the path segment'],
    ['https://127.0.0.1/a/%2e%2e/b', 'has the path segment'],
    ['https://127.0.0.1/a?x=y', 'has no query'],
    ['https://127.0.0.1/a#main', 'has more than one #'],
    ['https://127.0.0.1', 'names a host and no repository'],
    ['git@127.0.0.1:acme/x.git', 'which is reached by SSH; give --ssh-key-file and --known-hosts-file'],
    ['ssh://-oProxyCommand=x/acme', 'its host has a character that no host has'],
  ])('the address %j', async (url, words) => {
    const { status, stderr } = await fetchOf({
      sub: { submodule: library },
      '.gitmodules': modules('sub', JSON.stringify(url)),
    });
    expect(stderr).toContain('has the submodule "sub"');
    expect(stderr).toContain(words);
    expect(stderr).toContain('nothing was written');
    expect(status).toBe(69);
  });

  test.each<readonly [string, Readonly<Record<string, GitFile>>, string]>([
    ['no .gitmodules', {}, 'and no .gitmodules'],
    [
      'a .gitmodules of another',
      { '.gitmodules': modules('../sub', '../lib.git') },
      'which .gitmodules does not tell of',
    ],
    ['a .gitmodules that cannot be read', { '.gitmodules': '\u0000\u0001 <' }, 'a line that cannot be read'],
    ['a .gitmodules of a megabyte', { '.gitmodules': '#'.repeat(2 << 20) }, 'larger than 1 MiB'],
    [
      'no address',
      { '.gitmodules': '[submodule "../../x"]\npath = sub\n' },
      'whose url .gitmodules does not tell',
    ],
    ['a commit that is not there', { '.gitmodules': modules('sub', './../deep.git') }, 'has no such commit'],
    [
      'a repository that is not there',
      { '.gitmodules': modules('sub', '../none.git') },
      'no repository is there',
    ],
  ])('%s', async (_, files, words) => {
    const { status, stderr } = await fetchOf({ sub: { submodule: library }, ...files });
    expect(stderr).toContain(words);
    expect(status).toBe(69);
  });

  test('in each other, without end', async () => {
    let commit = server.repository('acme/level0.git').commit({ 'end.txt': 'end' });
    for (let level = 1; level < 13; level++)
      commit = server.repository(`acme/level${level}.git`).commit({
        s: { submodule: commit },
        '.gitmodules': modules('s', `../level${level - 1}.git`),
      });
    const { status, stderr } = await fetchOf({
      s: { submodule: commit },
      '.gitmodules': modules('s', '../level12.git'),
    });
    expect(stderr).toContain('which lies in more than 10 repositories');
    expect(status).toBe(69);
  });

  test('of one commit, many times over', async () => {
    const files: Record<string, GitFile> = {};
    for (let index = 0; index < 501; index++) files[`s${index}`] = { submodule: library };
    const names = Object.keys(files);
    files['.gitmodules'] = names
      .map((name) => `[submodule "${name}"]\npath = ${name}\nurl = ../lib.git\n`)
      .join('');
    const { status, stderr } = await fetchOf(files);
    expect(stderr).toContain('has more than 500 submodules');
    expect(status).toBe(69);
  });

  test('together have no more than one may have', async () => {
    const { status, stderr } = await fetchOf(
      {
        a: { submodule: library },
        b: { submodule: library },
        '.gitmodules': `${modules('a', '../lib.git')}[submodule "b"]\npath = b\nurl = ../lib.git\n`,
      },
      ['--max-entries', '7'],
    );
    expect(stderr).toContain('has more than 7 entries (--max-entries)');
    expect(status).toBe(69);
  });
});

test.skipIf(requireOrSkip('submodules over SSH', canUseSshd()))(
  'over SSH, of a repository over HTTP',
  async () => {
    await using sshd = await startSshd();
    const repository = other.repository('by-ssh.git');
    const commit = repository.commit({ 'ssh.txt': 'ssh' });
    const known = join(scratch.path, 'known_hosts');
    const key = join(scratch.path, 'key');
    writeFileSync(known, sshd.knownHosts);
    writeFileSync(key, sshd.key());
    const files = {
      sub: { submodule: commit },
      '.gitmodules': modules('sub', `ssh://${sshd.user}@127.0.0.1:${sshd.port}${repository.path}`),
    };
    // Neither is at its usual port: another origin.
    const flags = ['--ssh-key-file', key, '--known-hosts-file', known, '--cross-origin'];
    const { to, status } = await fetchOf(files, flags);
    expect(status).toBe(0);
    expect(readFileSync(join(to, 'sub/ssh.txt'), 'utf8')).toBe('ssh');
    writeFileSync(known, '');
    const unknown = await fetchOf(files, flags);
    expect(unknown.stderr).toContain('which is reached by SSH; --known-hosts-file:');
    expect(unknown.status).toBe(69);
  },
);
