import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

import { prctlOfLibc } from './libc.ts';

/** prctl(2): PR_SET_CHILD_SUBREAPER. */
const setChildSubreaper = 36;

let adopts: boolean | undefined;

/**
 * Makes this process the parent of whatever its children's children leave behind, as PID 1 of a container is by itself:
 * who leaves the group and the session by setsid(2) and a second fork stays a descendant of this process.
 * @returns false where the kernel or the C library does not let it
 */
export function adoptOrphans(): boolean {
  adopts ??= process.pid === 1 || prctlOfLibc()?.(setChildSubreaper, 1) === 0;
  return adopts;
}

/**
 * Live processes below one. Those of this process's own session are its helpers: a child that began a session of its own
 * cannot come back to it, nor can what it starts.
 * @param except these, and what is below them, are left out
 */
export function descendantsOf(pid: number, except: ReadonlySet<number> = new Set()): number[] {
  const own = statOf(process.pid)?.session;
  const found: number[] = [];
  const open = [pid];
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    for (const child of childrenOf(parent)) {
      const stat = statOf(child);
      if (stat === undefined || stat.session === own || except.has(child)) continue;
      if (stat.lives) found.push(child);
      open.push(child);
    }
  }
  return found;
}

/** Whether a process was started with that in its environment, as `NAME=VALUE`; false where that may not be read. */
export function isStartedWith(pid: number, entry: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(`\0${entry}\0`);
  } catch {
    return false;
  }
}

/** proc(5): /proc/PID/task/TID/children, which kernels without CONFIG_PROC_CHILDREN lack. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // it ended meanwhile
  }
}

/** proc(5): after the command's last parenthesis come state, parent, process group and session. A zombie is dead. */
function statOf(pid: number): { readonly session: number; readonly lives: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state = '', , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { session: Number(session), lives: state !== 'Z' && state !== 'X' };
  } catch {
    return undefined;
  }
}
