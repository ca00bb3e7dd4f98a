import { availableParallelism } from 'node:os';

import { reasonOf } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import type { Helper, Host, Parent } from '../../core/host.ts';
import { systemErrorCode } from '../error-message.ts';
import { isSlowThere } from '../pace.ts';
import type { Share, Walk } from './walk.ts';
import type { WideWalk } from './wide-walk.ts';

/** What a helper is told. */
export type Order<S> =
  | { readonly kind: 'start'; readonly settings: S }
  | { readonly kind: 'work'; readonly share: Share }
  | { readonly kind: 'want' }
  | { readonly kind: 'finish' };

/** What a helper says. `tally` is what it did since it last said. */
export type WorkerResponse<T> =
  | { readonly kind: 'ready' }
  | { readonly kind: 'tally'; readonly tally: T; readonly shares: number; readonly idle: boolean }
  | { readonly kind: 'gives'; readonly share: Share }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined };

export interface CrewPlan<S, T> {
  readonly walk: Walk;
  /** Whose helper it is. */
  readonly command: string;
  /** What each helper needs to do the same to its entries. */
  readonly settings: S;
  /** Takes in what a helper did. */
  readonly add: (tally: T) => void;
  /** What this process did since it was last asked. */
  readonly own: () => T;
  /** The directories that it works in, open. */
  readonly places: readonly number[];
  /** Processes beside this one; 0 where all is to happen in this one. */
  readonly helpers: number;
}

/** The first stretch alone, in milliseconds: small trees are done by then, and a helper costs some 40 to start. */
const alone = 4;

/** Between two looks at signals and messages, in milliseconds. */
const slice = 5;

/** Shares that a helper has in hand, so that it need not wait for the next. */
const inHand = 2;

/** How long helpers may take to say what they did, once the walk is to stop, in milliseconds. */
const lastSay = 50;

/** How long calls that are under way may take to end, once the walk is to stop, in milliseconds. */
const lastCalls = 100;

/** Milliseconds between two tallies of a busy helper, or of a wide walk. */
const tallyEvery = 250;

/** Processes at most, this one included: more of them wait for one another in the kernel. */
const mostProcesses = 4;

/** Bytes for each of them, with some of the page cache: with less, the kernel does nothing but make room. */
const forEach = 40 << 20;

/** How many helpers a walk may have: as many as there are processors for, and room in the container. */
export function helpersFor(host: Pick<Host, 'memoryLimit'>, processors = availableParallelism()): number {
  const limit = host.memoryLimit();
  const fitting = limit === undefined ? mostProcesses : Math.floor(limit / forEach);
  return Math.max(0, Math.min(processors, mostProcesses, fitting) - 1);
}

/** A helper ended before its work did: nobody knows how much of that was done. `code` is the system's, where it said. */
export class HelperLost extends Error {
  override readonly name = 'HelperLost';
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

interface Member {
  readonly helper: Helper;
  /** Shares sent, and shares it says it has had. */
  sent: number;
  received: number;
  idle: boolean;
  asked: boolean;
  gone: boolean;
}

/**
 * Runs a walk to its end, with helpers where it is long. One process alone makes a system call after the other; a
 * current directory belongs to a process, so that threads cannot share the work.
 * @throws the signal's reason when it is aborted, after the helpers were stopped; HelperLost
 */
export async function runWalk<S, T>(
  plan: CrewPlan<S, T>,
  context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
): Promise<void> {
  const { walk } = plan;
  const { clock, signal } = context;
  const members: Member[] = [];
  let lost: HelperLost | undefined;
  let wake = (): void => {};
  let wide: WideWalk | undefined;

  const hear = (member: Member, answer: WorkerResponse<T>): void => {
    if (answer.kind === 'tally') {
      plan.add(answer.tally);
      member.received = answer.shares;
      member.idle = answer.idle;
      if (answer.idle) member.asked = false;
    } else if (answer.kind === 'gives') {
      member.asked = false;
      (wide ?? walk).take(answer.share);
    } else if (answer.kind === 'failed') lost = new HelperLost(answer.message, answer.code);
    else member.idle = true;
    wake();
  };

  const started = (member: Member): boolean => !member.gone && (member.idle || member.received > 0);
  const busy = (member: Member): boolean =>
    !member.gone && member.sent > 0 && !(member.idle && member.received === member.sent);

  const enlist = (): void => {
    try {
      const helper = context.host.startHelper(plan.command);
      const member: Member = {
        helper,
        sent: 0,
        received: 0,
        idle: false,
        asked: false,
        gone: false,
      };
      helper.onMessage((message) => hear(member, message as WorkerResponse<T>));
      helper.onEnd(() => {
        // One that had nothing to do took nothing with it.
        if (busy(member)) lost ??= new HelperLost('a helper process was ended from outside');
        member.gone = true;
        wake();
      });
      helper.send({ kind: 'start', settings: plan.settings } satisfies Order<S>);
      members.push(member);
    } catch (error) {
      context.log.debug(`the walk goes on without a helper: ${(error as Error).message}`);
    }
  };

  const share = (): void => {
    for (const member of members) {
      while (started(member) && member.sent - member.received < inHand) {
        const part = walk.give();
        if (part === undefined) break;
        member.sent++;
        member.idle = false;
        member.helper.send({ kind: 'work', share: part } satisfies Order<S>);
      }
    }
  };

  const want = (): void => {
    for (const member of members) {
      if (!busy(member) || member.asked) continue;
      member.asked = true;
      member.helper.send({ kind: 'want' } satisfies Order<S>);
    }
  };

  /** Until something is said, the signal is aborted, or what is given has settled. @throws as that */
  const news = async (other?: Promise<void>): Promise<void> => {
    if (signal.aborted) return;
    let stop = (): void => {};
    await new Promise<void>((resolve, reject) => {
      wake = stop = resolve;
      signal.addEventListener('abort', stop, { once: true });
      other?.then(resolve, reject);
    });
    wake = () => {};
    signal.removeEventListener('abort', stop);
  };

  /** The rest of the walk, where calls take long; helpers give back what they have in hand. */
  const runWide = async (): Promise<void> => {
    context.host.saveMemory();
    wide = walk.widen();
    let done = false;
    const ended = (): void => {
      done = true;
      wake();
    };
    let failed: { readonly error: unknown } | undefined;
    const begin = (): void => {
      done = false;
      (wide as WideWalk).run().then(ended, (error) => {
        failed = { error };
        ended();
      });
    };
    let due = false;
    const tick = (): (() => void) =>
      clock.after(tallyEvery, () => {
        due = true;
        wake();
      });
    let cancel = tick();
    begin();
    try {
      for (;;) {
        if (!done) await news();
        plan.add(plan.own());
        if (failed !== undefined) throw failed.error;
        if (signal.aborted) throw reasonOf(signal);
        if (lost !== undefined) throw lost;
        if (due) {
          due = false;
          cancel = tick();
        }
        if (done && !wide.isIdle) begin();
        else if (done && !members.some(busy)) return;
        want();
        if (done) await news();
      }
    } finally {
      cancel();
      wide.stop();
      if (!done)
        await new Promise<void>((resolve) => {
          const stop = clock.after(lastCalls, resolve);
          wake = () => {
            if (!done) return;
            stop();
            resolve();
          };
        });
      plan.add(plan.own());
      wide.close();
    }
  };

  try {
    if (!walk.idle && (await isSlowThere(plan.places, signal))) return await runWide();
    for (let enlisted = false; ;) {
      if (signal.aborted) throw reasonOf(signal);
      if (lost !== undefined) throw lost;
      share();
      const until = clock.now() + (enlisted ? slice : alone);
      walk.run(() => clock.now() >= until, clock.now);
      plan.add(plan.own());
      if (walk.isSlow && !walk.idle && walk.listing === undefined) return await runWide();
      if (!enlisted && !walk.idle && walk.isPaceKnown) {
        enlisted = true;
        context.host.saveMemory();
        for (let i = 0; i < plan.helpers; i++) enlist();
      }
      if (walk.listing !== undefined) await news(walk.listing);
      else if (walk.idle) {
        if (!members.some(busy) && lost === undefined) return;
        want();
        if (lost === undefined) await news();
      } else await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await dismiss(members.filter(busy), signal.aborted, clock, (resolve) => (wake = resolve));
    for (const member of members) member.helper.kill();
  }
}

/**
 * Runs a walk to its end within this process.
 * @param places the directories that it works in, open
 * @throws as runWalk
 */
export async function walkAlone(
  walk: Walk,
  places: readonly number[],
  context: Pick<Context, 'signal' | 'clock' | 'host' | 'log'>,
): Promise<void> {
  const nothing = { command: '', settings: undefined, add: () => {}, own: () => undefined };
  await runWalk({ ...nothing, walk, places, helpers: 0 }, context);
}

/** Lets helpers that are at work say what they have done so far. */
async function dismiss(
  members: readonly Member[],
  stopped: boolean,
  clock: Context['clock'],
  onWake: (resolve: () => void) => void,
): Promise<void> {
  if (!stopped || members.length === 0) return;
  for (const member of members) {
    member.idle = false;
    member.helper.send({ kind: 'finish' } satisfies Order<unknown>);
  }
  await new Promise<void>((resolve) => {
    const cancel = clock.after(lastSay, resolve);
    onWake(() => {
      if (!members.every(({ idle, gone }) => idle || gone)) return;
      cancel();
      resolve();
    });
  });
}

/** What a helper does for one walk. */
export interface HelperWork<T> {
  readonly walk: Walk;
  /** What was done since the last call. */
  readonly tally: () => T;
}

/** Serves the process that started this one, until that ends or kills it. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it ties the order to what begins the work
export function serveWalk<S, T>(
  parent: Parent,
  begin: (settings: S) => Promise<HelperWork<T>>,
  now: () => number,
): void {
  let work: HelperWork<T> | undefined;
  let taken = 0;
  let running = false;
  let wanted = false;
  let finished = false;
  let orphaned = false;
  let toldAt = 0;
  let toldShares = 0;

  const tell = ({ walk, tally }: HelperWork<T>, idle: boolean): void => {
    toldAt = now();
    toldShares = taken - walk.waiting;
    parent.send({ kind: 'tally', tally: tally(), shares: toldShares, idle } satisfies WorkerResponse<T>);
  };

  const run = (): void => {
    running = false;
    if (work === undefined || orphaned) return;
    const { walk } = work;
    if (finished) return tell(work, true);
    const until = now() + slice;
    try {
      walk.run(() => now() >= until);
    } catch (error) {
      const { message } = error as Error;
      const code = systemErrorCode(error);
      return parent.send({ kind: 'failed', message, code } satisfies WorkerResponse<T>);
    }
    const share = wanted ? walk.give() : undefined;
    if (share !== undefined) {
      wanted = false;
      parent.send({ kind: 'gives', share } satisfies WorkerResponse<T>);
    }
    if (walk.idle) return tell(work, true);
    if (taken - walk.waiting !== toldShares || now() - toldAt > tallyEvery) tell(work, false);
    go();
  };

  const go = (): void => {
    if (running) return;
    running = true;
    setImmediate(run);
  };

  parent.onEnd(() => (orphaned = true));
  parent.onMessage((order: Order<S>) => {
    if (order.kind === 'start') {
      void begin(order.settings).then((begun) => {
        work = begun;
        parent.send({ kind: 'ready' } satisfies WorkerResponse<T>);
      });
    } else if (order.kind === 'work') {
      taken++;
      // What was wanted before there was this work is no longer wanted.
      wanted = false;
      work?.walk.take(order.share);
      go();
    } else if (order.kind === 'want') wanted = true;
    else {
      finished = true;
      go();
    }
  });
}
