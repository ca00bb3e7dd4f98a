import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

/** A process of a command that left its process group. */
export interface Stray {
  readonly pid: number;
  /** What it runs, as the kernel calls it (at most 15 characters). */
  readonly name: string;
}

interface Entry extends Stray {
  readonly parent: number;
  readonly group: number;
  /** When it began, in ticks since the machine's start. */
  readonly began: number;
}

/**
 * The living processes that came from a command and are not in its group: by descent from the group, or by a variable
 * in their environment. setsid(2), as `timeout`, `setsid` and daemons do it, changes neither. What cleared its
 * environment and lost its parent is not found, nor another user's without its parent.
 * @param group the command's process group
 * @param mark `NAME=VALUE`, as it stands in the environment that the command got
 * @param began when the command began, as processStart gives it: what is older has the mark from elsewhere
 */
export function straysOf(group: number, mark: string, began: number): readonly Stray[] {
  const entries = listProcesses();
  const children = Map.groupBy(entries, ({ parent }) => parent);
  const found = new Map<number, Entry>();
  const take = (entry: Entry): void => {
    if (found.has(entry.pid) || entry.pid === process.pid) return;
    found.set(entry.pid, entry);
    for (const child of children.get(entry.pid) ?? []) take(child);
  };
  for (const entry of entries)
    if (entry.group === group || (entry.began >= began && hasMark(entry.pid, mark))) take(entry);
  return [...found.values()].filter((entry) => entry.group !== group);
}

/** The living members of a process group. */
export function groupMembers(group: number): readonly Stray[] {
  return listProcesses().filter((entry) => entry.group === group);
}

/** When a process began, in ticks since the machine's start; 0 where nobody knows. */
export function processStart(pid: number): number {
  return readProcess(String(pid))?.began ?? 0;
}

function listProcesses(): readonly Entry[] {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d/.test(name) ? (readProcess(name) ?? []) : []));
  } catch {
    return []; // no /proc
  }
}

/** proc(5): the name in parentheses, then state, parent, group, and the start as the 22nd field. */
function readProcess(pid: string): Entry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const [state = '', parent = '', group = '', ...rest] = stat.slice(end + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    return {
      pid: Number(pid),
      name: stat.slice(stat.indexOf('(') + 1, end),
      parent: Number(parent),
      group: Number(group),
      began: Number(rest[16]),
    };
  } catch {
    return undefined; // it ended meanwhile
  }
}

function hasMark(pid: number, mark: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return environment.startsWith(`${mark}\0`) || environment.includes(`\0${mark}\0`);
  } catch {
    return false; // it ended, or is another user's
  }
}
