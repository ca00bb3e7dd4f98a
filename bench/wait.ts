import { spawn } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeOnce, sharedCacheDirectory } from '../test/support/build-cache.ts';
import { freeKafkaPorts, startKafka } from '../test/support/kafka.ts';
import { startMariadb } from '../test/support/mariadb.ts';
import { limitMemory } from '../test/support/memory-limit.ts';
import { startNats } from '../test/support/nats.ts';
import { freePort } from '../test/support/ports.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { programCommand } from '../test/support/program.ts';
import { startRabbitmq } from '../test/support/rabbitmq.ts';
import { startRedis } from '../test/support/redis.ts';
import { createCertificateAuthority } from '../test/support/tls.ts';
import { findInPath } from '../test/support/tools.ts';
import { startZookeeper } from '../test/support/zookeeper.ts';
import { numberFlag, textFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { mean, median } from './support/statistics.ts';
import { inPairs } from './support/usage.ts';

export const name = 'wait';
export const description =
  'each kind of target: lag beside holdon, start against wait-tcp, memory of twelve at once';

const holdonVersion = '0.4.0';

/** Waits under way at once: they sleep nearly all the time. */
const abreast = 4;

interface Kind {
  readonly name: string;
  /** The real server's. */
  readonly port: number;
  /** The target as both tools take it, at a port that leads to the server. */
  readonly target: (port: number) => string;
}

interface Tool {
  readonly name: string;
  readonly command: (target: string) => readonly string[];
}

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const parts = textFlag(flags, 'parts')?.split(',') ?? ['lag', 'start', 'memory'];
  await using servers = new AsyncDisposableStack();
  const kinds = await startKinds(servers);
  if (parts.includes('lag')) await lag(kinds, numberFlag(flags, 'rounds', 8), report);
  if (parts.includes('start')) await start(kinds, numberFlag(flags, 'starts', 20), report);
  if (parts.includes('memory')) await memory(kinds, report);
}

async function lag(kinds: readonly Kind[], rounds: number, report: Report): Promise<void> {
  const cargo = findInPath('cargo');
  if (cargo === undefined) return report.skip('the lag beside holdon: there is no cargo to build it');
  const built = await makeOnce(
    join(sharedCacheDirectory(), `holdon-${holdonVersion}`),
    `"$CARGO" install holdon --version ${holdonVersion} --features full --locked --root "$OUT" >&2`,
    { CARGO: cargo },
  );
  const tools: readonly Tool[] = [
    { name: 'initbox', command: (target) => [...programCommand(), 'wait', target, '--timeout', '60s'] },
    { name: 'holdon', command: (target) => [join(built, 'bin', 'holdon'), target, '--timeout', '60s'] },
  ];
  const lags = kinds.map((kind) => ({ kind, of: tools.map(() => [] as number[]) }));
  const refused = new Set<string>();
  const turns = Array.from(
    { length: rounds },
    (_, index) => 2_000 + (6_000 * (index + 0.5)) / rounds,
  ).flatMap((delay) => lags.map((entry) => ({ entry, delay })));
  const lane = async (): Promise<void> => {
    for (let turn = turns.pop(); turn !== undefined; turn = turns.pop()) {
      const { entry } = turn;
      // Both tools side by side, each on a port of its own; anywhere within 200 ms, so that no pause of a tool fits.
      const delay = turn.delay + 200 * Math.random();
      await Promise.all(
        tools.map(async (tool, index) => {
          try {
            entry.of[index]?.push(await lagOf(tool, entry.kind, delay));
          } catch (error) {
            if (index === 0) throw error;
            // It has no such kind, or makes nothing of this server.
            refused.add(entry.kind.name);
          }
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: abreast }, lane));
  report.table(
    [
      'from "the server can be reached" to exit 0',
      ...tools.flatMap((tool) => [`${tool.name}, mean ms`, 'longest']),
    ],
    lags.map(({ kind, of }) => [
      kind.name,
      ...of.flatMap((values): (string | number)[] =>
        values.length < rounds ? ['–', '–'] : [mean(values), Math.max(...values)],
      ),
    ]),
  );
  report.say(`${rounds} rounds for each kind, both tools side by side, the server up after 2 to 8 s.`);
  if (refused.size > 0) report.say(`holdon failed at: ${[...refused].join(', ')}.`);
  for (const { kind, of } of lags) {
    if (refused.has(kind.name)) continue;
    const [own = [], theirs = []] = of;
    report.figure({
      what: `lag, ${kind.name}, mean`,
      measured: mean(own) / mean(theirs),
      unit: '×',
      bound: 0.4,
      peer: 'holdon',
    });
    report.figure({
      what: `lag, ${kind.name}, longest`,
      measured: Math.max(...own) / Math.max(...theirs),
      unit: '×',
      bound: 0.4,
      peer: 'holdon',
    });
  }
}

async function start(kinds: readonly Kind[], rounds: number, report: Report): Promise<void> {
  await using relay = await openRelay(await freePort(), undefined);
  const base = [...programCommand(), 'wait-tcp', `127.0.0.1:${relay.port}`];
  const rows: (readonly [string, number, number])[] = [];
  for (const kind of kinds) {
    const { a, b } = await inPairs([...programCommand(), 'wait', kind.target(kind.port)], base, rounds);
    if (a.some(({ status }) => status !== 0)) throw new Error(`wait ${kind.name} failed`);
    const ratio = median(a.map(({ cpu }, index) => cpu / (b[index]?.cpu ?? Number.NaN)));
    rows.push([kind.name, median(a.map(({ cpu }) => cpu)), ratio]);
  }
  report.table(['a server that is ready', 'CPU ms, median', '× wait-tcp'], rows);
  report.say(`Median of ${rounds} ratios for each, pair by pair:`);
  const [most = ['', 0, Number.NaN] as const] = rows.toSorted((a, b) => b[2] - a[2]);
  report.figure({
    what: `start of the dearest kind (${most[0]}), CPU against wait-tcp`,
    measured: most[2],
    unit: '×',
    bound: 2,
  });
}

/** Twelve targets, of every kind that there is, the last of which is there after two seconds. */
async function memory(kinds: readonly Kind[], report: Report): Promise<void> {
  using limit = limitMemory(96 * 2 ** 20);
  if (limit === undefined) return report.skip('memory: no cgroup can be made');
  const port = await freePort();
  const targets = [
    ...kinds.map((kind) => kind.target(kind.port)),
    ...kinds.map((kind) => kind.target(kind.port)).toReversed(),
  ].slice(0, 11);
  const command = [...limit.prefix, ...programCommand(), 'wait', ...targets, `tcp://127.0.0.1:${port}`];
  const ended = endOf(command);
  await Promise.race([ended, sleep(2_000)]);
  await using _relay = await openRelay(port, undefined);
  await ended;
  report.figure({
    what: 'twelve targets at once, the most memory with the files that were read',
    measured: limit.peak() / 2 ** 20,
    unit: 'MiB',
    bound: 96,
  });
}

async function startKinds(servers: AsyncDisposableStack): Promise<readonly Kind[]> {
  const authority = servers.use(await createCertificateAuthority());
  const web = servers.adopt(await openWeb(), (server) => void server.close());
  const { port: webPort } = web.address() as { port: number };
  const postgres = servers.use(await startPostgres());
  const redis = servers.use(await startRedis());
  const mariadb = servers.use(await startMariadb());
  const nats = servers.use(await startNats());
  const zookeeper = servers.use(await startZookeeper());
  const rabbitmq = servers.use(await startRabbitmq());
  const ports = await freeKafkaPorts();
  const kafka = servers.use(await startKafka({ ports, tls: await authority.server(['localhost']) }));
  const at =
    (scheme: string, path = '') =>
    (port: number) =>
      `${scheme}://127.0.0.1:${port}${path}`;
  const url = new URL(postgres.url());
  return [
    { name: 'tcp', port: webPort, target: at('tcp') },
    { name: 'http', port: webPort, target: at('http', '/') },
    {
      name: 'postgres',
      port: postgres.port,
      target: (port) => `postgres://${url.username}:${url.password}@127.0.0.1:${port}${url.pathname}`,
    },
    { name: 'redis', port: redis.port, target: at('redis') },
    {
      name: 'mysql',
      port: mariadb.port,
      target: (port) => `mysql://app:hunter2@127.0.0.1:${port}/app`,
    },
    { name: 'nats', port: nats.port, target: at('nats') },
    { name: 'zookeeper', port: zookeeper.port, target: at('zookeeper') },
    {
      name: 'amqp',
      port: rabbitmq.port,
      target: (port) => `amqp://app:hunter2@127.0.0.1:${port}/%2f`,
    },
    { name: 'kafka', port: kafka.ports.plain, target: at('kafka') },
  ];
}

async function openWeb(): Promise<Server> {
  const { createServer: createWeb } = await import('node:http');
  const server = createWeb((_request, response) => response.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/**
 * A port that leads to a server, from now on. The servers themselves need seconds to start, of which nobody knows in which
 * moment they could be used.
 */
async function openRelay(port: number, to: number | undefined): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (to === undefined) return;
    const further = connect(to, '127.0.0.1');
    further.on('error', () => socket.destroy());
    socket.on('close', () => further.destroy());
    further.on('close', () => socket.destroy());
    socket.pipe(further).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

/** @returns milliseconds from the moment in which the server can be reached to the end of the process */
async function lagOf(tool: Tool, kind: Kind, delay: number): Promise<number> {
  const port = await freePort();
  const ended = endOf(tool.command(kind.target(port)));
  await Promise.race([ended, sleep(delay)]);
  await using _relay = await openRelay(port, kind.port);
  const since = performance.now();
  return (await ended) - since;
}

/** @returns when the command ended with success */
function endOf(command: readonly string[]): Promise<number> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'ignore' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) =>
      status === 0
        ? resolve(performance.now())
        : reject(new Error(`${command.join(' ')} ended with ${status}`)),
    );
  });
}
