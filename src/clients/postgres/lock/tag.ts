import type { LockKey } from '../lock-key.ts';

/**
 * Tags in application_name: every role may read that column of pg_stat_activity, whoever's the backend is. At most 63
 * bytes of it are kept.
 */
export function tagOf(key: LockKey, token: bigint, role: 'lock' | 'job'): string {
  return `${tagPrefix(key)}${token}:${role}`;
}

/**
 * The name of the session that holds the lock: with the seconds after which its work is over once it has lost the lock,
 * for those who find no record of it, a p where its connection may end at a proxy, and the time, for people. What is
 * beyond 63 bytes is cut off at its end.
 */
export function holderTag(
  key: LockKey,
  token: bigint,
  settle: number,
  relayed: boolean,
  began?: Date,
): string {
  const time = began
    ?.toISOString()
    .replaceAll(/[-:]|\.\d+/g, '')
    .replace(/^/, ':');
  return `${tagOf(key, token, 'lock')}:${Math.ceil(settle / 1000)}s${relayed ? 'p' : ''}${time ?? ''}`;
}

export function waiterTag(key: LockKey): string {
  return `${tagPrefix(key)}wait`;
}

export function tagPrefix(key: LockKey): string {
  return `initbox:${key.hex}:`;
}

export interface Tag {
  readonly token: bigint;
  /** What the backend does: `lock` or `job`. */
  readonly role: string;
  /** Milliseconds after which the work is over once the lock is lost, where the session says so. */
  readonly settle: number | undefined;
  /** Its connection may end at a proxy, which stays when the holder is gone. */
  readonly relayed: boolean;
}

/** The token and what the backend does; undefined for another program's name, or a waiter's. */
export function readTag(key: LockKey, applicationName: string): Tag | undefined {
  const prefix = tagPrefix(key);
  if (!applicationName.startsWith(prefix)) return undefined;
  const match = /^(\d+):(lock|job)(?::(\d{1,5})s(p)?)?/.exec(applicationName.slice(prefix.length));
  if (match === null) return undefined;
  return {
    token: BigInt(match[1] ?? 0),
    role: match[2] ?? '',
    settle: match[3] === undefined ? undefined : Number(match[3]) * 1000,
    relayed: match[4] !== undefined,
  };
}
