import { startPostgres } from '../test/support/postgres.ts';
import { programCommand } from '../test/support/program.ts';
import { findInPath } from '../test/support/tools.ts';
import { quote } from '../test/support/undo.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, type Usage } from './support/usage.ts';

export const name = 'create-database';
export const description = 'a role and its database, made and found there, against psql';

export async function run(flags: readonly string[], report: Report): Promise<void> {
  if (findInPath('psql') === undefined) return report.skip('there is no psql (postgresql-client)');
  const rounds = numberFlag(flags, 'rounds', 15);
  await using postgres = await startPostgres();
  const url = postgres.superuserUrl('postgres');
  const drop = `psql -qX ${quote(url)} -c 'DROP DATABASE IF EXISTS bench' -c 'DROP ROLE IF EXISTS bench'`;
  const ours = [
    'env',
    `DATABASE_URL=${url}`,
    'BENCH_PASSWORD=secret',
    ...programCommand(),
    ...'create-database bench --owner bench --owner-password-env BENCH_PASSWORD'.split(' '),
  ];
  const theirs = `psql -X ${quote(url)} -c "CREATE ROLE bench LOGIN PASSWORD 'secret'" -c 'CREATE DATABASE bench OWNER bench'`;
  const shell = (script: string): string[] => ['sh', '-c', script];
  const made = await inPairs(
    shell(`${drop}; exec ${ours.map(quote).join(' ')}`),
    shell(`${drop}; exec ${theirs}`),
    rounds,
  );
  const dropped = await inPairs(shell(drop), shell(drop), rounds);
  // psql fails, which its script takes for "it exists".
  const again = await inPairs(ours, shell(`${theirs} || true`), rounds);
  if ([...made.a, ...made.b, ...again.a].some(({ status }) => status !== 0))
    throw new Error('one was not made');
  const wall = (usages: readonly Usage[]): number => median(usages.map((usage) => usage.wall));
  const before = wall(dropped.a);
  report.table(
    ['what', 'initbox, wall ms', 'psql, wall ms'],
    [
      ['made', wall(made.a) - before, wall(made.b) - before],
      ['there already', wall(again.a), wall(again.b)],
    ],
  );
  report.say(
    `Medians of ${rounds} pairs, on a server of this machine. psql does not compare the password, does not wait for the server, and takes no turn with other replicas.`,
  );
  report.figure({
    what: 'create-database, there already, wall time',
    measured: wall(again.a) / wall(again.b),
    unit: '×',
    peer: 'psql',
  });
}
