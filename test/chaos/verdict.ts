import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Postgres } from '../support/postgres.ts';
import type { Ended } from './jobs.ts';

export interface Verdict {
  readonly wrongs: readonly string[];
  readonly begun: number;
  readonly finished: number;
}

interface Entry {
  readonly job: string;
  readonly what: string;
  readonly token: bigint;
  readonly at: number;
}

/**
 * A primary that ended for good, in seconds since 1970. The standby follows it from behind: what was committed after the
 * last transaction that it has is lost, which is nobody's mistake.
 */
export interface Failover {
  readonly at: number;
  readonly lastKnown: number;
}

/** Judges a run by what its children wrote down outside the database, and by what they left in it. */
export async function judge(
  folder: string,
  ended: readonly Ended[],
  postgres: Postgres,
  failovers: readonly Failover[],
): Promise<Verdict> {
  const mayBeLost = (at: number): boolean => failovers.some((over) => over.lastKnown < at && at <= over.at);
  const entries = readFileSync(join(folder, 'journal'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line): Entry => {
      const [job = '', what = '', token = '0', at = '0'] = line.split(' ');
      return { job, what, token: BigInt(token), at: Number(at) };
    });
  const wrongs: string[] = [];
  const begins = entries.filter(({ what }) => what === 'begin');
  const ends = entries.filter(({ what }) => what === 'end');
  for (const { job, token } of entries.filter(({ what }) => what === 'OVERLAP'))
    wrongs.push(`${job} (token ${token}) began while another child lived`);
  let last: Entry | undefined;
  for (const entry of begins) {
    if (last && entry.token <= last.token)
      wrongs.push(`${entry.job} got token ${entry.token} after ${last.job} had ${last.token}`);
    last = entry;
  }
  for (const end of ends) {
    const between = begins.filter(({ token, at }) => token > end.token && at < end.at);
    if (between[0]) wrongs.push(`${between[0].job} began before ${end.job} ended`);
  }
  for (const { job, onceKey, status } of ended) {
    if (status === '0' && !ends.some((end) => end.job === job))
      wrongs.push(`${job} ended with 0 and did nothing${onceKey ? ' (--once)' : ''}`);
  }
  const effects = await postgres.sql('SELECT token::text, job, at FROM effects ORDER BY at');
  let highest = 0n;
  for (const { token, job } of effects) {
    if (BigInt(String(token)) < highest)
      wrongs.push(
        `a statement of ${String(job)} (token ${String(token)}) landed after one of token ${highest}`,
      );
    highest = BigInt(String(token)) > highest ? BigInt(String(token)) : highest;
  }
  for (const { job, token, at } of ends) {
    if (mayBeLost(at)) continue;
    if (!effects.some((row) => row['job'] === job && BigInt(String(row['token'])) === token))
      wrongs.push(`${job} (token ${token}) ended, but its row is not there`);
  }
  const done = await postgres.sql(
    "SELECT once_key AS key, extract(epoch FROM finished)::float8 AS at FROM initbox.once WHERE state = 'done'",
  );
  for (const { key, at } of done) {
    if (begins.some((begin) => begin.job === key && begin.at > Number(at)))
      wrongs.push(`${String(key)} was run again after it was done`);
  }
  for (const key of new Set(ended.map(({ onceKey }) => onceKey).filter((name) => name !== undefined))) {
    if (!done.some((row) => row['key'] === key)) wrongs.push(`${key} is not recorded as done`);
  }
  return { wrongs, begun: begins.length, finished: ends.length };
}
