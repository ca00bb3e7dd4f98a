import process from 'node:process';

import { prctlOfLibc } from './libc.ts';
import { environmentOf, listProcesses, readProcess, type ProcessEntry } from './process-table.ts';

/** A process of a command that left its process group. */
export type Stray = Pick<ProcessEntry, 'pid' | 'name'>;

/** A command whose processes are looked for. */
export interface Origin {
  /** Its process group, which is the number of its leader. */
  readonly group: number;
  /** When it began, as processStart gives it: what is older has come from elsewhere. */
  readonly began: number;
  /** `NAME=VALUE`, as it stands in the environment that it got, and in no other command's. */
  readonly mark: string | undefined;
  /** This process's own, which the command got with the mark: what has all of it without the mark never came through it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether this process is the parent of what loses its own (adoptOrphans); never without a mark. */
  readonly adopts: boolean;
  /** Other children of this process that run now. */
  readonly others: () => ReadonlySet<number>;
}

/** What one look found. */
export interface Look {
  /**
   * The living processes of its group. Another look at the group alone, a moment later, would miss one that has left it
   * in between.
   */
  readonly members: readonly Stray[];
  /** The living processes of the command that are not in its group. */
  readonly strays: readonly Stray[];
  /**
   * What does not tell yet: something that ended during the look or just before it, since what it left may have been born
   * too late to be seen; something whose environment is empty, as it is for a moment while a process becomes another
   * program. Nobody is there only where a look finds none, and nothing of this either.
   */
  readonly fresh: readonly Stray[];
}

/** prctl(2): PR_SET_CHILD_SUBREAPER. */
const setChildSubreaper = 36;

let adopting: boolean | undefined;

/**
 * Makes this process the parent of whatever its children's children leave behind, as PID 1 of a container is by itself:
 * who leaves the group and the session by setsid(2) and a second fork stays a descendant of this process.
 * @returns false where the kernel or the C library does not let it
 */
export function adoptOrphans(): boolean {
  adopting ??= process.pid === 1 || prctlOfLibc()?.(setChildSubreaper, 1) === 0;
  return adopting;
}

/**
 * Looks for the processes that came from a command and are not in its group: by descent from the group; by the mark in
 * their environment; or adopted by this process, while it has no other child whose they could be, and unless their
 * environment shows that they are none of the command's. setsid(2), as `timeout`, `setsid` and daemons do it, changes
 * none of these.
 *
 * /proc is no snapshot: a daemon's second fork may be born after the names were listed, and its parent be gone before it
 * was looked at. But whoever lives has an ancestor among the children of this process, which was alive when the look
 * began, and which nobody else can make disappear: it is seen alive, or as one that has ended since the look before.
 */
export class StrayLooks {
  readonly #origin: Origin;
  readonly #ended = new Set<number>();
  /** How often a process was seen with an empty environment. */
  readonly #empty = new Map<string, number>();

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  look(): Look {
    const { group, adopts } = this.#origin;
    const entries = listProcesses() ?? [];
    const own = entries.find(({ pid }) => pid === process.pid)?.session;
    // Helpers of this process are of its session: a command begins one of its own, and cannot come back.
    const adopted = adopts
      ? entries.filter(
          ({ parent, pid, session }) => parent === process.pid && pid !== group && session !== own,
        )
      : [];
    const fresh: Stray[] = adopted.filter(({ lives, pid }) => !lives && !this.#ended.has(pid));
    const living = entries.filter(({ lives }) => lives);
    const children = Map.groupBy(living, ({ parent }) => parent);
    const found = new Map<number, ProcessEntry>();
    const take = (entry: ProcessEntry): void => {
      if (found.has(entry.pid) || entry.pid === process.pid) return;
      found.set(entry.pid, entry);
      for (const child of children.get(entry.pid) ?? []) take(child);
    };
    const candidates = new Set(adopted);
    const parents = new Map(entries.map(({ pid, parent }) => [pid, parent]));
    for (const entry of living) {
      if (entry.group === group) take(entry);
      else {
        const whose = this.#whose(entry, candidates.has(entry), parents);
        if (whose === 'ours') take(entry);
        if (whose === 'unknown') fresh.push(entry);
      }
    }
    for (const { pid, lives } of adopted) if (!lives) this.#ended.add(pid);
    const all = [...found.values()];
    return {
      members: all.filter((entry) => entry.group === group),
      strays: all.filter((entry) => entry.group !== group),
      fresh,
    };
  }

  #whose(
    { pid, began }: ProcessEntry,
    adopted: boolean,
    parents: ReadonlyMap<number, number>,
  ): 'ours' | 'others' | 'unknown' {
    const { mark, environment, others, adopts } = this.#origin;
    if (mark === undefined || began < this.#origin.began) return 'others';
    const variables = environmentOf(pid);
    if (variables?.has(mark) === true) return 'ours';
    if (others().has(pid)) return 'others';
    // A server of databases empties its backends' environments for good, and begins them all the time.
    if (variables?.size === 0 && (!adopts || mayDescend(pid, parents)) && this.#mayBecome(pid, began))
      return 'unknown';
    if (!adopted) return 'others';
    if (readProcess(String(pid))?.lives !== true) return 'unknown';
    if (others().size > 0) return 'others';
    return variables !== undefined && hasAllBut(variables, environment, mark) ? 'others' : 'ours';
  }

  /** Whether an empty environment may be the moment of execve(2): some looks long. Threads of the kernel have none ever. */
  #mayBecome(pid: number, began: number): boolean {
    const known = `${pid} ${began}`;
    const times = (this.#empty.get(known) ?? 0) + 1;
    this.#empty.set(known, times);
    return times <= looksAtEmpty;
  }
}

const looksAtEmpty = 4;

/**
 * Whether a process comes from this one, which adopts what loses its parent: then all of its ancestors up to this process
 * live. Where one was not seen, it may have ended during the look.
 */
function mayDescend(pid: number, parents: ReadonlyMap<number, number>): boolean {
  let at: number | undefined = pid;
  // Numbers are used again, so that a list which is no snapshot may hold a circle.
  for (let steps = 0; steps < parents.size; steps += 1) {
    if (at === process.pid || at === undefined) return true;
    if (at <= 1) return false;
    at = parents.get(at);
  }
  return true;
}

/** What shells set for themselves. */
const ofShells: ReadonlySet<string> = new Set(['PWD', 'OLDPWD', 'SHLVL', '_', 'HOME', 'TERM']);

/**
 * Whether variables are those of a command without the mark that it got: of the container, as kubectl exec and an
 * entrypoint give them. Two of one's own at least tell.
 */
function hasAllBut(
  variables: ReadonlySet<string>,
  environment: Readonly<Record<string, string | undefined>>,
  mark: string,
): boolean {
  const told = Object.entries(environment)
    .filter(([name, value]) => value !== undefined && !ofShells.has(name) && name !== 'PATH')
    .map(([name, value]) => `${name}=${value}`)
    .filter((one) => one !== mark);
  return told.length >= 2 && told.every((one) => variables.has(one));
}
