import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

import { prctlOfLibc } from './libc.ts';

/** A process of a command that left its process group. */
export interface Stray {
  readonly pid: number;
  /** What it runs, as the kernel calls it (at most 15 characters). */
  readonly name: string;
}

interface Entry extends Stray {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** When it began, in ticks since the machine's start. */
  readonly began: number;
}

/** A command whose processes are looked for. */
export interface Origin {
  /** Its process group, which is the number of its leader. */
  readonly group: number;
  /** When it began, as processStart gives it: what is older has come from elsewhere. */
  readonly began: number;
  /** `NAME=VALUE`, as it stands in the environment that it got, and in no other command's. */
  readonly mark: string | undefined;
  /** Whether this process is the parent of what loses its own (adoptOrphans). */
  readonly adopts: boolean;
  /** Other children of this process that run now. */
  readonly others: ReadonlySet<number>;
}

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
 * The living processes that came from a command and are not in its group: by descent from the group; by the mark in
 * their environment; or adopted by this process, while it has no other child whose they could be. setsid(2), as
 * `timeout`, `setsid` and daemons do it, changes none of these.
 */
export function straysOf(origin: Origin): readonly Stray[] {
  const { group, began, mark, others } = origin;
  const entries = listProcesses();
  const children = Map.groupBy(entries, ({ parent }) => parent);
  const own = entries.find(({ pid }) => pid === process.pid)?.session;
  const found = new Map<number, Entry>();
  const take = (entry: Entry): void => {
    if (found.has(entry.pid) || entry.pid === process.pid) return;
    found.set(entry.pid, entry);
    for (const child of children.get(entry.pid) ?? []) take(child);
  };
  // Helpers of this process are of its session: a command begins one of its own, and cannot come back.
  const isAdopted = ({ parent, pid, session }: Entry): boolean =>
    origin.adopts && others.size === 0 && parent === process.pid && pid !== group && session !== own;
  for (const entry of entries)
    if (
      entry.group === group ||
      (entry.began >= began && (isAdopted(entry) || (mark !== undefined && hasMark(entry.pid, mark))))
    )
      take(entry);
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

/** proc(5): the name in parentheses, then state, parent, group, session, and the start as the 22nd field. */
function readProcess(pid: string): Entry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const [state = '', parent = '', group = '', session = '', ...rest] = stat.slice(end + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    return {
      pid: Number(pid),
      name: stat.slice(stat.indexOf('(') + 1, end),
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      began: Number(rest[15]),
    };
  } catch {
    return undefined; // it ended meanwhile
  }
}

function hasMark(pid: number, mark: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(`\0${mark}\0`);
  } catch {
    return false; // it ended, or is another user's
  }
}
