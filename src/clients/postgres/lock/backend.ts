import { reasonOf, within } from '../../../core/clock.ts';
import type { Context } from '../../../core/context.ts';
import { formatDuration } from '../../../core/duration.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { unanswered } from '../../../wait/attempt-timeout.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../../wait/attempt.ts';
import { settleTime, type LockBackend, type LockTiming, type Unneeded } from '../../lock.ts';
import { bigintIn } from '../answer-row.ts';
import { connectPostgres } from '../connect.ts';
import type { ConnectionSettings } from '../connection-string.ts';
import type { LockKey } from '../lock-key.ts';
import type { ConnectContext } from '../login.ts';
import { isForbidden, isMissing, readOnce, type OnceRecord } from '../once-record.ts';
import { errorWords, isServerError, sqlState } from '../server-errors.ts';
import type { Session } from '../session.ts';
import { OddRecord, UnusableRecords } from '../trusted-owner.ts';
import {
  channelOf,
  endGone,
  owns,
  seeHolder,
  seemsGone,
  tryLock,
  unlock,
  type HolderSeen,
} from './advisory.ts';
import { asSeen, unrecordedHolder } from './evidence.ts';
import { namesWithTag } from './fence.ts';
import { holdLock, type PostgresHeld } from './held.ts';
import { readFacts, type ServerIdentity } from './identity.ts';
import { readOnceFirst, type OnceWork } from './once.ts';
import {
  backendPid,
  patience,
  poolerRefusal,
  prepareSession,
  sharedSession,
  silenceOf,
  type Prepared,
} from './prepare.ts';
import { createTables, grantsFor, readHolderRow, requireWritable, type HolderRow } from './records.ts';
import { opens } from './seal.ts';
import { readSlots, scarce } from './slots.ts';
import { holderTag, readTag, waiterTag } from './tag.ts';
import { nextToken } from './token.ts';

export interface PostgresLockSettings {
  readonly connection: ConnectionSettings;
  readonly key: LockKey;
  readonly timing: LockTiming;
  /** This pod's name, for people. */
  readonly host: string;
  readonly sessionPooling: boolean;
  /** The option that cannot do without records in the database; undefined where none is given. */
  readonly recordFor: '--once' | '--sql' | undefined;
  /** Work that may turn out to be done already. */
  readonly once: OnceWork | undefined;
}

export interface AcquiredPostgres {
  readonly state: 'acquired';
  readonly held: PostgresHeld;
}

export interface PostgresLock extends LockBackend {
  tryAcquire(probe: Probe): Promise<AcquiredPostgres | Unneeded | NotYet | Never>;
}

type LockContext = Pick<Context, 'clock' | 'log' | 'random'> & Pick<ConnectContext, 'resolve' | 'redactor'>;

/** After a release all waiters wake up; within so many milliseconds each tries at its own moment. */
const spread = 100;

/** Milliseconds that giving up a wait may take. */
const leaveTime = 100;

/** Milliseconds for which what is known of the holder is shown again. */
const holderKnown = 5000;

/** Advisory locks of one session. The session, once made, is kept between tries unless connections are scarce. */
export function createPostgresLock(settings: PostgresLockSettings, context: LockContext): PostgresLock {
  const { connection, key, timing, once } = settings;
  const { clock, log } = context;
  const closed = new AbortController();
  let waiting: Prepared | undefined;
  let step: Promise<AcquiredPostgres | Unneeded | NotYet | Never> | undefined;
  let stepAt = 0;
  /** Where the step stands, what it suspects, and who is to know. */
  let standing = '';
  let suspected: string | undefined;
  const asking = new Set<Probe>();
  let wake = (): void => {};
  let woken = false;
  /** The work that is to be done once, as its record was read last. */
  let record: OnceRecord | undefined;
  /** Its holder has told that it is done. */
  let told: Unneeded | undefined;
  /** The last holder that was seen, through all connections of this waiter. */
  let sighted: HolderSeen | undefined;
  let toldOfGone = false;
  let holder: { readonly words: string; readonly until: number } | undefined;

  const connect = (probe: Probe, name: string) =>
    connectPostgres({ ...connection, applicationName: name }, context, probe);

  const open = async (probe: Probe): Promise<Prepared | Unneeded | NotYet | Never> => {
    const connected = await connect(probe, waiterTag(key));
    if (connected.state !== 'connected') return connected;
    const { session } = connected;
    probe.phase(`asking ${session.peer}`);
    try {
      return await makeFit(session);
    } catch (error) {
      session.destroy();
      throw error;
    }
  };

  const makeFit = async (session: Session): Promise<Prepared | Unneeded | NotYet | Never> => {
    const refused = async <T>(answer: T): Promise<T> => {
      await session.end();
      return answer;
    };
    const first = once && (await readOnceFirst(session, key, once));
    const pid = first?.pid ?? (await backendPid(session));
    if (pid !== session.announcedPid && !settings.sessionPooling) return refused(poolerRefusal(session));
    record = first?.record;
    const judged = once && judgeOnce(once, record);
    if (judged) return refused(judged);
    const prepared = await prepareSession(session, timing, settings.sessionPooling, waiterTag(key), { pid });
    if (prepared.state !== 'prepared') return refused(prepared);
    session.onNotification((channel, word) => {
      if (channel !== channelOf(key)) return;
      woken = true;
      if (once) told ??= toldDone(once, record, sighted, word, clock.date());
      // Only one of them can have the lock; but all may find their work done.
      if (once) wake();
      else clock.after(context.random() * spread, () => wake());
    });
    await session.query(`LISTEN ${channelOf(key)}`, undefined, { timeout: patience });
    return prepared;
  };

  /** One try from wherever the last one stopped; it ends by time-outs of its own. */
  const attempt = async (probe: Probe): Promise<AcquiredPostgres | Unneeded | NotYet | Never> => {
    try {
      if (waiting !== undefined && !waiting.session.alive) waiting = undefined;
      if (waiting === undefined) {
        const opened = await open(probe);
        if (opened.state !== 'prepared') return opened;
        waiting = opened;
      }
      const prepared = waiting;
      probe.phase(`asking ${prepared.session.peer}`);
      if (closed.signal.aborted) throw reasonOf(closed.signal);
      do {
        woken = false;
        if (once) {
          record = await readOnce(prepared.session, key.id, once.key, { timeout: patience }).catch(
            forbiddenAsNone,
          );
          const judged = told ?? judgeOnce(once, record);
          if (judged) return judged;
        }
        if (await tryLock(prepared.session, key, prepared.lease)) return await granted(prepared);
      } while (woken);
      const words = await holderWords(prepared.session);
      if (scarce(await readSlots(prepared.session))) {
        waiting = undefined;
        await prepared.session.end();
      }
      return notYet(words);
    } catch (error) {
      const peer = waiting?.session.peer;
      waiting?.session.destroy();
      waiting = undefined;
      if (error instanceof UnusableRecords) return never(exitStatus.refused, error.message, error.advice);
      if (isServerError(error) && error.code === sqlState.insufficientPrivilege)
        return never(exitStatus.refused, errorWords(error));
      return notYet(`${errorWords(error)}${peer ? ` (${peer})` : ''}`);
    }
  };

  const begin = (): Promise<AcquiredPostgres | Unneeded | NotYet | Never> => {
    stepAt = clock.now();
    const phase = (text: string): void => {
      standing = text;
      for (const probe of asking) probe.phase(text);
    };
    const suspect = (hint: string): void => {
      suspected = hint;
      for (const probe of asking) probe.suspect?.(hint);
    };
    return attempt({ signal: closed.signal, phase, suspect }).finally(() => {
      step = undefined;
      standing = '';
      suspected = undefined;
    });
  };

  const granted = async (prepared: Prepared): Promise<AcquiredPostgres | Unneeded | Never> => {
    const { session } = prepared;
    if (prepared.pooled && !(await owns(session, key, prepared.mark, patience)))
      return sharedSession(session);
    // Servers that speak the protocol but keep no advisory locks grant everything.
    if (!(await owns(session, key, prepared.mark, patience))) {
      return never(
        exitStatus.refused,
        `the server granted the lock but does not hold it (${session.peer})`,
        'advisory locks have no effect on this server',
      );
    }
    let last: HolderRow | undefined;
    let keepsRecords = true;
    try {
      const read = async (): Promise<void> => {
        last = asSeen(await readHolderRow(session, key), sighted);
        await requireWritable(session);
      };
      await read().catch(async (error: unknown) => {
        if (!isMissing(error)) throw error;
        await createTables(session);
        await read();
      });
    } catch (error) {
      if (!isForbidden(error)) throw error;
      const { actingRole } = prepared.facts;
      const unusable = error instanceof UnusableRecords ? error : undefined;
      const grants = unusable?.advice ?? grantsFor(actingRole, connection.database);
      if (settings.recordFor !== undefined) {
        return never(
          exitStatus.refused,
          unusable
            ? `${settings.recordFor} keeps a record in the database, and ${unusable.message}`
            : `${settings.recordFor} keeps a record in the database, and ${actingRole} may not create its table: ${errorWords(error)}`,
          grants,
        );
      }
      keepsRecords = false;
      log.warn(
        `${actingRole} cannot keep the lock’s record (${unusable?.message ?? errorWords(error)}), so every start waits for the previous one’s work; ${grants}`,
      );
    }
    if (once) {
      // What was done between the check and the grant.
      const judged = judgeOnce(once, await readOnce(session, key.id, once.key, { timeout: patience }));
      if (judged) {
        // Those who wait for another key's sake are told.
        await unlock(session, key, prepared.lease);
        await session.end();
        waiting = undefined;
        return judged;
      }
    }
    const { rows } = await session.query(
      `SELECT pg_catalog.txid_current()::pg_catalog.text AS xid, ARRAY(${namesWithTag(key)}) AS names`,
      undefined,
      { timeout: patience },
    );
    const names: unknown = rows[0]?.['names'];
    const left = (Array.isArray(names) ? names : [])
      .map((name) => readTag(key, String(name)))
      .filter((tag) => tag !== undefined);
    const xid = bigintIn(rows[0], 'xid');
    const unrecorded = unrecordedHolder(last, sighted, left);
    // Never from a name: any role may give itself one.
    const token = nextToken(xid, prepared.facts.identity.timeline, last?.token);
    const settle = settleTime(timing);
    const { relayed, facts } = prepared;
    if (facts.crashUnsafe.length > 0)
      log.warn(
        `the server has ${facts.crashUnsafe.map((name) => `${name} = off`).join(' and ')}: a crash of its machine can take back or damage what was committed, the lock’s records and those of what was done too, and a migration may run again`,
      );
    if (relayed)
      log.info(
        `the server sees this connection come from ${facts.port === null ? 'a Unix socket' : `port ${facts.port}`}, not from ${session.local === undefined ? 'a Unix socket' : `port ${session.local.port}`}: a proxy may be in between; if this holder falls silent for ${formatDuration(silenceOf(settle))}, those who wait end its session`,
      );
    const tag = holderTag(key, token, settle, relayed, clock.date());
    await session.query(`SET application_name = '${tag}'; UNLISTEN ${channelOf(key)}`, undefined, {
      timeout: patience,
    });
    waiting = undefined;
    const held = holdLock({
      key,
      timing,
      host: settings.host,
      prepared,
      token,
      last,
      unrecorded,
      keepsRecords,
      identify,
      another: async (signal) => {
        const connected = await connect({ signal, phase() {} }, holderTag(key, token, settle, relayed));
        return connected.state === 'connected' ? connected.session : undefined;
      },
      clock,
      log,
    });
    return { state: 'acquired', held };
  };

  /** Who answers to the URL now. Of several servers the first that is no standby counts, as when the lock was taken. */
  const identify = async (signal: AbortSignal): Promise<ServerIdentity | undefined> => {
    let standby: ServerIdentity | undefined;
    const probe = { signal, phase() {} };
    const connected = await connectPostgres(
      { ...connection, applicationName: waiterTag(key) },
      context,
      probe,
      async (session) => {
        const { identity } = await readFacts(session, timing.heartbeat);
        if (!identity.standby) return undefined;
        standby ??= identity;
        return notYet('a standby');
      },
    );
    // Of several servers the primary may just be out of reach for a moment.
    if (connected.state !== 'connected') return connection.hosts.length === 1 ? standby : undefined;
    try {
      return (await readFacts(connected.session, timing.heartbeat)).identity;
    } catch {
      return undefined;
    } finally {
      void connected.session.end();
    }
  };

  const holderWords = async (session: Session): Promise<string> => {
    const seen = await seeHolder(session, key);
    if (seen?.token !== undefined) sighted = seen;
    if (seen !== undefined && seemsGone(seen)) await endHolder(session, seen);
    if (holder !== undefined && clock.now() < holder.until) return holder.words;
    if (seen === undefined) return 'was just released';
    // The new holder has not yet put its name on it.
    if (seen.applicationName === waiterTag(key)) return 'was just taken';
    const row = await readHolderRow(session, key).catch(() => undefined);
    const words =
      seen.token === undefined
        ? `held by another program (backend ${seen.pid}, role ${seen.role}, application ${JSON.stringify(seen.applicationName)})`
        : row?.token === seen.token
          ? `held by ${row.host} since ${row.started.toISOString()} (backend ${seen.pid}, token ${seen.token})`
          : `held by backend ${seen.pid} (role ${seen.role}, token ${seen.token}${sinceOf(seen.applicationName)})`;
    const silence =
      seen.silent !== null && seen.settle !== undefined && seen.silent > seen.settle
        ? `; silent for ${formatDuration(Math.round(seen.silent / 1000) * 1000)}${seen.relayed ? ' behind a proxy' : ''}`
        : '';
    holder = { words: words + silence, until: clock.now() + holderKnown };
    return holder.words;
  };

  /** Behind a proxy the server does not notice by itself that a holder is gone. */
  const endHolder = async (session: Session, seen: HolderSeen): Promise<void> => {
    const whose = `the holder’s session (backend ${seen.pid}, token ${seen.token}), which has been silent for ${formatDuration(Math.round((seen.silent ?? 0) / 1000) * 1000)} behind a proxy`;
    try {
      if (await endGone(session, key, seen))
        log.warn(`ended ${whose}: its machine or its network is gone, and nothing of its command is at work`);
    } catch (error) {
      if (!isForbidden(error)) throw error;
      if (!toldOfGone) log.warn(`this role may not end ${whose} (GRANT pg_signal_backend lets it be ended)`);
      toldOfGone = true;
    }
  };

  return {
    async tryAcquire(probe) {
      // Whatever is under way: no more is asked of the server, which has many to serve now.
      if (told !== undefined) return told;
      // The loop may give an attempt up for a newer one; what has been reached is kept.
      asking.add(probe);
      step ??= begin();
      const current = step;
      if (standing !== '') probe.phase(standing);
      if (suspected !== undefined) probe.suspect?.(suspected);
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          asking.delete(probe);
          resolve(unanswered(standing, 'no answer yet', clock.now() - stepAt));
        };
        probe.signal.addEventListener('abort', onAbort, { once: true });
        current.then(resolve, reject).finally(() => {
          asking.delete(probe);
          probe.signal.removeEventListener('abort', onAbort);
        });
      });
    },
    wakeUps(callback) {
      wake = callback;
      return () => {
        wake = () => {};
      };
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new Error('the wait has ended'));
      // A try that is under way may still get the lock; a server that hangs must not hold this process up, whose end
      // gives it back all the same.
      const last = step?.then(
        async (answer) => {
          if (answer.state === 'acquired') await answer.held.release(true);
        },
        () => {},
      );
      if (last !== undefined) await within(last, leaveTime, clock);
      // The goodbye is on its way; a hundred replicas that find their work done need not wait for its answer.
      void waiting?.session.end();
      waiting = undefined;
    },
  };
}

function forbiddenAsNone(error: unknown): undefined {
  if (isForbidden(error) && !(error instanceof OddRecord)) return undefined;
  throw error;
}

/** `, since 2026-11-22T18:30:00Z`, from the holder's tag. */
function sinceOf(applicationName: string): string {
  const match = /:(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(applicationName);
  return match ? `, since ${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z` : '';
}

/** What a record says about work that is to be done once; undefined where it is still to be done. */
function judgeOnce(work: OnceWork, record: OnceRecord | undefined): Unneeded | Never | undefined {
  // What failed, or was cut off, is mended by another command as well as by the same: nothing is lost by running it.
  if (record?.state !== 'done') return undefined;
  if (record.commandHash !== work.commandHash) {
    return never(
      exitStatus.usage,
      `the key ${JSON.stringify(work.key)} stands for another command (done by ${record.host}, ${record.started.toISOString()})`,
      'a key names one state of the schema, such as the image’s digest: use another key, or --forget this one',
    );
  }
  return doneBy(work, record, record.finished);
}

/**
 * What a release tells of work that was under way; undefined where nothing proves that it is done. The record must be that of
 * the holder that was seen: one that a restore brought back has a word that was told long ago.
 */
function toldDone(
  work: OnceWork,
  record: OnceRecord | undefined,
  holder: HolderSeen | undefined,
  word: string,
  now: Date,
): Unneeded | undefined {
  if (record?.state !== 'running' || record.commandHash !== work.commandHash) return undefined;
  if (holder?.token !== record.token) return undefined;
  return record.seal !== undefined && opens(word, record.seal) ? doneBy(work, record, now) : undefined;
}

function doneBy(work: OnceWork, { host }: OnceRecord, finished: Date | null): Unneeded {
  return {
    state: 'unneeded',
    why: `${JSON.stringify(work.key)} was done by ${host} at ${finished?.toISOString() ?? 'some time'}`,
  };
}
