// OpenSSH's own server on a loopback port, with keys of its own, for the user that runs the tests.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

export type SshKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface SshdOptions {
  /** Of the server's own key; ed25519 unless given. */
  readonly hostKey?: SshKeyType;
  /** More lines of its configuration. */
  readonly settings?: readonly string[];
}

export interface Sshd extends AsyncDisposable {
  readonly port: number;
  /** Who may log in. */
  readonly user: string;
  /** A line of a known_hosts file. */
  readonly knownHosts: string;
  /** `TYPE BASE64` of its key. */
  readonly publicKey: string;
  /** A new key that may log in, as ssh-keygen writes it. @param passphrase it is encrypted with this */
  key(type?: SshKeyType, passphrase?: string): string;
  logs(): string;
}

/** For requireOrSkip. */
export function canUseSshd(): string | undefined {
  return whyMissing('sshd', 'openssh-server') ?? whyMissing('ssh-keygen', 'openssh-client');
}

/** Makes a key. @returns the paths of both halves */
export function makeSshKey(folder: string, name: string, type: SshKeyType, passphrase = ''): string {
  const path = join(folder, name);
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  execFileSync(needTool('ssh-keygen', 'openssh-client'), [
    '-q',
    '-t',
    type,
    ...bits,
    '-N',
    passphrase,
    '-C',
    'of a test',
    '-f',
    path,
  ]);
  return path;
}

export async function startSshd({ hostKey = 'ed25519', settings = [] }: SshdOptions = {}): Promise<Sshd> {
  const binary = needTool('sshd', 'openssh-server');
  const folder = temporaryDirectory('sshd');
  // Where it shuts in the part that speaks with strangers (sshd(8)).
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const port = await freePort();
  const host = makeSshKey(folder.path, 'host', hostKey);
  const authorized = join(folder.path, 'authorized');
  writeFileSync(authorized, '');
  const configuration = join(folder.path, 'config');
  writeFileSync(
    configuration,
    [
      // The first of two lines counts.
      ...settings,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${host}`,
      `AuthorizedKeysFile ${authorized}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 100',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  );
  const server = await startServerProcess({
    command: [binary, '-D', '-e', '-f', configuration],
    logFile: join(folder.path, 'log'),
    ready: (log) => log.includes('Server listening on'),
  });
  const [type = '', encoded = ''] = readFileSync(`${host}.pub`, 'utf8').split(' ');
  let count = 0;
  return {
    port,
    user: userInfo().username,
    publicKey: `${type} ${encoded}`,
    knownHosts: `[127.0.0.1]:${port} ${type} ${encoded}\n`,
    key(keyType = 'ed25519', passphrase = '') {
      const path = makeSshKey(folder.path, `key${count++}`, keyType, passphrase);
      writeFileSync(authorized, readFileSync(`${path}.pub`, 'utf8'), { flag: 'a' });
      return readFileSync(path, 'utf8');
    },
    logs: server.logs,
    async [Symbol.asyncDispose]() {
      await server.stop();
      folder.remove();
    },
  };
}
