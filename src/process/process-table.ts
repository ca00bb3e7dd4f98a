import { readdirSync, readFileSync } from 'node:fs';

/** What /proc says of one process. */
export interface ProcessEntry {
  readonly pid: number;
  /** What it runs, as the kernel calls it (at most 15 characters). */
  readonly name: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** When it began, in ticks since the machine's start. */
  readonly began: number;
  /** False for what has ended with all of its threads, whether its parent took note of that or not. */
  readonly lives: boolean;
}

/** Every process that is there now, the dead ones too; undefined where there is no /proc. */
export function listProcesses(): readonly ProcessEntry[] | undefined {
  let names: readonly string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  return names.flatMap((name) => (/^\d/.test(name) ? (readProcess(name) ?? []) : []));
}

/** Undefined where it is gone. */
export function readProcess(pid: string): ProcessEntry | undefined {
  const stat = readStat(`/proc/${pid}`);
  if (stat === undefined || stat.state === 'X') return undefined;
  const [parent, group, session] = stat.rest;
  return {
    pid: Number(pid),
    name: stat.name,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    began: Number(stat.rest[18]),
    lives: stat.state !== 'Z' || hasLivingThread(pid, threadsOf(stat)),
  };
}

/** When a process began, in ticks since the machine's start; 0 where nobody knows. */
export function processStart(pid: number): number {
  return readProcess(String(pid))?.began ?? 0;
}

/**
 * The variables that a process began with. Once its main thread has ended, /proc/PID/environ is empty, and each of the
 * other threads still has it.
 * @returns undefined where nobody may read it, or it has ended
 */
export function environmentOf(pid: number): ReadonlySet<string> | undefined {
  const own = variablesIn(`/proc/${pid}/environ`);
  if (own === undefined || own.size > 0) return own;
  for (const thread of threadNames(String(pid))) {
    if (thread === String(pid)) continue;
    const found = variablesIn(`/proc/${pid}/task/${thread}/environ`);
    if (found !== undefined && found.size > 0) return found;
  }
  return own;
}

function variablesIn(path: string): ReadonlySet<string> | undefined {
  try {
    return new Set(
      readFileSync(path, 'utf8')
        .split('\0')
        .filter((one) => one !== ''),
    );
  } catch {
    return undefined;
  }
}

/**
 * Whether a process whose main thread has ended works on in another thread. pthread_exit(3) in the main thread leaves it
 * a zombie until the last of the others has ended, and its parent is told of nothing before.
 * @param count its threads as its stat gives them, the ended main thread among them
 */
function hasLivingThread(pid: string, count: number): boolean {
  // The kernel counts: a thread that is born while another ends cannot be missed, as it could be in a list.
  if (count <= 1) return false;
  let ended = 0;
  for (const thread of threadNames(pid)) {
    const state = readStat(`/proc/${pid}/task/${thread}`)?.state;
    if (state === 'Z') ended += 1;
    else if (state !== undefined && state !== 'X') return true;
  }
  // A tracer may keep ended threads: then all that are counted were seen, and none of them lives.
  const after = readStat(`/proc/${pid}`);
  return after !== undefined && threadsOf(after) > Math.max(1, ended);
}

function threadNames(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

interface Stat {
  readonly name: string;
  readonly state: string;
  /** From the 4th field on. */
  readonly rest: readonly string[];
}

function threadsOf({ rest }: Stat): number {
  return Number(rest[16]);
}

/** proc(5): the name in parentheses, which may hold some itself, the state, parent, group, session … threads (20), start (22). */
function readStat(folder: string): Stat | undefined {
  try {
    const text = readFileSync(`${folder}/stat`, 'latin1');
    const end = text.lastIndexOf(')');
    const [state = '', ...rest] = text.slice(end + 2).split(' ');
    return { name: text.slice(text.indexOf('(') + 1, end), state, rest };
  } catch {
    return undefined; // it ended meanwhile
  }
}
