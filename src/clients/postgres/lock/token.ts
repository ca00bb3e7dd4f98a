/** Bits of a token for the transaction id, which takes centuries to fill them; 15 are left for the timeline. */
const transactionBits = 48n;

/** One less than fits, so that of what fits the server's bigint more than enough is left for `last + 1n` (records-shape.ts). */
const mostTimelines = (1n << 15n) - 2n;

/**
 * The token of a new holder: larger than that of every holder before it, also where a standby took over that had not
 * heard of the last ones. Its transaction ids begin again where it stopped hearing, and its timeline is a later one.
 * @param transaction a transaction id with its epoch
 * @param timeline in hexadecimal, as files of the write-ahead log have it; null where the server keeps it from us
 * @param last the token in the records
 */
export function nextToken(transaction: bigint, timeline: string | null, last: bigint | undefined): bigint {
  const turn = timeline === null ? 0n : BigInt(`0x${timeline}`);
  const own = ((turn > mostTimelines ? mostTimelines : turn) << transactionBits) + transaction;
  return last !== undefined && last >= own ? last + 1n : own;
}
