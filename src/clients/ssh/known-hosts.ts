import { createHash, createHmac } from 'node:crypto';

/** A key of a host, as it stands in the protocol and in a known_hosts file. */
export interface HostKey {
  readonly type: string;
  readonly bytes: Buffer;
}

/** What a known_hosts file says of one host. */
export interface KnownHost {
  /** Under which name the file has it: `HOST`, or `[HOST]:PORT` of another port than 22. */
  readonly name: string;
  readonly keys: readonly HostKey[];
  /** Keys that are never to be taken again. */
  readonly revoked: readonly HostKey[];
  /** Whether there is an authority for it, whose certificates are not understood here. */
  readonly hasAuthority: boolean;
}

const usualPort = 22;

/** A host's name in a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export function knownName(host: string, port: number): string {
  const small = host.toLowerCase();
  return port === usualPort ? small : `[${small}]:${port}`;
}

/**
 * Reads what a known_hosts file says of a host. Lines that cannot be read are passed over, as ssh(1) does: files have kept
 * lines of keys that nobody uses any more.
 */
export function knownHostIn(text: string, host: string, port: number): KnownHost {
  const name = knownName(host, port);
  const keys: HostKey[] = [];
  const revoked: HostKey[] = [];
  let hasAuthority = false;
  for (const line of text.split(/\r?\n/)) {
    const fields = line.trim().split(/\s+/);
    const marker = fields[0]?.startsWith('@') === true ? fields.shift() : undefined;
    const [hosts = '', type = '', encoded = ''] = fields;
    if (hosts.startsWith('#') || !/^[A-Za-z0-9+/]+=*$/.test(encoded)) continue;
    const bytes = Buffer.from(encoded, 'base64');
    if (typeOf(bytes) !== type || !isMeant(hosts, name)) continue;
    if (marker === undefined) keys.push({ type, bytes });
    else if (marker === '@revoked') revoked.push({ type, bytes });
    else if (marker === '@cert-authority') hasAuthority = true;
  }
  return { name, keys, revoked, hasAuthority };
}

/** The type that a key itself begins with (RFC 4253, 6.6); empty where it has none. */
export function typeOf(key: Buffer): string {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0);
  return length > 64 ? '' : key.toString('latin1', 4, 4 + length);
}

/** As ssh-keygen -l shows it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Whether a line's first field names the host: patterns of which none that is negated fits, or a hash of the name. */
function isMeant(hosts: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(hosts) ?? [];
  if (salt !== undefined && hash !== undefined)
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  let found = false;
  for (const pattern of hosts.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!fits(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `*` stands for any letters, `?` for one. In steps of the pattern's and the name's length, whatever is in them. */
function fits(pattern: string, name: string): boolean {
  let [at, star, from] = [0, -1, 0];
  for (let index = 0; index < name.length;) {
    const letter = pattern[at];
    if (letter === '*') {
      star = at++;
      from = index;
    } else if (letter === '?' || letter === name[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++from;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
