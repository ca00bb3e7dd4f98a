import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';

import { sleep, type Clock } from '../core/clock.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Host } from '../core/host.ts';
import { withCoreFiles } from './core-file.ts';
import { startFailure } from './exec-format.ts';
import { closeInheritedOnExec } from './inherited-descriptors.ts';
import { groupLives } from './process-group.ts';
import { processStart } from './process-table.ts';
import { startableCommand } from './replace-process.ts';
import { adoptOrphans, StrayLooks, type Stray } from './strays.ts';

/** How a command ended: its status, or the signal that ended it. */
export interface ChildEnd {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** What it left at work when it ended by itself, and had to be ended. */
  readonly left: readonly Stray[];
}

/** A command in a process group of its own, with all that it starts, whatever group or session that goes to. */
export interface Child {
  readonly pid: number;
  /** Resolves when the command and everything that it started are gone. Never rejects. */
  readonly gone: Promise<ChildEnd>;
  /**
   * Signals all of it, and kills it after so many milliseconds. A later call may only bring the kill forward.
   */
  stop(signal: NodeJS.Signals, grace: number): void;
}

export interface ChildOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Descriptors that it gets as 3, 4, …; this process goes on using them. */
  readonly inherit?: readonly number[];
  /** Milliseconds that what the command leaves behind has, after a TERM of its own. */
  readonly grace: number;
  readonly clock: Clock;
  readonly host: Pick<Host, 'kill'>;
  /**
   * `NAME=VALUE` of its environment, which no other child has: what bears it belongs to the command, whatever became of
   * its parents. With it, what a command leaves at work after a success has the grace to end by itself.
   */
  readonly mark?: string;
  /**
   * This process's own environment: what it adopts while the command runs is the command's, too, also where it has no
   * environment, and unless it has all of this one, and not the mark. Without it nothing is adopted, and the mark alone
   * tells: this process may become another program, which would go on adopting (prctl(2)).
   */
  readonly own?: Readonly<Record<string, string | undefined>>;
  /** Told, again and again, what is still there although it was to be ended by SIGKILL: another user's, or one that hangs. */
  readonly onSurvivors?: (processes: readonly Stray[]) => void;
  /** A channel beside the streams, for another process of this program: what it is told first, and what it says. */
  readonly channel?: { readonly first: object; readonly onMessage: (message: unknown) => void };
}

const children = Symbol.for('initbox.children');

/**
 * The children of this process that run now: what is adopted while there is one alone is that one's. Each command's file
 * of the bundle has this module for itself, and a plan runs several commands in one process: they share the set.
 */
const running = sharedSet();

function sharedSet(): Set<number> {
  const owner = globalThis as { [children]?: Set<number> };
  return (owner[children] ??= new Set());
}

/** An environment with a mark of its own in a variable, by which all that bears it is known. */
export function marked(
  variable: string,
  environment: ChildOptions['environment'],
): Required<Pick<ChildOptions, 'environment' | 'mark'>> {
  // Another container's processes may be seen here, and so may those of another run.
  const run = process.getBuiltinModule('node:crypto').randomUUID();
  return { environment: { ...environment, [variable]: run }, mark: `${variable}=${run}` };
}

/** Pauses, in milliseconds, between looks at a group whose leader is gone; then the last one. */
const looks = [1, 2, 5, 10, 20, 20, 50] as const;

/** Milliseconds after SIGKILL in which a process is gone as a rule, and between two words about one that is not. */
const dying = 1000;
const tellEvery = 10_000;

/**
 * Starts a command with this process's standard streams.
 * @throws Failure with status 126 or 127
 */
export async function startChild(command: readonly string[], options: ChildOptions): Promise<Child> {
  const { clock, host, mark } = options;
  const adopts = mark !== undefined && options.own !== undefined && adoptOrphans();
  const file = startableCommand(command, options.environment['PATH']);
  const child = spawnGroup(file, command, options);
  // At once: a look for another command's processes must not take it for one of them.
  if (child.pid !== undefined) running.add(child.pid);
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve({ status: code ?? undefined, signal: signal ?? undefined, left: [] }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => reject(startFailure(file, error)));
  });
  if (options.channel !== undefined) {
    child.on('message', options.channel.onMessage);
    // It may be gone before it has read: its end tells.
    child.send(options.channel.first, () => {});
  }
  const group = child.pid as number;
  let killAt = Number.POSITIVE_INFINITY;
  let cancelKill = (): void => {};
  let over = false;
  let stopping = false;
  let killing = false;
  let tellAt = Number.POSITIVE_INFINITY;
  const looked = new StrayLooks({
    group,
    began: processStart(group),
    mark,
    environment: options.own ?? {},
    adopts,
    others: () => new Set([...running].filter((pid) => pid !== group)),
  });

  const send = (signal: NodeJS.Signals): void => {
    if (over) return;
    for (const target of [-group, ...looked.look().strays.map(({ pid }) => pid)]) {
      try {
        host.kill(target, signal);
      } catch {
        // EPERM: it has become another user; ESRCH: it ended meanwhile.
      }
    }
  };
  const stop: Child['stop'] = (signal, grace) => {
    if (over) return;
    stopping = true;
    send(signal);
    // A stopped process gets its signal only when it goes on.
    send('SIGCONT');
    const at = clock.now() + grace;
    if (at >= killAt) return;
    killAt = at;
    cancelKill();
    cancelKill = clock.after(grace, () => {
      killing = true;
      tellAt = clock.now() + dying;
      send('SIGKILL');
    });
  };

  const gone = (async (): Promise<ChildEnd> => {
    const end = await ended;
    const patient = mark !== undefined && end.status === 0;
    const until = clock.now() + (patient ? options.grace : 0);
    let left: readonly Stray[] = [];
    let told = false;
    let nobody = 0;
    for (let look = 0; ; look += 1) {
      const { members, strays, fresh } = looked.look();
      const here = members.length > 0 || groupLives(group, host);
      nobody = here || strays.length > 0 || fresh.length > 0 ? 0 : nobody + 1;
      // What is not adopted may have been born during a look, and its parent be gone before that came to it.
      if (nobody > (mark === undefined || adopts ? 0 : 1)) break;
      // After a signal of another kind too: what runs in the background of a shell does not heed SIGINT.
      const seen = [...members, ...strays];
      // What does not tell yet is given a few looks more.
      const sure = here || seen.length > 0 || look >= looks.length;
      if (!told && (stopping || (sure && clock.now() >= until))) {
        told = true;
        if (patient && !stopping) left = seen.length > 0 ? seen : fresh;
        stop('SIGTERM', options.grace);
      }
      // One that was born since the last signal has not got it.
      if (killing) send('SIGKILL');
      if (seen.length > 0 && clock.now() >= tellAt) {
        options.onSurvivors?.(seen);
        tellAt = clock.now() + tellEvery;
      }
      await sleep(clock, looks[Math.min(look, looks.length - 1)] ?? 50, never);
    }
    over = true;
    running.delete(group);
    cancelKill();
    return { ...end, left };
  })();
  return { pid: group, gone, stop };
}

const never = new AbortController().signal;

/** @param file holds a slash: what has none, libuv would search for once more */
function spawnGroup(file: string, [name, ...rest]: readonly string[], options: ChildOptions): ChildProcess {
  closeInheritedOnExec();
  try {
    return withCoreFiles(() =>
      spawn(file, rest, {
        argv0: name,
        env: { ...options.environment },
        // setsid(2): a signal for the group reaches all of it and nobody else.
        detached: true,
        stdio: [
          'inherit',
          'inherit',
          'inherit',
          ...(options.inherit ?? []),
          ...(options.channel ? ['ipc' as const] : []),
        ],
      }),
    );
  } catch (error) {
    // Some errors come so (E2BIG), others as an event.
    throw startFailure(file, error as NodeJS.ErrnoException);
  }
}

/** As shells report it: its own status, or 128 and the signal's number. */
export function statusOf(end: ChildEnd): number {
  if (end.signal !== undefined) return 128 + constants.signals[end.signal];
  return end.status ?? exitStatus.failed;
}

/** How it ended, for people: `exit status 3`, `SIGKILL`. */
export function describeEnd(end: ChildEnd): string {
  return end.signal ?? `exit status ${end.status ?? exitStatus.failed}`;
}
