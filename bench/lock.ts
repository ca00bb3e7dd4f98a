/**
 * What migrate-with-lock costs: the hand-over from one holder to the next, a hundred replicas with and without --once,
 * the time from a lost lock to a dead child, and the CPU of a start that finds its work done.
 * `npm run bench -- lock --parts=handover,once,serial,loss,done`; all of it unless named.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';

import { setup as buildOnce } from '../test/support/build-once.ts';
import { liveGroup, waitUntil } from '../test/support/faults.ts';
import { startPostgres, type Postgres } from '../test/support/postgres.ts';
import { programCommand, startInitbox, type RunningProgram } from '../test/support/program.ts';
import { needTool, nodePath } from '../test/support/tools.ts';
import { temporaryDirectory } from '../test/support/undo.ts';
import type { Report } from './support/report.ts';
import { usageOf } from './support/usage.ts';

export const name = 'lock';
export const description = 'hand-over, --once, loss and start-up of migrate-with-lock';

type Part = (postgres: Postgres, report: Report) => Promise<void>;

const parts: Readonly<Record<string, Part>> = { handover, once, serial, loss, done };

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const named = flags.find((flag) => flag.startsWith('--parts='))?.slice('--parts='.length);
  const chosen = named?.split(',') ?? Object.keys(parts);
  await buildOnce();
  // With 200 connections a hundred waiters leave a fifth free, and all of them listen.
  await using postgres = await startPostgres({ settings: { max_connections: 200 } });
  for (const part of chosen) {
    const measure = parts[part];
    if (measure === undefined) throw new Error(`"${part}" is none of ${Object.keys(parts).join(', ')}`);
    await measure(postgres, report);
  }
}

function replica(postgres: Postgres, args: readonly string[]): Promise<RunningProgram> {
  return startInitbox(['migrate-with-lock', ...args], {
    env: { DATABASE_URL: postgres.url() },
    timeout: 300_000,
  });
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** From the end of one holder's child to the start of the next one's: release, wake-up, take-over, start. */
async function handover(postgres: Postgres, report: Report): Promise<void> {
  const contenders = 20;
  const folder = temporaryDirectory('handover');
  const journal = join(folder.path, 'journal');
  const go = join(folder.path, 'go');
  writeFileSync(journal, '');
  const first = await replica(postgres, ['--', '/bin/sh', '-c', `while [ ! -e ${go} ]; do sleep 0.02; done`]);
  await first.waitForStderr(/holding the lock/);
  const script = `date +"begin %s.%N" >>${journal}; sleep 0.05; date +"end %s.%N" >>${journal}`;
  const waiters = await Promise.all(
    Array.from({ length: contenders }, () => replica(postgres, ['--', '/bin/sh', '-c', script])),
  );
  await Promise.all(waiters.map((waiter) => waiter.waitForStderr(/held by/, 60_000)));
  writeFileSync(go, '');
  await Promise.all(waiters.map(({ exit }) => exit));
  const times = readFileSync(journal, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const gaps: number[] = [];
  for (let index = 1; index + 1 < times.length; index += 2)
    gaps.push((Number(times[index + 1]?.[1]) - Number(times[index]?.[1])) * 1000);
  report.table(
    [`${contenders} contenders, ${gaps.length} hand-overs`, 'median ms', '95 % ms', 'longest ms'],
    [['from one child’s end to the next one’s start', median(gaps), quantile(gaps, 0.95), Math.max(...gaps)]],
  );
  report.figure({
    what: 'hand-over to the next holder, median',
    measured: median(gaps),
    unit: 'ms',
    bound: 100,
  });
  report.plot({
    title: 'Hand-over to the next holder',
    kind: 'points',
    unit: 'ms',
    series: [{ name: 'hand-over', values: gaps }],
  });
  folder.remove();
}

/** A hundred replicas of one migration: from its end to the last replica's exit. */
async function once(postgres: Postgres, report: Report): Promise<void> {
  // Twenty too: a hundred processes that wake up at once on two cores show mostly the cores.
  for (const replicas of [100, 20]) await onceWith(postgres, replicas, report);
}

async function onceWith(postgres: Postgres, replicas: number, report: Report): Promise<void> {
  const folder = temporaryDirectory('once');
  const go = join(folder.path, 'go');
  const ran = join(folder.path, 'ran');
  writeFileSync(ran, '');
  const script = `echo run >>${ran}; while [ ! -e ${go} ]; do sleep 0.02; done; date +%s.%N >${folder.path}/end`;
  const args = ['--once', `bench-${Date.now()}`, '--', '/bin/sh', '-c', script];
  const all = await Promise.all(Array.from({ length: replicas }, () => replica(postgres, args)));
  const ends: number[] = [];
  for (const one of all) one.child.once('exit', () => ends.push(Date.now()));
  const ready = (one: RunningProgram): boolean => /held by|holding the lock/.test(one.stderr);
  await waitUntil(() => all.every(ready), { timeout: 120_000, interval: 50 });
  // The last ones have just tried; let them settle into listening.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  writeFileSync(go, '');
  const results = await Promise.all(all.map(({ exit }) => exit));
  const end = Number(readFileSync(join(folder.path, 'end'), 'utf8')) * 1000;
  const runs = readFileSync(ran, 'utf8').trim().split('\n').length;
  const failed = results.filter(({ status }) => status !== 0).length;
  const last = Math.max(...ends) - end;
  const bare = await floor(replicas);
  report.table(
    [`${replicas} replicas with --once`, 'runs', 'failed', 'median ms', 'last ms'],
    [
      ['done after the migration’s end', String(runs), String(failed), median(ends) - end, last],
      ['as many bare Nodes that end when told', '-', '-', '-', bare],
    ],
  );
  report.figure({
    what: `${replicas} replicas with --once, runs of the tool`,
    measured: runs,
    unit: '',
    bound: 1,
  });
  report.figure({
    what: `last of ${replicas} replicas done after the migration’s end, against as many bare Nodes that end when told`,
    measured: last / bare,
    unit: '×',
    bound: 1.5,
  });
  folder.remove();
}

/** What the machine needs for as many bare Nodes to end when one byte tells them to: no waiter can be faster. */
async function floor(count: number): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const script = `require('node:net').connect(${port}).on('data', () => process.exit(0))`;
  const all = Array.from({ length: count }, () => spawn(nodePath(), ['-e', script], { stdio: 'ignore' }));
  const gone = Promise.all(all.map((one) => new Promise((resolve) => one.once('exit', resolve))));
  await waitUntil(() => sockets.length === count, { timeout: 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const began = performance.now();
  for (const socket of sockets) socket.on('error', () => {}).write('x');
  await gone;
  server.close();
  return performance.now() - began;
}

/** A hundred replicas of a tool without a lock of its own, one after the other. */
async function serial(postgres: Postgres, report: Report): Promise<void> {
  const replicas = 100;
  const folder = temporaryDirectory('serial');
  const counter = join(folder.path, 'counter');
  writeFileSync(counter, '0');
  const script = `n=$(cat ${counter}); sleep 0.02; echo $((n + 1)) >${counter}`;
  const began = performance.now();
  const all = await Promise.all(
    Array.from({ length: replicas }, () => replica(postgres, ['--', '/bin/sh', '-c', script])),
  );
  await Promise.all(all.map(({ exit }) => exit));
  report.say(
    `${replicas} replicas of a tool without a lock that reads a number, sleeps and writes it back one higher: ${readFileSync(counter, 'utf8').trim()} counted (must be ${replicas}), in ${((performance.now() - began) / 1000).toFixed(1)} s.`,
  );
  folder.remove();
}

/** From pg_terminate_backend on the lock's session to the end of the child's process group. */
async function loss(postgres: Postgres, report: Report): Promise<void> {
  const rounds = 20;
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const holder = await replica(postgres, [
      '--lock-name',
      `loss-${round}`,
      '--',
      '/bin/sh',
      '-c',
      'echo group $$; exec sleep 60',
    ]);
    const group = Number((await holder.waitForStdout(/group (\d+)/))[1]);
    const client = await postgres.connect();
    const { rows } = await client.query("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted");
    const began = performance.now();
    await client.query('SELECT pg_terminate_backend($1)', [(rows[0] as { pid: number }).pid]);
    while (liveGroup(group).length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    times.push(performance.now() - began);
    await client.end();
    const { status } = await holder.exit;
    if (status !== 75) throw new Error(`the holder ended with ${status}, not 75`);
  }
  report.table(
    [`${rounds} locks lost`, 'median ms', 'longest ms'],
    [['from the backend’s end to the child’s whole group dead', median(times), Math.max(...times)]],
  );
  report.figure({
    what: 'lock lost to child’s group dead, longest',
    measured: Math.max(...times),
    unit: 'ms',
    bound: 100,
  });
}

/** CPU of a whole start that finds its work done, against psql and a bare Node, in pairs. */
async function done(postgres: Postgres, report: Report): Promise<void> {
  const pairs = 25;
  const args = ['migrate-with-lock', '--once', 'done', '--', 'true'];
  const first = await startInitbox(args, { env: { DATABASE_URL: postgres.url() } });
  if ((await first.exit).status !== 0) throw new Error(first.stderr);
  const psql = needTool('psql', 'postgresql-client');
  const folder = temporaryDirectory('bare');
  const bare = join(folder.path, 'bare.mjs');
  writeFileSync(bare, '');
  const own = ['/usr/bin/env', `DATABASE_URL=${postgres.url()}`, ...programCommand(), ...args];
  const turn = [own, [psql, '-X', '-c', 'select 1', postgres.url()], [nodePath(), bare]];
  const usages = await usageOf(Array.from({ length: pairs + 1 }, () => turn).flat());
  if (usages.some(({ status }) => status !== 0)) throw new Error('one of the commands failed');
  const ratios: number[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  // The first turn warms the caches and does not count.
  for (let at = turn.length; at < usages.length; at += turn.length) {
    const [mine = 0, query = 0, node = 0] = usages.slice(at, at + turn.length).map(({ cpu }) => cpu);
    ours.push(mine);
    theirs.push(query + node);
    ratios.push(mine / (query + node));
  }
  report.table(
    [`CPU of one start, median of ${pairs}`, 'ms'],
    [
      ['migrate-with-lock --once, already done', median(ours)],
      ['psql -c "select 1" and a bare Node', median(theirs)],
    ],
  );
  report.figure({
    what: 'already done, CPU against psql and a bare Node',
    measured: median(ratios),
    unit: '×',
    bound: 1.6,
  });
  folder.remove();
}
