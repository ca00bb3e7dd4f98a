/**
 * `npm run chaos -- --minutes N [--seed S]`: replicas of migrate-with-lock under random faults. No two children may
 * overlap, and no work may be lost. The same seed makes the same choices; the machine makes the moments.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { setup as buildOnce } from '../support/build-once.ts';
import { canUseNetns, createNetnsPair } from '../support/netns.ts';
import { appRole, startPostgres, startStandby, type Postgres, type Standby } from '../support/postgres.ts';
import { requireOrSkip } from '../support/tools.ts';
import { temporaryDirectory } from '../support/undo.ts';
import { chooseFault, createFaults } from './faults.ts';
import { startFleet } from './jobs.ts';
import { seeded } from './random.ts';
import { type Failover, judge } from './verdict.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    replicas: { type: 'string', default: '8' },
    /** Milliseconds between two faults, on average. */
    pause: { type: 'string', default: '400' },
    /** Faults under way at a time. */
    'at-once': { type: 'string', default: '4' },
    /** Ends earlier, once there were so many faults. */
    faults: { type: 'string', default: '1000000' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed))
  throw new Error('--minutes takes a number, --seed a whole number');
console.log(`chaos for ${minutes} min; seed ${seed}`);

await buildOnce();
const random = seeded(seed);
const network = requireOrSkip('partitions', canUseNetns()) ? undefined : createNetnsPair();
const placed = network ? { listen: [network.b.address], prefix: network.b.prefix } : {};
/** The server that takes writes; the other one follows it, and takes over in a failover. */
let primary: Postgres = await startPostgres({ settings: { max_connections: 100 }, ...placed });
await primary.sql(
  `CREATE TABLE effects (token bigint, job text, at timestamptz); ALTER TABLE effects OWNER TO app;
   CREATE ROLE unrecorded LOGIN PASSWORD '${appRole.password}'; GRANT INSERT ON effects TO unrecorded`,
);
let standbySince = Date.now() / 1000;
let standby: Standby = await startStandby(primary, placed);
const failovers: Failover[] = [];
const urlOf = (user: string): string =>
  `postgres://${user}:${appRole.password}@${[primary, standby].map(({ host, port }) => `${host}:${port}`).join(',')}/${appRole.database}?target_session_attrs=primary`;

async function failOver(): Promise<void> {
  const old = primary;
  const { port } = old;
  await old.kill();
  const at = Date.now() / 1000;
  await sleep(random.between(0, 500));
  await standby.promote();
  failovers.push({ at, lastKnown: (await lastKnown(standby)) ?? standbySince });
  primary = standby;
  await old.remove();
  // In the old one's place, so that the URL names both.
  standbySince = Date.now() / 1000;
  standby = await startStandby(primary, { port, ...placed });
}

/** When the last transaction ended that a standby got, in seconds since 1970; undefined where it got none. */
async function lastKnown(server: Postgres): Promise<number | undefined> {
  const [row] = await server.sql('SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::float8 AS at');
  return (row?.['at'] ?? undefined) as number | undefined;
}

const ground = temporaryDirectory('chaos');
for (const name of ['journal', 'referee']) {
  writeFileSync(join(ground.path, name), '');
  chmodSync(join(ground.path, name), 0o666);
}

const fleet = startFleet(
  {
    folder: ground.path,
    sides: network ? [network.a.prefix, network.b.prefix] : [[]],
    url: urlOf(appRole.user),
    unrecordedUrl: urlOf('unrecorded'),
    timing: ['--heartbeat', '1s', '--grace', '500ms'],
  },
  Number(values.replicas),
  random,
);
const faults = createFaults({
  fleet,
  get postgres() {
    return primary;
  },
  failOver,
  network,
  random,
});
const counts = new Map<string, number>();
const until = performance.now() + minutes * 60_000;
let told = performance.now();
/** Faults under way: some last for seconds. */
const active = new Map<string | symbol, Promise<unknown>>();
const atOnce = Number(values['at-once']);
const sum = (): number => [...counts.values()].reduce((a, b) => a + b, 0);
while (performance.now() < until && sum() < Number(values.faults)) {
  await sleep(random.between(0, 2 * Number(values.pause)));
  const fault = chooseFault(faults, random);
  if (active.size >= atOnce || (fault.group !== undefined && active.has(fault.group))) continue;
  const name = fault.group ?? Symbol(fault.name);
  active.set(
    name,
    fault
      .inflict()
      .then((hit) => hit && counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1))
      .finally(() => active.delete(name)),
  );
  if (performance.now() - told > 10_000) {
    told = performance.now();
    console.log(`${sum()} faults, ${fleet.ended.length} processes ended, ${fleet.running.size} running`);
  }
}
fleet.stopStarting();
await Promise.all(active.values());
await fleet.drained(AbortSignal.timeout(120_000));

const verdict = await judge(ground.path, fleet.ended, primary, failovers);
/** What a replica may end with here: done, its child's failed statement, the lock lost, and signals. */
const explained = new Set(['0', '7', '75', '137', '143', 'SIGKILL', 'SIGTERM']);
const wrongs = [
  ...verdict.wrongs,
  ...fleet.ended
    .filter(({ status }) => !explained.has(status))
    .map(({ job, status }) => `${job} ended with ${status}`),
];
const statuses = Map.groupBy(fleet.ended, ({ status }) => status);
console.log(`\nseed ${seed}, ${minutes} min`);
console.log(`faults: ${sum()}`);
for (const [name, count] of [...counts].toSorted((a, b) => b[1] - a[1])) console.log(`  ${count} × ${name}`);
console.log(`processes: ${fleet.ended.length}`);
for (const [status, all] of statuses) console.log(`  ${all.length} × ended with ${status}`);
console.log(`children: ${verdict.begun} began, ${verdict.finished} came to their end`);
console.log(wrongs.length === 0 ? 'no overlap, nothing lost' : `WRONG:\n${wrongs.join('\n')}`);
await standby.remove();
await primary.remove();
ground.remove();
network?.remove();
process.exitCode = wrongs.length === 0 ? 0 : 1;
