import type { Duplex } from 'node:stream';

import { Client, utils, type ClientChannel, type ParsedKey, type PublicKeyAuthMethod } from 'ssh2';

import { excerpt, flattened } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { judgeConnection, openConnection, type ConnectionContext } from '../connection/open.ts';
import { fingerprintOf, typeOf, type HostKey, type KnownHost } from './known-hosts.ts';

/** Where a program is started, and who starts it. */
export interface SshPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly key: SshKey;
  readonly known: KnownHost;
  /** Where the known keys are from, for people. */
  readonly knownFrom: string;
}

/** A private key that was read. */
export type SshKey = ParsedKey;

/** A program that runs on the other end. */
export interface SshProgram extends Disposable {
  readonly peer: string;
  /** Its standard input and output. */
  readonly stream: Duplex;
  /** How it ended, after the end of its output: without a code where it was cut off. */
  readonly ended: Promise<{
    readonly code: number | undefined;
    readonly stderr: string;
    /** It was cut off here, since it said too much. */
    readonly flooded: boolean;
  }>;
}

/** Characters of a server's words that are shown, and bytes that are kept of what a program says. */
const mostShown = 300;
const mostSaid = 4096;

/**
 * Reads a private key in OpenSSH's or PEM's form.
 * @throws Error whose text follows where it is from
 */
export function readSshKey(text: string, passphrase: string | undefined): SshKey {
  if (/^-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----/.test(text.trim()))
    throw new Error(
      'holds a key in the form PKCS#8; ssh-keygen -p -f KEY -m PEM, or a new key of ssh-keygen, gives one that is read',
    );
  const parsed: ParsedKey | Error | readonly ParsedKey[] = utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? (parsed[0] as ParsedKey | undefined) : parsed;
  if (key === undefined || key instanceof Error) {
    const said = key?.message ?? '';
    if (/no passphrase given/i.test(said)) throw new Error('is encrypted: give --ssh-passphrase-file');
    if (/bad passphrase|integrity check failed/i.test(said))
      throw new Error('cannot be decrypted with that passphrase');
    throw new Error('holds no private key of OpenSSH that can be read');
  }
  if (!key.isPrivateKey()) throw new Error('holds a public key: the private one is wanted, without .pub');
  return key;
}

/** Of a host's key, what signs with it (RFC 8332 for RSA; SHA-1 is not taken). The known types come first. */
const signatures: readonly (readonly [type: string, algorithms: readonly string[]])[] = [
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
];

function hostAlgorithms({ keys }: KnownHost): string[] {
  const isKnown = (type: string): boolean => keys.some((key) => key.type === type);
  return signatures
    .toSorted(([one], [other]) => Number(isKnown(other)) - Number(isKnown(one)))
    .flatMap(([, algorithms]) => algorithms);
}

/** Starts a program on another host by SSH (RFC 4254, 6.5). One attempt; the probe's signal ends it and the program. */
export async function startOverSsh(
  place: SshPlace,
  command: string,
  environment: Readonly<Record<string, string>>,
  context: ConnectionContext & { readonly redact: (text: string) => string },
  probe: Probe,
): Promise<SshProgram | NotYet | Never> {
  const endpoint = { kind: 'tcp', host: place.host, port: place.port } as const;
  const opened = await openConnection({ endpoint, tls: undefined }, context, probe);
  if ('state' in opened) return opened;
  const { stream: socket, peer } = opened;
  const client = new Client();
  using stack = new DisposableStack();
  stack.defer(() => {
    client.on('error', () => {});
    socket.destroy();
  });
  const onAbort = (): void => void socket.destroy();
  probe.signal.addEventListener('abort', onAbort, { once: true });
  stack.defer(() => probe.signal.removeEventListener('abort', onAbort));
  let refusal: Never | undefined;
  const isRight = (bytes: Buffer): boolean => {
    refusal = refusalOf({ type: typeOf(bytes), bytes }, place, peer);
    return refusal === undefined;
  };
  try {
    probe.phase(`SSH handshake with ${peer}`);
    const ready = settled(client, 'ready');
    const method: PublicKeyAuthMethod = { type: 'publickey', username: place.user, key: place.key };
    client.connect({
      sock: socket,
      username: place.user,
      authHandler: [method],
      hostVerifier: isRight,
      ident: 'initbox',
      // The probe's signal ends it.
      readyTimeout: 0,
      algorithms: {
        serverHostKey: hostAlgorithms(place.known) as never,
        cipher: [
          'aes128-gcm@openssh.com',
          'aes256-gcm@openssh.com',
          'aes128-ctr',
          'aes192-ctr',
          'aes256-ctr',
        ],
        hmac: [
          'hmac-sha2-256-etm@openssh.com',
          'hmac-sha2-512-etm@openssh.com',
          'hmac-sha2-256',
          'hmac-sha2-512',
        ],
        compress: ['none'],
      },
    });
    client.once('handshake', () => probe.phase(`logging in to ${peer}`));
    await ready;
    probe.phase(`starting ${command.split(' ', 1)[0]} on ${peer}`);
    const failed = settled(client, 'close');
    const program = await Promise.race([execute(client, command, environment, onAbort), failed.then(lost)]);
    failed.catch(() => {});
    const held = stack.move();
    return { peer, ...program, [Symbol.dispose]: () => held.dispose() };
  } catch (error) {
    if (probe.signal.aborted) return notYet(`no answer (${peer})`);
    return refusal ?? judge(error, place, peer, context.redact);
  }
}

function lost(): never {
  throw new Error(connectionLost);
}

const connectionLost = 'the connection was closed';

/** Resolves at an event, and rejects at an error or the end before it. */
function settled(client: Client, event: 'ready' | 'close'): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('error', reject);
    client.once(event as 'ready', () => resolve());
    if (event !== 'close') client.once('close', () => reject(new Error(connectionLost)));
  });
}

function execute(
  client: Client,
  command: string,
  env: Readonly<Record<string, string>>,
  giveUp: () => void,
): Promise<Pick<SshProgram, 'stream' | 'ended'>> {
  return new Promise((resolve, reject) => {
    client.exec(command, { env: { ...env } }, (error, channel) => {
      // At once: how it ends may come with the same bytes.
      if (error === undefined) resolve({ stream: channel, ended: endOf(channel, giveUp) });
      else reject(error);
    });
  });
}

/** Bytes of messages that are taken: what Git says of its progress comes with the pack. */
const mostMessages = 4 << 20;

function endOf(channel: ClientChannel, giveUp: () => void): SshProgram['ended'] {
  let stderr = '';
  let came = 0;
  let code: number | undefined;
  channel.stderr.on('data', (bytes: Buffer) => {
    came += bytes.length;
    if (came > mostMessages) return giveUp();
    if (stderr.length < mostSaid) stderr += bytes.toString('utf8').slice(0, mostSaid - stderr.length);
  });
  channel.on('exit', (given: number | null) => {
    code = given ?? undefined;
  });
  channel.on('error', () => {});
  return new Promise((resolve) => {
    channel.once('close', () => resolve({ code, stderr, flooded: came > mostMessages }));
  });
}

/** Why a host's key is not taken; undefined where it is the known one. */
function refusalOf(key: HostKey, { known, knownFrom }: SshPlace, peer: string): Never | undefined {
  const isIn = (keys: readonly HostKey[]): boolean => keys.some(({ bytes }) => bytes.equals(key.bytes));
  const shown = `${key.type.replace(/[^\w@.-]+/g, '')} ${fingerprintOf(key.bytes)}`;
  if (isIn(known.revoked))
    return never(
      exitStatus.refused,
      `the server has a key that ${knownFrom} says is revoked (${shown}, ${peer})`,
      'somebody who stole it may be answering: look at who runs that server',
    );
  if (isIn(known.keys)) return undefined;
  return never(
    exitStatus.refused,
    `the server’s host key is not the one that ${knownFrom} has for ${known.name} (it sent ${shown}, ${peer})`,
    `somebody else may be answering there. If the server got a new key, compare it with what its owner publishes, then write what ssh-keyscan prints into ${knownFrom}`,
  );
}

function judge(
  error: unknown,
  { user }: SshPlace,
  peer: string,
  redact: (text: string) => string,
): NotYet | Never {
  const { level, code, message } = error as Error & { readonly level?: string; readonly code?: unknown };
  const said = flattened(excerpt(message, mostShown, redact)).replace(/[^\x20-\x7e]+/g, ' ');
  if (level === 'client-authentication')
    return never(
      exitStatus.refused,
      `the server does not take the key for the user ${JSON.stringify(user)} (${peer})`,
      'is its public half known there, as a deploy key or in authorized_keys, and is the user right (git at most hosts)? a server that also wants a password or a second factor cannot be used',
    );
  if (level === 'client-socket') return judgeConnection(error, peer);
  if (level === 'handshake' && /no matching/.test(message))
    return never(
      exitStatus.refused,
      `the server agrees on none of the algorithms that are taken (${said}, ${peer})`,
      'it is too old, or set so: RSA with SHA-1, CBC and ChaCha20 are not taken',
    );
  if (/^Handshake failed|signature|verif/i.test(message) && level === 'handshake')
    return notYet(`the SSH handshake failed: ${said} (${peer})`, { busy: {} });
  // The reason of a message that ends the connection (RFC 4253, 11.1).
  if (typeof code === 'number')
    return notYet(`the server ended it: ${JSON.stringify(said)} (${peer})`, { busy: {} });
  if (/before handshake|connection was closed|No response from server/i.test(message))
    return notYet(`the server closed the connection (${peer})`, {
      busy: {},
      hint: 'is an SSH server at that port, and has it room for one more (MaxStartups)?',
    });
  if (/Unable to exec|Channel open failure/i.test(message))
    return never(
      exitStatus.refused,
      `the server does not let the user ${JSON.stringify(user)} start programs (${said}, ${peer})`,
    );
  return notYet(`what answers there is not an SSH server: ${said} (${peer})`, {
    hint: 'is it the right port?',
  });
}
