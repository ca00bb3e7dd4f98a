import type { HolderSeen } from './advisory.ts';
import type { HolderRow } from './records.ts';
import type { Tag } from './tag.ts';

/** A holder that the records do not tell of: without a right to write them, or they were dropped or restored since. */
export interface Unrecorded {
  readonly token: bigint;
  /** Milliseconds after which its work is over; undefined where it did not say so. */
  readonly settle: number | undefined;
  /** Whose backends may be its command's; undefined where only a name was seen. */
  readonly client:
    | { readonly role: string; readonly address: string | null; readonly since: Date }
    | undefined;
}

/**
 * Whether somebody held the lock of whom the row does not tell: what it says of a release is then another's.
 * @param last the row, where there is one
 * @param seen whom this waiter saw holding the lock last
 * @param left names of backends that are there still: a holder that lost the lock stays connected until its command is gone
 */
export function unrecordedHolder(
  last: HolderRow | undefined,
  seen: HolderSeen | undefined,
  left: readonly Tag[],
): Unrecorded | undefined {
  if (seen?.token !== undefined && !covers(last, seen.token, seen.at)) {
    return {
      token: seen.token,
      settle: seen.settle,
      client:
        seen.role === null
          ? undefined
          : { role: seen.role, address: seen.address, since: new Date((seen.began ?? 0) * 1000) },
    };
  }
  const stranger = left.find(
    ({ token, role }) =>
      token !== last?.token && (role === 'lock' || last === undefined || token > last.token),
  );
  return stranger && { token: stranger.token, settle: stranger.settle, client: undefined };
}

/** A row with the time that its holder was seen to tell by its session's name, where that is longer. */
export function asSeen(row: HolderRow | undefined, seen: HolderSeen | undefined): HolderRow | undefined {
  if (row === undefined || seen?.settle === undefined || row.token !== seen.token) return row;
  // The name tells whole seconds, rounded up.
  return seen.settle - row.settle < 1000 ? row : { ...row, settle: seen.settle };
}

/**
 * True where the row is of that holder, or of a later one, which waited for it: later both by the token, since a clock
 * may be set, and by the clock, since a restored row may bear a larger token.
 */
function covers(last: HolderRow | undefined, token: bigint, at: number): boolean {
  if (last === undefined) return false;
  return last.token === token || (last.token > token && last.started.getTime() / 1000 > at);
}
