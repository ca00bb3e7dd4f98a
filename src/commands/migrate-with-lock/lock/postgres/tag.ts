import type { LockKey } from '../../../../clients/postgres/lock-key.ts';

/**
 * Tags in application_name: every role may read that column of pg_stat_activity, whoever's the backend is. At most 63
 * bytes of it are kept.
 */
export function tagOf(key: LockKey, token: bigint, role: 'lock' | 'job'): string {
  return `${tagPrefix(key)}${token}:${role}`;
}

export function waiterTag(key: LockKey): string {
  return `${tagPrefix(key)}wait`;
}

export function tagPrefix(key: LockKey): string {
  return `initbox:${key.hex}:`;
}

/** The token and what the backend does; undefined for another program's name, or a waiter's. */
export function readTag(
  key: LockKey,
  applicationName: string,
): { readonly token: bigint; readonly role: string } | undefined {
  const prefix = tagPrefix(key);
  if (!applicationName.startsWith(prefix)) return undefined;
  const match = /^(\d+):(lock|job)/.exec(applicationName.slice(prefix.length));
  return match ? { token: BigInt(match[1] ?? 0), role: match[2] ?? '' } : undefined;
}
