// Replicas that start, are hurt, and start again as under a kubelet, until their work is done.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { programCommand } from '../support/program.ts';
import { undoAtDeath } from '../support/undo.ts';
import type { Random } from './random.ts';

export interface Ground {
  readonly folder: string;
  /** Command prefixes: the two sides of the network. */
  readonly sides: readonly (readonly string[])[];
  readonly url: string;
  /** The same server, as a role that may not keep the lock's records. */
  readonly unrecordedUrl: string;
  readonly timing: readonly string[];
}

export interface Running {
  readonly job: string;
  /** By a role that may not keep the lock's records. */
  readonly unrecorded: boolean;
  readonly process: ChildProcess;
  readonly pid: number;
}

export interface Ended {
  readonly job: string;
  readonly onceKey: string | undefined;
  readonly status: string;
}

export interface Fleet {
  readonly running: ReadonlySet<Running>;
  readonly ended: readonly Ended[];
  stopStarting(): void;
  /** Resolves when every job that was begun has ended with 0; throws when the signal comes first. */
  drained(signal: AbortSignal): Promise<void>;
}

/**
 * What each child does: takes an exclusive flock, which the kernel holds exactly as long as a process of it lives, and
 * shouts where it is taken; notes begin; works in the database for a while; notes end. One write with O_APPEND each.
 */
function childScript(folder: string, job: string, seconds: string, way: Way): string {
  const log = join(folder, 'journal');
  const note = (what: string): string =>
    `echo "${job} ${what} $INITBOX_LOCK_TOKEN $(date +%s.%N) $$" >>${log}`;
  const work = [
    ...(way === 'stubborn' ? ["trap '' TERM"] : []),
    `exec 9>>${join(folder, 'referee')}`,
    `flock -n 9 || ${note('OVERLAP')}`,
    note('begin'),
    `psql -qX "$DATABASE_URL" -c "INSERT INTO effects SELECT $INITBOX_LOCK_TOKEN, '${job}', clock_timestamp() FROM pg_sleep(${seconds})" || exit 7`,
    note('end'),
  ].join('\n');
  if (way === 'group') return `timeout 300 /bin/sh -c ${quote(work)}`;
  if (way !== 'session') return work;
  // Out of group and session, and a child of nobody here: all that this script hears of it is its end.
  const over = join(folder, `over-${job}-$INITBOX_LOCK_TOKEN`);
  const inner = `/bin/sh -c ${quote(work)}; echo $? >${over}`;
  return [
    `(setsid /bin/sh -c ${quote(`(${inner}) &`)} &)`,
    // Where that was killed, nothing is heard; this one ends with the folder at the latest.
    `while [ ! -s ${over} ]; do [ -d ${folder} ] || exit 7; sleep 0.02; done`,
    `exit $(cat ${over})`,
  ].join('\n');
}

/** How a child behaves: it ignores TERM, or its work leaves the group, or the group and the session. */
type Way = 'plain' | 'stubborn' | 'group' | 'session';

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const ways: readonly Way[] = ['plain', 'plain', 'plain', 'stubborn', 'group', 'session'];

/** Keeps so many replicas going; every fifth job or so is one of `--once`, by three replicas. */
export function startFleet(ground: Ground, size: number, random: Random): Fleet {
  const running = new Set<Running>();
  const ended: Ended[] = [];
  let starting = true;
  let number = 0;
  let waiting = 0;
  const queue: {
    job: string;
    onceKey: string | undefined;
    seconds: string;
    way: Way;
    unrecorded: boolean;
  }[] = [];

  const nextJobs = (): void => {
    number += 1;
    const seconds = random.between(0.02, 1.2).toFixed(2);
    const way: Way = random.pick(ways) ?? 'plain';
    if (random.next() < 0.2) {
      for (let replica = 0; replica < 3; replica += 1)
        queue.push({ job: `once${number}`, onceKey: `once${number}`, seconds, way, unrecorded: false });
    } else
      queue.push({
        job: `job${number}`,
        onceKey: undefined,
        seconds,
        way,
        unrecorded: random.next() < 0.15,
      });
  };

  const begin = (job: (typeof queue)[number]): void => {
    const side = random.pick(ground.sides) ?? [];
    const [file, ...rest] = [
      ...side,
      ...programCommand(),
      'migrate-with-lock',
      ...ground.timing,
      ...(job.onceKey === undefined ? [] : ['--once', job.onceKey]),
      '--',
      '/bin/sh',
      '-c',
      childScript(ground.folder, job.job, job.seconds, job.way),
    ];
    const child = spawn(file ?? '', rest, {
      env: {
        PATH: process.env['PATH'],
        HOME: '/nonexistent',
        DATABASE_URL: job.unrecorded ? ground.unrecordedUrl : ground.url,
        HOSTNAME: job.job,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-3000)));
    const undo = undoAtDeath(`kill_tree ${child.pid}`);
    const entry = { job: job.job, unrecorded: job.unrecorded, process: child, pid: child.pid ?? 0 };
    running.add(entry);
    child.once('exit', (code, signal) => {
      undo.forget();
      running.delete(entry);
      const status = signal ?? String(code);
      ended.push({ job: job.job, onceKey: job.onceKey, status });
      if (!['0', '7', '75', '137', '143', 'SIGKILL'].includes(status))
        console.log(`${job.job} ended with ${status}:\n${errors}`);
      if (status === '0') return fill();
      // As a kubelet with a short back-off would.
      waiting += 1;
      setTimeout(() => {
        waiting -= 1;
        begin(job);
      }, 100);
    });
  };

  const fill = (): void => {
    while (running.size + waiting < size) {
      if (queue.length === 0) {
        if (!starting) return;
        nextJobs();
      }
      const job = queue.shift();
      if (job) begin(job);
    }
  };
  fill();
  return {
    running,
    ended,
    stopStarting() {
      starting = false;
    },
    async drained(signal) {
      while (running.size + waiting + queue.length > 0) {
        if (signal.aborted) throw new Error(`work was not done in time: ${running.size} replicas still run`);
        fill();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  };
}
