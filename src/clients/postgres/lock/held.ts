import { sleep, unlessAborted, within, type Clock } from '../../../core/clock.ts';
import { formatDuration } from '../../../core/duration.ts';
import type { Log } from '../../../core/log.ts';
import { leastSettleTime, settleTime, type Held, type LockTiming, type Loss } from '../../lock.ts';
import { lookAfter } from '../aftermath.ts';
import type { LockKey } from '../lock-key.ts';
import { errorWords, sqlStateOf } from '../server-errors.ts';
import type { Session } from '../session.ts';
import { checkLock, ownership, owns, unlock } from './advisory.ts';
import type { Unrecorded } from './evidence.ts';
import { asking, awaitUntagged, endTagged, isAtWork } from './fence.ts';
import { difference, type ServerFacts, type ServerIdentity } from './identity.ts';
import { patience, type Prepared } from './prepare.ts';
import { markReleased, readHolderRow, writeHolderRow, type HolderRow } from './records.ts';
import { makeRoom } from './slots.ts';
import { tagOf, waiterTag, type Tag } from './tag.ts';

/** A lock that a Postgres session holds. */
export interface PostgresHeld extends Held {
  readonly facts: ServerFacts;
  /** The lock's own session for others to ask: statement by statement, between the checks of the lock. */
  readonly session: Session;
  /** Uses the lock's own session, when nothing else does. */
  exclusively<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** SQL that is true in the lock's own session while it holds the lock. */
  readonly ownership: string;
  /** True where this role may keep records in the database. */
  readonly keepsRecords: boolean;
  /** This pod's name, for people. */
  readonly host: string;
  /** What became of a statement whose answer never came, as aftermath.ts tells it; of this session's own unless `pid` says whose. */
  lookAfter<T extends string>(
    look: (session: Session) => Promise<T | undefined>,
    pid?: number,
  ): Promise<T | 'nothing' | undefined>;
  /** Milliseconds that takeOver waits for the work of a holder that may not have released the lock. */
  readonly settle: number;
  /** @param word what those who wait are told with the release: of a seal in the record that says done (seal.ts) */
  release(clean: boolean, signal?: AbortSignal, word?: string): ReturnType<Held['release']>;
}

export interface HeldSettings {
  readonly key: LockKey;
  readonly timing: LockTiming;
  readonly host: string;
  readonly prepared: Prepared;
  readonly token: bigint;
  /** What the last holder wrote; undefined where there was none. */
  readonly last: HolderRow | undefined;
  /** A later holder than the row's, of whom nothing is written down. */
  readonly unrecorded: Unrecorded | undefined;
  readonly keepsRecords: boolean;
  /** Asks whoever answers to the URL now; undefined where nobody does. */
  readonly identify: (signal: AbortSignal) => Promise<ServerIdentity | undefined>;
  /** A second connection, for ending what is left when this one is gone. */
  readonly another: (signal: AbortSignal) => Promise<Session | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long the clean-up after a loss may take, in milliseconds. */
const abandonTime = 2000;

/** Milliseconds that the server has to notice the end of the command's connections. */
const lingerTime = 1000;

/** Milliseconds between two tries to connect again after a loss. */
const reconnect = 250;

/** Milliseconds until a second connection that was ended is opened anew. */
const replace = 25;

/** Milliseconds that the second connection of a holder without a record is waited for before the work starts. */
const seenTime = 10_000;

/** Watches over a lock from its grant to its end. */
export function holdLock(settings: HeldSettings): PostgresHeld {
  const { key, timing, prepared, token, clock, log } = settings;
  const { session, facts } = prepared;
  const stopped = new AbortController();
  let tellLoss!: (loss: Loss) => void;
  let loss: Loss | undefined;
  const lost = new Promise<Loss>((resolve) => {
    tellLoss = resolve;
  });
  const lose = (reason: string, certain: boolean): void => {
    if (loss !== undefined || stopped.signal.aborted) return;
    loss = { reason, certain };
    stopped.abort();
    tellLoss(loss);
    // For those who take the lock now and find no record of this holder: it is to be seen until its work is over.
    void beSeen();
  };
  let witness: Session | undefined;
  const over = new AbortController();
  let tellSeen!: () => void;
  const seen = new Promise<void>((resolve) => {
    tellSeen = resolve;
  });
  let watched = false;
  /** Keeps a second connection until the work is over. */
  const beSeen = async (): Promise<void> => {
    if (watched) return;
    watched = true;
    while (!over.signal.aborted) {
      const other = await settings.another(over.signal).catch(() => undefined);
      if (other !== undefined && over.signal.aborted) other.destroy();
      else if (other !== undefined) {
        witness = other;
        tellSeen();
        await other.ended;
      }
      // Whoever ends it again and again must not keep this process busy.
      await sleep(clock, other === undefined ? reconnect : replace, over.signal).catch(() => {});
    }
  };

  let tail: Promise<unknown> = Promise.resolve();
  const exclusively = <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const turn = tail.then(() => work(session));
    tail = turn.catch(() => {});
    return turn;
  };

  const verify = async (): Promise<boolean> => {
    if (loss !== undefined || !session.alive) return false;
    try {
      return await exclusively(() => owns(session, key, prepared.mark, timing.heartbeat));
    } catch {
      return false;
    }
  };

  /** Each check has its own pace: a slow answer to one must not delay the other. */
  const repeat = async (check: () => Promise<void>): Promise<void> => {
    try {
      for (;;) {
        await sleep(clock, timing.heartbeat, stopped.signal);
        await check();
      }
    } catch {
      // Stopped: released or lost.
    }
  };
  let warned = false;
  const beat = async (): Promise<void> => {
    try {
      const { owned, blocked } = await exclusively(() =>
        checkLock(session, key, prepared.mark, timing.heartbeat),
      );
      if (!owned) lose('the server says that this session does not hold the lock any more', true);
      if (blocked === undefined || warned) return;
      warned = true;
      log.warn(
        `the backend ${blocked} waits for this same lock, ${key.id}: a command that takes the same number for itself waits for its own parent forever; give it another --lock-id, or a --lock-name`,
      );
    } catch (error) {
      lose(`the check of the lock failed: ${errorWords(error)}`, false);
    }
  };
  const compare = async (): Promise<void> => {
    const limit = new AbortController();
    const cancel = clock.after(timing.heartbeat, () => limit.abort(new Error('no answer')));
    try {
      const now = await settings.identify(AbortSignal.any([limit.signal, stopped.signal]));
      const changed = now && difference(facts.identity, now);
      if (changed) lose(changed, true);
    } finally {
      cancel();
    }
  };
  void session.ended.then((error) =>
    lose(`the connection that held the lock ended: ${errorWords(error)}`, true),
  );
  void repeat(beat);
  void repeat(compare);

  const fenceContext = (signal: AbortSignal) => ({ clock, log, signal });
  /** Statement by statement, so that the checks of the lock come between. */
  const ask = (text: string, values?: readonly unknown[]) =>
    exclusively(() => session.query(text, values, { timeout: patience }));
  const ownClient = { role: facts.role, address: facts.address };
  /** Where a holder connected from, as far as it is known. */
  const addressOf = (tag: Tag): string | null | undefined => {
    if (tag.token === token) return facts.address;
    if (tag.token === settings.unrecorded?.token) return settings.unrecorded.client?.address;
    return tag.token === settings.last?.token ? settings.last.address : undefined;
  };

  /** Undefined where the command has made it unreadable. */
  const ownRow = () =>
    exclusively(() => readHolderRow(session, key)).catch((error: unknown) => {
      if (sqlStateOf(error) === undefined || !session.alive) throw error;
      return undefined;
    });

  /** Ends what failed work may have left in the database; false where that took longer than the grace. */
  const endWork = async (): Promise<boolean> => {
    const limit = new AbortController();
    const cancel = clock.after(timing.grace, () => limit.abort(new Error('it took too long')));
    const context = fenceContext(AbortSignal.any([limit.signal, stopped.signal]));
    try {
      await endTagged(
        ask,
        key,
        (tag) => tag.token <= token && tag.role === 'job',
        addressOf,
        'the command',
        context,
      );
      const row = settings.keepsRecords ? await ownRow() : undefined;
      if (row?.token === token) await awaitUntagged(ask, { ...ownClient, since: row.started }, context);
      return true;
    } catch (error) {
      if (!limit.signal.aborted) throw error;
      log.warn('statements of the command still run in the database; the next holder will wait for them');
      return false;
    } finally {
      cancel();
    }
  };

  const abandon = async (): Promise<void> => {
    stopped.abort();
    session.destroy();
    const limit = new AbortController();
    const cancel = clock.after(abandonTime, () => limit.abort(new Error('no answer')));
    over.abort(new Error('the work is over'));
    let other = witness?.alive === true ? witness : undefined;
    try {
      other ??= await settings.another(limit.signal);
      if (other === undefined) return;
      const askOther = asking(other, limit.signal);
      await endTagged(
        askOther,
        key,
        (tag) => tag.token === token,
        addressOf,
        'the command',
        fenceContext(limit.signal),
      );
    } catch (error) {
      log.debug(`could not check the command’s connections: ${errorWords(error)}`);
    } finally {
      cancel();
      other?.destroy();
    }
  };

  const { last, unrecorded } = settings;
  const inherited = last !== undefined && !last.released;
  const unknown = unrecorded !== undefined || !settings.keepsRecords;
  // What no holder can have written is somebody else's, and tells of no time.
  const claimed = last !== undefined && last.settle >= leastSettleTime ? last.settle : settleTime(timing);
  const wait = Math.max(
    inherited ? claimed : 0,
    // Of whom nothing is known for sure, the largest of the times that may be meant.
    unknown ? Math.max(settleTime(timing), claimed, unrecorded?.settle ?? 0) : 0,
  );

  /** What takeOver does, statement by statement. */
  const inherit = async (both: AbortSignal): Promise<void> => {
    const context = fenceContext(both);
    // Where the row is gone or of another cluster, its token can be larger than this one.
    const isEarlier = (tag: Tag) => tag.token < token || tag.token === unrecorded?.token;
    const endEarlier = () => endTagged(ask, key, isEarlier, addressOf, 'an earlier holder', context);
    if (unrecorded !== undefined) {
      log.info(
        `a holder (token ${unrecorded.token}) left no record; waiting ${formatDuration(wait)} for its work to end`,
      );
      await endEarlier();
      await sleep(clock, wait, both);
    } else if (wait > 0) {
      log.info(
        inherited
          ? `the last holder (${last.host}, token ${last.token}) did not release the lock; waiting ${formatDuration(wait)} for its work to end`
          : `whether the last holder released the lock cannot be known; waiting ${formatDuration(wait)} for its work to end`,
      );
      await sleep(clock, wait, both);
    }
    await endEarlier();
    if (inherited) await awaitUntagged(ask, { ...last, since: last.started }, context);
    if (unrecorded?.client !== undefined) await awaitUntagged(ask, unrecorded.client, context);
    if (settings.keepsRecords) {
      const row = { token, host: settings.host, ...ownClient, settle: settleTime(timing) };
      await exclusively(() => writeHolderRow(session, key, row));
    }
    await makeRoom(ask, waiterTag(key), context);
    if (!settings.keepsRecords) {
      // Once the lock is lost it may be too late: whoever ends its connection can refuse the role another one.
      void beSeen();
      await within(unlessAborted(seen, both), seenTime, clock);
      if (witness === undefined)
        log.warn(
          'no second connection to the database is available: if the lock is lost, the next holder may not know of this one',
        );
    }
  };

  /** The lock is released all the same where the command has taken the record away: it may drop schemas. */
  const markOver = async (): Promise<void> => {
    try {
      await markReleased(session, key, token);
    } catch (error) {
      if (sqlStateOf(error) === undefined || !session.alive) throw error;
      log.warn(`the lock’s record could not be written: ${errorWords(error)}`);
    }
  };

  /** Whether something of the command is at work in the database still, a moment after the command's end. */
  const lingers = async (): Promise<boolean> => {
    for (const end = clock.now() + lingerTime; ;) {
      if (!(await isAtWork(ask, key, token))) return false;
      if (clock.now() >= end) return true;
      await sleep(clock, 20, stopped.signal);
    }
  };

  /**
   * @param answered called once the session that has the lock has answered after the end of the work, which proves that it
   *   was held to that end
   * @returns false where the server did not hold the lock any more
   */
  const giveBack = async (
    clean: boolean,
    word: string | undefined,
    answered: () => void,
  ): Promise<boolean> => {
    // Also after a success: a statement whose client was killed, as by `timeout 60 psql … || true`, runs on.
    const settled = (clean && !(await lingers())) || (await endWork());
    // The work is over; who takes the lock now need not wait for it.
    over.abort(new Error('the work is over'));
    if (settled) await witness?.end();
    const unlocked = await exclusively(async () => {
      // Left unreleased, the next holder waits, and ends what is left.
      if (settled && settings.keepsRecords) {
        await markOver();
        answered();
      }
      // From here on the end of the connection is no loss.
      stopped.abort();
      return unlock(session, key, prepared.lease, word);
    });
    // Not awaited: a hundred that were told now end as well, and the server has its hands full.
    void session.end();
    witness?.destroy();
    return unlocked;
  };

  const shared = Object.create(session, {
    query: {
      // None of them may hang: the checks of the lock stand in the same queue.
      value: (...[text, values, options]: Parameters<Session['query']>) =>
        exclusively(() => session.query(text, values, { timeout: patience, ...options })),
    },
    end: { value: async () => {} },
    destroy: { value: () => {} },
  }) as Session;

  return {
    token,
    facts,
    session: shared,
    ownership: ownership(key, prepared.mark),
    lost,
    exclusively,
    keepsRecords: settings.keepsRecords,
    lookAfter: (look, pid = prepared.pid) => lookAfter(settings.another, pid, look, clock),
    host: settings.host,
    settle: wait,
    get keepOpen() {
      return session.alive && session.descriptor !== undefined ? [session.descriptor] : [];
    },
    verify,
    takeOver(signal) {
      const both = AbortSignal.any([signal, stopped.signal]);
      return unlessAborted(inherit(both), both);
    },
    async release(clean, signal = new AbortController().signal, word) {
      if (loss !== undefined) {
        await abandon();
        return 'was-lost';
      }
      let heldToTheEnd = false;
      const given = giveBack(clean, word, () => (heldToTheEnd = true));
      try {
        return (await unlessAborted(given, signal)) ? 'released' : 'was-lost';
      } catch (error) {
        log.debug(`the release failed: ${errorWords(error)}`);
        const wasLost = !heldToTheEnd && (loss !== undefined || !signal.aborted);
        stopped.abort();
        session.destroy();
        over.abort(new Error('the work is over'));
        witness?.destroy();
        return wasLost ? 'was-lost' : 'unanswered';
      }
    },
    abandon,
    environment(given) {
      const tag = tagOf(key, token, 'job');
      if (given['PGAPPNAME'])
        log.info(
          `the command’s PGAPPNAME is ${tag}, by which its connections are found, not ${given['PGAPPNAME']}`,
        );
      // Nothing more: the command may connect to poolers and older servers too, and these refuse a login for most
      // parameters that they do not know.
      return { INITBOX_LOCK_TOKEN: String(token), PGAPPNAME: tag };
    },
  };
}
