// Repositories over SSH, from OpenSSH's own server.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createRepository, type GitRepository } from '../../../../support/git-server.ts';
import { memoryFolders } from '../../../../support/memory-folders.ts';
import { limitMemory } from '../../../../support/memory-limit.ts';
import { runInitbox, startInitbox } from '../../../../support/program.ts';
import { promptly, within } from '../../../../support/promptly.ts';
import { canUseSshd, makeSshKey, startSshd, type Sshd, type SshKeyType } from '../../../../support/sshd.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { waitUntil } from '../../../../support/wait-until.ts';

const folder = memoryFolders('64m');

describe.skipIf(requireOrSkip('Git over SSH', canUseSshd()))('Git over SSH', () => {
  const scratch = temporaryDirectory('git-ssh');
  let sshd: Sshd;
  let site: GitRepository;
  let first: string;
  let second: string;
  let key: string;
  let known: string;
  let count = 0;

  /** A file with a content. */
  const file = (content: string): string => {
    const path = join(scratch.path, `file${count++}`);
    writeFileSync(path, content);
    return path;
  };

  beforeAll(async () => {
    sshd = await startSshd({ settings: ['AcceptEnv GIT_PROTOCOL'] });
    site = createRepository(join(scratch.path, "it's here!", 'site.git'));
    first = site.commit({ 'a.txt': 'one' });
    second = site.commit({ 'a.txt': 'two', 'b/c.txt': 'c', 'large.bin': randomBytes(3 << 20) });
    key = sshd.key();
    known = file(sshd.knownHosts);
  });
  afterAll(async () => {
    await sshd?.[Symbol.asyncDispose]();
    scratch.remove();
  });

  const source = (rest = '', { path = site.path, port = sshd.port, user = sshd.user } = {}): string =>
    `git+ssh://${user}@127.0.0.1:${port}${encodeURI(path)}${rest}`;

  const fetch = (
    address: string,
    to: string,
    more: readonly string[] = ['--ssh-key-file', file(key), '--known-hosts-file', known],
    env: Record<string, string> = {},
  ) => runInitbox(['fetch-config', '--timeout', '60s', address, '--to', to, ...more], { env });

  test('the default branch; the same again transfers nothing, and of a pinned commit nobody is asked', async () => {
    const to = folder();
    const result = await fetch(source(), to);
    expect(result.stderr).toContain(`(commit ${second})`);
    expect(result.status).toBe(0);
    expect(readFileSync(join(to, 'b/c.txt'), 'utf8')).toBe('c');
    expect((await fetch(source(), to)).stderr).toContain('holds already');
    const asked = sshd.logs();
    expect((await fetch(source(`#${second}`), to)).stderr).toContain('holds already');
    expect(sshd.logs()).toBe(asked);
    expect((await fetch(source(`#${first}`), to)).stderr).toContain(`(commit ${first})`);
    expect((await fetch(source('#main:b'), to)).status).toBe(0);
    expect(readFileSync(join(to, 'c.txt'), 'utf8')).toBe('c');
  });

  test.each<SshKeyType>(['ed25519', 'ecdsa', 'rsa'])('a server’s and a user’s key of %s', async (type) => {
    await using other = await startSshd({ hostKey: type });
    const more = ['--ssh-key-file', file(other.key(type)), '--known-hosts-file', file(other.knownHosts)];
    // It does not take the variable, and so speaks the old version of Git's protocol.
    const to = folder();
    const { status, stderr } = await fetch(source('', { port: other.port }), to, more);
    expect(stderr).toContain(`(commit ${second})`);
    expect(status).toBe(0);
    expect((await fetch(source('', { port: other.port }), to, more)).stderr).toContain('holds already');
  });

  test('an encrypted key with its passphrase, a key from a variable, and known hosts that are hashed', async () => {
    const secret = 'pass pass word';
    const encrypted = file(sshd.key('ed25519', secret));
    const hosts = ['--known-hosts-file', known];
    const missing = await fetch(source(), folder(), ['--ssh-key-file', encrypted, ...hosts]);
    expect([missing.status, missing.stderr]).toEqual([
      2,
      expect.stringContaining('is encrypted: give --ssh-passphrase-file'),
    ]);
    const wrong = await fetch(source(), folder(), [
      '--ssh-key-file',
      encrypted,
      '--ssh-passphrase-file',
      file('another'),
      ...hosts,
    ]);
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('cannot be decrypted with that passphrase'),
    ]);
    const right = await fetch(source(), folder(), [
      '--ssh-key-file',
      encrypted,
      '--ssh-passphrase-file',
      file(`${secret}\n`),
      ...hosts,
    ]);
    expect([right.status, right.stderr]).toEqual([0, expect.stringContaining(second)]);
    const hashed = file(sshd.knownHosts);
    const { execFileSync } = await import('node:child_process');
    execFileSync('ssh-keygen', ['-q', '-H', '-f', hashed], { stdio: 'ignore' });
    expect(readFileSync(hashed, 'utf8')).toMatch(/^\|1\|/);
    const byVariable = await fetch(
      source(),
      folder(),
      ['--ssh-key-env', 'DEPLOY_KEY', '--known-hosts-file', hashed],
      { DEPLOY_KEY: key },
    );
    expect([byVariable.status, byVariable.stderr]).toEqual([0, expect.stringContaining(second)]);
  });

  test('no /etc/passwd, no home: it runs as any user', async () => {
    const { path } = temporaryDirectory('anybody');
    const { status, stderr } = await runInitbox(
      ['fetch-config', source(), '--to', path, '--public', '--ssh-key-env', 'K', '--known-hosts-file', known],
      { env: { K: key, HOME: '/nonexistent', USER: '' } },
    );
    expect(stderr).toContain(second);
    expect(status).toBe(0);
  });

  test('what comes with a key is a secret, and the key is never shown', async () => {
    const { path } = temporaryDirectory('disk');
    const result = await runInitbox([
      'fetch-config',
      source(),
      '--to',
      path,
      '--log-level',
      'debug',
      '--ssh-key-file',
      file(key),
      '--known-hosts-file',
      known,
    ]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/memory|tmpfs/);
    for (const line of key.split('\n').slice(1, -2)) expect(result.stderr).not.toContain(line);
  });

  describe('a host’s key', () => {
    test('that is another one is a final error', async () => {
      const other = readFileSync(`${makeSshKey(scratch.path, 'other', 'ed25519')}.pub`, 'utf8').split(' ');
      const wrong = file(`[127.0.0.1]:${sshd.port} ${other[0]} ${other[1]}\n`);
      const to = folder();
      const { status, stderr } = await fetch(source(), to, [
        '--ssh-key-file',
        file(key),
        '--known-hosts-file',
        wrong,
      ]);
      expect(stderr).toContain('the server’s host key is not the one that');
      expect(stderr).toMatch(/it sent ssh-ed25519 SHA256:[\w+/]{43}/);
      expect(status).toBe(69);
      expect(readdirSync(to)).toEqual([]);
    });

    test('that is revoked is a final error, also where it is known', async () => {
      const revoked = file(`${sshd.knownHosts}@revoked * ${sshd.publicKey}\n`);
      const { status, stderr } = await fetch(source(), folder(), [
        '--ssh-key-file',
        file(key),
        '--known-hosts-file',
        revoked,
      ]);
      expect(stderr).toContain('says is revoked');
      expect(status).toBe(69);
    });

    test.each([
      ['of nobody', () => '# nothing\n', 'has no key of [127.0.0.1]:'],
      ['of another port', () => `127.0.0.1 ${sshd.publicKey}\n`, 'has no key of [127.0.0.1]:'],
      ['of all but this one', () => `*,![127.0.0.1]:* ${sshd.publicKey}\n`, 'has no key of [127.0.0.1]:'],
      ['of an authority', () => `@cert-authority * ${sshd.publicKey}\n`, 'certificates are not supported'],
    ])('%s: the line to write is said, and nobody is asked', async (_, content, words) => {
      const before = sshd.logs();
      const { status, stderr } = await fetch(source(), folder(), [
        '--ssh-key-file',
        file(key),
        '--known-hosts-file',
        file(content()),
      ]);
      expect(stderr).toContain(words);
      expect(stderr).toContain(`ssh-keyscan -p ${sshd.port} 127.0.0.1`);
      expect(status).toBe(2);
      expect(sshd.logs()).toBe(before);
    });

    test('a pattern', async () => {
      const pattern = file(`example.org,[127.0.?.*]:* ${sshd.publicKey} of a test\n`);
      const { status } = await fetch(source(), folder(), [
        '--ssh-key-file',
        file(key),
        '--known-hosts-file',
        pattern,
      ]);
      expect(status).toBe(0);
    });
  });

  test('a key that the server does not take is a final error', async () => {
    const unknown = readFileSync(makeSshKey(scratch.path, 'unknown', 'ed25519'), 'utf8');
    const { status, stderr } = await fetch(source(), folder(), [
      '--ssh-key-file',
      file(unknown),
      '--known-hosts-file',
      known,
    ]);
    expect(stderr).toContain(`the server does not take the key for the user "${sshd.user}"`);
    expect(status).toBe(69);
  });

  test('a repository, a branch and a commit that are not there', async () => {
    const nowhere = await fetch(source('', { path: '/nowhere.git' }), folder());
    expect(nowhere.stderr).toContain('the server refuses the repository: it says');
    expect(nowhere.stderr).toContain('does not appear to be a git repository');
    expect(nowhere.status).toBe(69);
    expect((await fetch(source('#none'), folder())).stderr).toContain('has no branch or tag "none"');
    const commit = await fetch(source(`#${'1'.repeat(40)}`), folder());
    expect([commit.status, commit.stderr]).toEqual([69, expect.stringContaining('has no such commit')]);
  });

  test.each([
    ['nothing', ''],
    ['a banner, and then nothing', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ['lines without end', 'x'.repeat(1000)],
  ])('a server that says %s: the deadline, and SIGTERM at once', async (_, words) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.write(words);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const hosts = file(`[127.0.0.1]:${port} ${sshd.publicKey}\n`);
    const args = [
      source('', { port }),
      '--to',
      folder(),
      '--ssh-key-file',
      file(key),
      '--known-hosts-file',
      hosts,
    ];
    try {
      const late = await runInitbox(['fetch-config', '--timeout', '2s', ...args]);
      expect(late.stderr).toMatch(/SSH handshake with|not an SSH server|closed the connection|no answer/);
      expect(late.status).toBe(124);
      const seen = sockets.size;
      const running = await startInitbox(['fetch-config', '--timeout', '60s', ...args]);
      await waitUntil(() => sockets.size > seen, { timeout: 60_000 });
      running.kill('SIGTERM');
      expect((await within(promptly, running.exit)).status).toBe(143);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  test('a server that is stopped in the middle of a pack: the deadline, and nothing is left', async () => {
    const big = createRepository(join(scratch.path, 'big.git'));
    big.commit({ big: randomBytes(24 << 20) });
    await using slow = await startSshd({
      // The pack comes in a trickle.
      settings: [
        'AcceptEnv GIT_PROTOCOL',
        'ForceCommand sh -c \'eval "$SSH_ORIGINAL_COMMAND" | { stdbuf -o0 head -c 200000; sleep 600; }\'',
      ],
    });
    const to = folder();
    const more = ['--ssh-key-file', file(slow.key()), '--known-hosts-file', file(slow.knownHosts)];
    const { status, stderr } = await runInitbox([
      'fetch-config',
      '--timeout',
      '8s',
      source('', { path: big.path, port: slow.port }),
      '--to',
      to,
      ...more,
    ]);
    expect(stderr).toMatch(/receiving the pack|waiting for the pack/);
    expect(status).toBe(124);
    expect(readdirSync(to)).toEqual([]);
  });

  test('a connection that is cut in the middle of a pack: all of it comes anew', async () => {
    const big = createRepository(join(scratch.path, 'cut.git'));
    const commit = big.commit({ big: randomBytes(2 << 20) });
    const mark = join(scratch.path, 'was-cut');
    await using cutting = await startSshd({
      settings: [
        'AcceptEnv GIT_PROTOCOL',
        // The first time it ends after a megabyte.
        `ForceCommand if [ -e ${mark} ]; then eval "$SSH_ORIGINAL_COMMAND"; else eval "$SSH_ORIGINAL_COMMAND" | { stdbuf -o0 head -c 1000000; touch ${mark}; kill -9 $PPID; }; fi`,
      ],
    });
    const to = folder();
    const { status, stderr } = await fetch(source('', { path: big.path, port: cutting.port }), to, [
      '--ssh-key-file',
      file(cutting.key()),
      '--known-hosts-file',
      file(cutting.knownHosts),
    ]);
    expect(stderr).toContain(`(commit ${commit})`);
    expect(status).toBe(0);
    expect(existsSync(mark)).toBe(true);
  });

  test('new keys of the connection again and again, while a pack comes', async () => {
    await using rekeying = await startSshd({ settings: ['RekeyLimit 300K'] });
    const { status, stderr } = await fetch(source('', { port: rekeying.port }), folder(), [
      '--ssh-key-file',
      file(rekeying.key()),
      '--known-hosts-file',
      file(rekeying.knownHosts),
    ]);
    expect(stderr).toContain(`(commit ${second})`);
    expect(status).toBe(0);
  });

  const documented = 128 << 20;
  using probed = limitMemory(documented);
  test.skipIf(
    requireOrSkip('memory of a fetch over SSH', probed === undefined ? 'no cgroup can be made' : undefined),
  )('a large file and many small ones within 128 MiB', async () => {
    const many = createRepository(join(scratch.path, 'many.git'));
    const files = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`f${index}`, `file ${index}`]),
    );
    many.commit({ ...files, large: randomBytes(48 << 20) });
    using limit = limitMemory(documented)!;
    const { path } = temporaryDirectory('large');
    const { status, stderr } = await runInitbox(
      [
        'fetch-config',
        source('', { path: many.path }),
        '--to',
        path,
        '--allow-disk',
        '--ssh-key-file',
        file(key),
        '--known-hosts-file',
        known,
      ],
      { prefix: limit.prefix },
    );
    expect(stderr).toContain('has 301 files');
    expect(status).toBe(0);
  });

  test.each([
    [['env:HOME', '--ssh-key-env', 'K'], '--ssh-key-env is for git+ssh sources'],
    [['git+ssh://git@h/a%00b'], 'has a control character in its path'],
    [['git+ssh://h/r'], 'names no user'],
    [['git+ssh://git:pw12345@h/r'], 'a password cannot be used over SSH'],
    [['git+ssh://git@h/r'], 'needs a private key'],
    [['git+ssh://git@h/r', '--ssh-key-env', 'K'], 'needs --known-hosts-file'],
    [['git@h:acme/site.git'], 'written git+ssh://git@HOST/PATH'],
    [['ssh://git@h/acme/site.git'], 'written git+ssh://git@HOST/PATH'],
    [['git+ssh://git@h:acme/site'], 'not git@HOST:PATH'],
    [['git+https://h/r', '--known-hosts-file', '/k'], '--known-hosts-file is for git+ssh sources'],
  ])('%j', async (words, said) => {
    const { status, stderr } = await runInitbox(['fetch-config', ...words, '--to', '/x'], {
      env: { K: 'x' },
    });
    expect(stderr).toContain(said);
    expect(stderr).not.toContain('pw12345');
    expect(status).toBe(2);
  });
});
