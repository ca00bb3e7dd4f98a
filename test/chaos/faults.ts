import { setTimeout as sleep } from 'node:timers/promises';

import type { NetnsPair } from '../support/netns.ts';
import type { Postgres } from '../support/postgres.ts';
import { allProcesses, liveProcess } from '../support/process-table.ts';
import type { Fleet } from './jobs.ts';
import type { Random } from './random.ts';

/** One kind of harm; resolves when it is done and undone. False where there was nothing to hurt. */
export interface Fault {
  readonly name: string;
  /** How often, against the others. */
  readonly weight: number;
  /** Of these only one at a time. */
  readonly group?: string;
  inflict(): Promise<boolean>;
}

export interface Field {
  readonly fleet: Fleet;
  /** The primary of this moment. */
  readonly postgres: Postgres;
  /** Kills the primary, promotes the standby, and makes another standby of it. */
  readonly failOver: (() => Promise<void>) | undefined;
  readonly network: NetnsPair | undefined;
  readonly random: Random;
}

/** A replica is stopped for less than its work has to end after a loss: nothing can act while it is stopped. */
const shortStop = 1.0;

export function createFaults(field: Field): readonly Fault[] {
  const { fleet, network, random } = field;
  const victim = () => random.pick([...fleet.running]);
  /** A holder that cannot write itself down must not be stopped or killed alone: docs/locking.md, conditions. */
  const recordedVictim = () => random.pick([...fleet.running].filter(({ unrecorded }) => !unrecorded));
  const send = (pid: number, signal: NodeJS.Signals): boolean => {
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  };
  /** The groups of a replica's children: each leads a session of its own. */
  const groupsOf = (pid: number): number[] =>
    allProcesses()
      .filter((entry) => entry.parent === pid && entry.group === entry.pid)
      .map(({ pid: group }) => group);
  const backend = async (like: string): Promise<number | undefined> => {
    const { postgres } = field;
    if (!postgres.running()) return undefined;
    try {
      const rows = await postgres.sql(
        `SELECT pid FROM pg_stat_activity WHERE application_name LIKE '${like}'`,
      );
      return random.pick(rows.map(({ pid }) => Number(pid)));
    } catch {
      return undefined;
    }
  };
  const terminate = async (like: string): Promise<boolean> => {
    const pid = await backend(like);
    if (pid === undefined) return false;
    try {
      await field.postgres.sql(`SELECT pg_terminate_backend(${pid})`);
      return true;
    } catch {
      return false;
    }
  };
  const pause = async (pid: number, seconds: number): Promise<boolean> => {
    if (liveProcess(pid) === undefined || !send(pid, 'SIGSTOP')) return false;
    await sleep(seconds * 1000);
    send(pid, 'SIGCONT');
    return true;
  };
  const restart = async (how: 'fast' | 'immediate' | 'kill'): Promise<boolean> => {
    const { postgres } = field;
    if (how === 'kill') await postgres.kill();
    else await postgres.stop(how);
    await sleep(random.between(0, 1500));
    await postgres.start();
    return true;
  };

  const all: Fault[] = [
    {
      name: 'kill -9 a replica alone',
      weight: 2,
      inflict: async () => {
        const one = recordedVictim();
        return one !== undefined && send(one.pid, 'SIGKILL');
      },
    },
    {
      name: 'kill -9 a replica and its child',
      weight: 2,
      inflict: async () => {
        const one = victim();
        if (one === undefined) return false;
        const groups = groupsOf(one.pid);
        const hit = send(one.pid, 'SIGKILL');
        for (const group of groups) send(-group, 'SIGKILL');
        return hit;
      },
    },
    {
      name: 'kill -9 a child',
      weight: 3,
      inflict: async () => {
        const groups = [...fleet.running].flatMap(({ pid }) => groupsOf(pid));
        const group = random.pick(groups);
        return group !== undefined && send(-group, 'SIGKILL');
      },
    },
    {
      name: 'SIGTERM to a replica',
      weight: 1.5,
      inflict: async () => {
        const one = victim();
        return one !== undefined && send(one.pid, 'SIGTERM');
      },
    },
    {
      name: 'SIGSTOP a replica',
      weight: 3,
      inflict: async () => {
        const one = recordedVictim();
        return one !== undefined && pause(one.pid, random.between(0.05, shortStop));
      },
    },
    { name: 'terminate the lock’s backend', weight: 2, inflict: () => terminate('initbox:%:lock:%') },
    { name: 'terminate a waiter’s backend', weight: 3, inflict: () => terminate('initbox:%:wait') },
    { name: 'terminate a child’s backend', weight: 3, inflict: () => terminate('initbox:%:job') },
    {
      name: 'SIGSTOP a backend',
      weight: 3,
      inflict: async () => {
        const pid = await backend('initbox:%');
        return pid !== undefined && pause(pid, random.between(0.1, 3));
      },
    },
    { name: 'restart Postgres (fast)', weight: 0.4, group: 'server', inflict: () => restart('fast') },
    {
      name: 'restart Postgres (immediate)',
      weight: 0.4,
      group: 'server',
      inflict: () => restart('immediate'),
    },
    {
      name: 'kill -9 a backend',
      weight: 0.3,
      group: 'server',
      // The server ends all other sessions and recovers.
      inflict: async () => {
        const pid = await backend('initbox:%');
        return pid !== undefined && send(pid, 'SIGKILL');
      },
    },
    { name: 'kill -9 Postgres', weight: 0.4, group: 'server', inflict: () => restart('kill') },
  ];
  const { failOver } = field;
  if (failOver !== undefined)
    all.push({
      name: 'failover to the standby',
      weight: 0.3,
      group: 'server',
      inflict: async () => {
        await failOver();
        return true;
      },
    });
  if (network !== undefined) {
    all.push({
      name: 'partition',
      weight: 1,
      group: 'network',
      inflict: async () => {
        network.partition();
        await sleep(random.between(200, 5000));
        network.heal();
        return true;
      },
    });
  }
  return all;
}

/** One of them, by weight. */
export function chooseFault(faults: readonly Fault[], random: Random): Fault {
  const total = faults.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.between(0, total);
  for (const fault of faults) {
    left -= fault.weight;
    if (left <= 0) return fault;
  }
  return faults[0] as Fault;
}
