// What /proc says of processes. A zombie counts as gone: a test's program may have a PID 1 that reaps nobody. One whose
// main thread alone has ended has the state of a thread that works on.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessEntry {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** R, S, D, T (stopped), Z (zombie) …: proc(5). */
  state: string;
  command: string;
}

function readEntry(pid: string): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command stands in parentheses and may hold spaces and parentheses itself.
    const end = stat.lastIndexOf(')');
    const [own = '', parent, group, session] = stat.slice(end + 2).split(' ');
    const state = own === 'Z' ? (threadStates(pid).find((one) => one !== 'Z' && one !== 'X') ?? own) : own;
    return {
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      state,
      command: stat.slice(stat.indexOf('(') + 1, end),
    };
  } catch {
    return undefined;
  }
}

function threadStates(pid: string): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
      return stat.charAt(stat.lastIndexOf(')') + 2);
    } catch {
      return 'X';
    }
  });
}

/** True once a process has a handler of SIGTERM: before that, the signal ends it without a word. */
export function catchesSigterm(pid: number): boolean {
  try {
    const [, mask = ''] =
      /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return (Number.parseInt(mask.slice(-4), 16) & (1 << 14)) !== 0;
  } catch {
    return false;
  }
}

/** Every process, zombies too. */
export function allProcesses(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(readEntry)
    .filter((entry) => entry !== undefined);
}

/** One process; undefined when it is gone or a zombie. */
export function liveProcess(pid: number): ProcessEntry | undefined {
  const entry = readEntry(String(pid));
  return entry === undefined || entry.state === 'Z' || entry.state === 'X' ? undefined : entry;
}

/** Live members of a process group. */
export function liveGroup(group: number): ProcessEntry[] {
  return allProcesses().filter(
    (entry) => entry.group === group && entry.state !== 'Z' && entry.state !== 'X',
  );
}

/** Live children of a process, and theirs. */
export function liveDescendants(pid: number): ProcessEntry[] {
  const all = allProcesses().filter((entry) => entry.state !== 'Z' && entry.state !== 'X');
  const found: ProcessEntry[] = [];
  const parents = new Set([pid]);
  for (let before = -1; before !== found.length;) {
    before = found.length;
    for (const entry of all) {
      if (parents.has(entry.parent) && !parents.has(entry.pid)) {
        parents.add(entry.pid);
        found.push(entry);
      }
    }
  }
  return found;
}

/** Process ids whose working directory that is. */
export function processesIn(directory: string): number[] {
  return allProcesses()
    .filter(({ pid, state }) => {
      try {
        return state !== 'Z' && readlinkSync(`/proc/${pid}/cwd`) === directory;
      } catch {
        return false;
      }
    })
    .map(({ pid }) => pid);
}
