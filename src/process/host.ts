import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

import type { Host } from '../core/host.ts';
import { closeInheritedOnExec } from './inherited-descriptors.ts';
import { exitOfLibc } from './libc.ts';
import { areThreadsBusy } from './thread-pool.ts';

let collect: Collect | undefined;

/**
 * What a process of our own Node is started with: until it has a listener for SIGUSR1, that signal would open Node's
 * inspector on 127.0.0.1, which all containers of a pod share.
 */
export const nodeFlags: readonly string[] = ['--disable-sigusr1'];

const ownScript = realPath(process.argv[1] ?? '');

export const systemHost: Host = {
  pid: process.pid,
  // Asked for each time: a step of a plan becomes another user.
  get uid() {
    return process.getuid?.() ?? -1;
  },
  get gid() {
    return process.getgid?.() ?? -1;
  },
  executable: process.execPath,
  script: ownScript,
  architecture: process.arch,
  memoryLimit() {
    const limit = process.constrainedMemory();
    // Without a limit it is 0, or what the largest number of pages makes.
    return limit > 0 && limit < 2 ** 50 ? limit : undefined;
  },
  kill(pid, signal) {
    try {
      return process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  },
  chdir: (path) => process.chdir(path),
  interfaceAddresses() {
    const { networkInterfaces } = process.getBuiltinModule('node:os');
    return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
      addresses.map(({ address, family, internal }) => ({
        name,
        address,
        family: family === 'IPv6' ? 6 : 4,
        internal,
      })),
    );
  },
  startHelper(command) {
    const file = ownScript.endsWith('.ts') ? `${command}/helper.ts` : `${command}-helper.js`;
    const helper = join(dirname(ownScript), 'commands', file);
    closeInheritedOnExec();
    const child = process.getBuiltinModule('node:child_process').fork(helper, [], {
      // Little memory, no pools: it makes system calls and nothing else.
      execArgv: [...process.execArgv, ...nodeFlags, '--max-semi-space-size=1', '--v8-pool-size=0'],
      // What stands in the environment is not for it; a loader set there is not either.
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let ended = false;
    let onEnd = (): void => {};
    const end = (): void => {
      if (ended) return;
      ended = true;
      onEnd();
    };
    child.on('error', end);
    child.on('exit', end);
    return {
      pid: child.pid ?? -1,
      send: (message) => {
        if (child.connected) child.send(message as object, () => {});
      },
      onMessage: (listener) => void child.on('message', listener),
      onEnd: (listener) => {
        onEnd = listener;
        if (ended) listener();
      },
      kill: () => void child.kill('SIGKILL'),
    };
  },
  saveMemory() {
    process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
  },
  collectGarbage() {
    garbageCollector()({ type: 'minor' });
  },
};

type Collect = (how: { readonly type: 'minor' | 'major' }) => void;

function garbageCollector(): Collect {
  if (collect === undefined) {
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
    collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as Collect;
  }
  return collect;
}

/** Microseconds of processor time after which V8's threads may be at work beside the program; a start takes half. */
const worked = 150_000;

/** Microseconds after which one of them may well be compiling. */
const hot = 1_000_000;

/**
 * Ends the process where process.exit might hang; call it right before that. process.exit waits for V8's threads, and these
 * may wait for the main thread: one that compiles, until garbage is collected (V8's
 * CollectionBarrier::AwaitCollectionBackground under node::WorkerThreadsTaskRunner::Shutdown; unpacking 300 MB three at a
 * time: 4 of 36 runs), or for a wake-up that they missed (nodejs/node#54918). The work was done then, and the process hung,
 * deaf to signals. It waits for calls on files that threads make, too (thread-pool.ts). So the C library ends it, unless it
 * did no more than start: to prepare that call takes a millisecond. Where prepareToEnd() did that before, it is the quicker
 * end: Node's own waits for each of its threads, one after the other. Where Node cannot call it, a collection lets a thread
 * that compiles go on.
 */
export function endAtOnce(status: number): void {
  const { user, system } = process.cpuUsage();
  const used = user + system;
  // What waits for the end, such as a preload, gets it in the usual way.
  if (
    process.listenerCount('exit') === 0 &&
    (prepared || collect !== undefined || areThreadsBusy() || used > worked)
  )
    exitOfLibc()?.(status);
  // To ask for a collection changes V8's flags: code that is compiled for later is not taken any more then.
  if (collect !== undefined || used > hot) garbageCollector()({ type: 'major' });
}

let prepared = false;

/** For who has time now and none later: a hundred replicas that wait for one migration end all at once. */
export function prepareToEnd(): void {
  prepared = true;
  exitOfLibc();
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/**
 * Becomes another user for good. Unlike spawn's `uid`, which empties them, the supplementary groups stay that the pod gave: a
 * volume's fsGroup is among them. Those of the user that it was go: group 0, which container runtimes put among them, and what
 * /etc/group says of that user.
 * @throws the system's error (EPERM where it is not root)
 */
export function becomeUser({ uid, gid }: { readonly uid: number; readonly gid: number | undefined }): void {
  // The groups first: afterwards it is not allowed any more.
  if (gid !== undefined) {
    const own = new Set([0, ...groupsByFile(process.getuid?.() ?? 0)]);
    process.setgroups?.((process.getgroups?.() ?? []).filter((group) => group === gid || !own.has(group)));
    process.setgid?.(gid);
  }
  process.setuid?.(uid);
}

/** The groups that /etc/group gives to a user; none where the image has no such file. */
function groupsByFile(uid: number): number[] {
  const linesOf = (path: string): string[][] => {
    try {
      return readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
    } catch {
      return [];
    }
  };
  const names = new Set(linesOf('/etc/passwd').flatMap(([name, , id]) => (id === String(uid) ? [name] : [])));
  return linesOf('/etc/group').flatMap(([, , id, members]) =>
    members?.split(',').some((member) => names.has(member)) ? [Number(id)] : [],
  );
}
