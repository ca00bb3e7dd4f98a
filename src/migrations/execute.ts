import { errorWords, sqlStateOf } from '../clients/postgres/server-errors.ts';
import type { Session } from '../clients/postgres/session.ts';
import { sleep } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed } from '../core/outcome.ts';
import { piecesOf } from './batches.ts';
import { chains, isAllOrNothing, kindOf } from './classify.ts';
import { explainStatementError, isServerRefusal, type Piece } from './failure.ts';
import {
  claim,
  isLockHeld,
  markDone,
  noteFinished,
  standingOf,
  unclaim,
  type ToRecord,
  type Proof,
  type Querying,
  type Row,
} from './history.ts';
import { invalidIndexes } from './invalid-indexes.ts';
import { statementsOf, type Preparation, type Script } from './script.ts';
import type { Statement } from './split.ts';
import type { WorkSession } from './work.ts';

/** All that running one file takes. */
export interface FileRun {
  readonly script: Script;
  readonly preparation: Preparation;
  readonly before: Row | undefined;
  /** Nothing is recorded under this name before this file is. */
  readonly recordIsEmpty: boolean;
  readonly lockName: string;
  readonly token: bigint;
  readonly proof: Proof;
  /** The session that holds the lock: what is written there is written under the lock. */
  readonly lock: Session;
  readonly work: Pick<WorkSession, 'query' | 'told' | 'pid'>;
  readonly standardStrings: boolean;
  /** Told of the backend that is to make the record come true, before it is asked to; undefined once it has refused. */
  readonly onRecording: (pid: number | undefined) => void;
  /** Told of each piece before it is sent. */
  readonly onPiece: (piece: Piece, first: number) => void;
}

/**
 * Runs a file as its preparation says.
 * @throws Failure with the file, the line and the server's words; other errors where the connection ended
 */
export async function execute(job: FileRun, context: Context): Promise<void> {
  // Known before anything runs. What has failed in a transaction is never run without one: it may have relied on it, by
  // SET LOCAL or by being undone.
  return job.preparation.mode === 'outside' ? outside(job, context) : inTransaction(job, context);
}

/** The file and its record become true together, or not at all. */
async function inTransaction(job: FileRun, context: Context): Promise<void> {
  const { script, preparation, work } = job;
  const { file } = script.found;
  const started = context.clock.now();
  const entry = entryOf(job);
  let current: Piece | undefined;
  let atCommit = false;
  try {
    await work.query(preparation.ownBegin ?? 'BEGIN');
    const transaction = await claim(work, entry, job.before);
    if (transaction === undefined) throw raced(file);
    let sent = 0;
    for (const piece of piecesOf(script.text, bodyOf(job))) {
      current = piece;
      requireReading(job, piece, ['the whole file was rolled back']);
      job.onPiece(piece, sent);
      await work.query(piece.text, undefined, { discard: true });
      sent += piece.statements;
      if (work.told.transaction === 'I') throw endedBy(file, piece);
    }
    current = undefined;
    atCommit = true;
    // What is deferred runs as it would at COMMIT, and nothing of it after the record is complete. The script may have
    // taken another role, which may not write the record.
    await work.query('SET CONSTRAINTS ALL IMMEDIATE; RESET SESSION AUTHORIZATION; RESET ROLE');
    atCommit = false;
    await record(job, work, context, started, transaction);
  } catch (error) {
    if (context.signal.aborted || !(isServerRefusal(error) || error instanceof Failure)) throw error;
    await work.query('ROLLBACK').catch(() => undefined);
    if (error instanceof Failure) throw error;
    const where = atCommit ? `${file} at its COMMIT` : file;
    throw failureOf(job, context, error, where, current, 'the whole file was rolled back');
  }
  await commit(job, context);
}

/**
 * Whether the server would take the rest of the file apart in other places: standard_conforming_strings is not what the
 * file's own SET statements make it. Without a backslash that makes no difference.
 */
function isReadOtherwise({ script, work }: FileRun, piece: Piece): boolean {
  const { standardStrings } = work.told;
  if (standardStrings === undefined || standardStrings === piece.standardStrings) return false;
  const backslash = script.text.indexOf('\\', piece.start);
  return backslash >= 0 && backslash < script.to;
}

/** @throws Failure where the server would read the rest of the file otherwise: a string could end early, and a COMMIT in it run */
function requireReading(job: FileRun, piece: Piece, details: readonly string[]): void {
  if (!isReadOtherwise(job, piece)) return;
  const now = piece.standardStrings ? 'off' : 'on';
  throw new Failure(
    failed(
      exitStatus.failed,
      `${job.script.found.file}:${piece.firstLine}: standard_conforming_strings is ${now} here, which no SET statement of the file before this line says; the rest was not run`,
      {
        details,
        hint: `where strings end depends on it: write SET standard_conforming_strings = ${now} as a statement of its own, in place of set_config(), a DO block, SET LOCAL or an UPDATE of pg_settings`,
      },
    ),
  );
}

/** The server says that no transaction is open where the file's own was. */
function endedBy(file: string, piece: Piece): Failure {
  return new Failure(
    failed(
      exitStatus.failed,
      `${file}:${piece.firstLine}: this statement ended the file's transaction: what ran up to here stays, and the rest was not run`,
      {
        details: [`in: ${piece.short}`],
        hint: 'take out what ends the transaction, or add the line "-- initbox:no-transaction" to run the file statement by statement',
      },
    ),
  );
}

/** A connection that ends here leaves it open what happened. */
async function commit(job: FileRun, context: Context): Promise<void> {
  job.onRecording(job.work.pid);
  try {
    await job.work.query('COMMIT');
  } catch (error) {
    if (!isServerRefusal(error)) throw error;
    job.onRecording(undefined);
    const where = `${job.script.found.file} at its COMMIT`;
    throw failureOf(job, context, error, where, undefined, 'the whole file was rolled back');
  }
}

/** The body without the BEGIN and COMMIT that wrap all of it. */
function* bodyOf(job: FileRun): Generator<Statement> {
  const { ownBegin, statements } = job.preparation;
  let index = 0;
  for (const statement of statementsOf(job.script, job.standardStrings)) {
    if (ownBegin === undefined || (index > 0 && index <= statements)) yield statement;
    index++;
  }
}

/** Milliseconds between two notes of how far a file has come. */
const noteEvery = 1000;

/** Statement by statement; how far it came is noted, so that a half-done file is seen. */
async function outside(job: FileRun, context: Context): Promise<void> {
  const { script, work, lock } = job;
  const { file } = script.found;
  const { clock } = context;
  const started = clock.now();
  const entry = entryOf(job);
  if ((await claim(lock, entry, job.before)) === undefined) throw raced(file);
  let ended = 0;
  let known = 0;
  let noted = 0;
  let notedAt = started;
  let open = false;
  const others = new Set(await invalidIndexes(work, statementsOf(script, job.standardStrings), 'unnamed'));
  const note = async (): Promise<void> => {
    if (known === noted) return;
    await noteFinished(lock, entry, known);
    noted = known;
    notedAt = clock.now();
  };
  for (const statement of statementsOf(script, job.standardStrings)) {
    const kind = kindOf(statement);
    const [piece] = piecesOf(script.text, [statement]);
    if (piece === undefined) continue;
    if (kind === 'outside' || clock.now() - notedAt > noteEvery) await note();
    if (isReadOtherwise(job, piece)) {
      await note();
      requireReading(job, piece, await leftovers(job, known, others));
    }
    job.onPiece(piece, ended);
    try {
      await work.query(piece.text, undefined, { discard: true });
    } catch (error) {
      if (lock.alive) await note();
      if (context.signal.aborted || !isServerRefusal(error)) throw error;
      if (open) await work.query('ROLLBACK').catch(() => undefined);
      if (known === 0 && (open || isAllOrNothing(statement))) {
        await unclaim(lock, entry);
        throw failureOf(
          job,
          context,
          error,
          file,
          piece,
          'it was the first statement, and nothing of it is left',
        );
      }
      throw failureOf(job, context, error, file, piece, ...(await leftovers(job, known, others)));
    }
    ended++;
    if (kind === 'begin') open = true;
    else if (kind === 'commit' || kind === 'rollback') open = false;
    if (!open) known = ended;
    if (kind !== 'begin' && chains(statement)) open = true;
  }
  // An unnamed one has built its own index, or failed.
  const invalid = await invalidIndexes(work, statementsOf(script, job.standardStrings), 'named');
  if (invalid.length > 0) {
    await note();
    throw new Failure(
      failed(
        exitStatus.failed,
        `${file}: all statements ran, but the index ${invalid.join(', ')} is INVALID`,
        {
          details: ['CREATE INDEX … IF NOT EXISTS passes over an index that an earlier attempt left INVALID'],
          hint: `run DROP INDEX CONCURRENTLY ${invalid.join(', ')}, then the file again with --accept again:${script.found.key}`,
        },
      ),
    );
  }
  job.onRecording(job.proof.pid);
  await record(job, lock, context, started);
}

/**
 * Writes that the file is done.
 * @param transaction as for markDone
 * @throws Failure: the lock was lost, or the file itself did something to its record
 */
async function record(
  job: FileRun,
  session: Querying,
  context: Context,
  started: number,
  transaction?: string,
): Promise<void> {
  const { file, key } = job.script.found;
  const entry = entryOf(job);
  const what = `${file} cannot be recorded: its own statements`;
  const spoilt = async (how: string): Promise<Failure> =>
    new Failure(
      failed(exitStatus.failed, `${what} ${how}`, {
        details:
          transaction === undefined ? await unrecorded(job, session) : ['the whole file was rolled back'],
        hint: 'take out what the file does to the schema initbox, or to its transaction',
      }),
    );
  try {
    const spent = context.clock.now() - started;
    const mark = (): Promise<boolean> => markDone(session, entry, job.proof, spent, transaction);
    if (await (transaction === undefined ? patiently(mark, file, context) : mark())) return;
    if (await isLockHeld(session, job.proof))
      throw await spoilt('removed or changed its row in initbox.sql_migrations, or triggers did');
  } catch (error) {
    if (context.signal.aborted || !isServerRefusal(error)) throw error;
    throw await spoilt(`made that impossible: ${(error as Error).message} (SQLSTATE ${sqlStateOf(error)})`);
  }
  if (transaction !== undefined) throw lostBefore(file);
  throw new Failure(
    failed(exitStatus.lockLost, `the lock was lost before ${file} could be recorded; its statements stay`, {
      hint: `the next start reports it; --accept done:${key} records it then`,
    }),
  );
}

/** What is left of a file outside a transaction all of whose statements ran, and how it goes on, in sentences. */
async function unrecorded(job: FileRun, session: Querying): Promise<string[]> {
  const entry = entryOf(job);
  // Whoever looks next is to see how far it came.
  await noteFinished(session, entry, entry.statements).catch(() => undefined);
  const [standing] = await standingOf(session, [entry]).catch(() => []);
  const all = `all its statements (${entry.statements}) ended, and what they did stays`;
  const byHand = `once what is in the way is gone, --accept done:${entry.key} records it`;
  if (standing === 'gone')
    return [
      `${all}; its record is gone, and unless that comes back the next start takes the file for one that has not run`,
      byHand,
    ];
  if (standing === 'running')
    return [
      `${all}; its record says that it has not ended, and the next start reports it as half done`,
      byHand,
    ];
  const why = standing === 'changed' ? 'its record was changed' : 'what its record says cannot be read now';
  return [`${all}; ${why}, and the next start goes by what stands there then`];
}

/**
 * What was done stays, and is to be written down whoever locks the table: again, where the server gives up its wait, until
 * the deadline or a signal.
 */
async function patiently(
  write: () => Promise<boolean>,
  file: string,
  { log, signal, clock }: Context,
): Promise<boolean> {
  for (let told = false; ; told = true) {
    try {
      return await write();
    } catch (error) {
      if (signal.aborted || !waitingEnds.has(sqlStateOf(error) ?? '')) throw error;
      if (!told) log.warn(`${file} ran, and is not recorded yet, since that waits: ${errorWords(error)}`);
      await sleep(clock, againAfter, signal);
    }
  }
}

/** Milliseconds until it is tried again. */
const againAfter = 250;

/** SQLSTATEs of a statement that waited too long: query_canceled, lock_not_available, deadlock_detected. */
const waitingEnds: ReadonlySet<string> = new Set(['57014', '55P03', '40P01']);

/**
 * What a file that failed on its way may have left, in sentences.
 * @param others INVALID indexes that were there before
 */
async function leftovers(job: FileRun, known: number, others: ReadonlySet<string>): Promise<string[]> {
  const { script, preparation } = job;
  const lines = [
    `the file runs outside a transaction: ${known} of ${preparation.statements} statements ended and stay`,
  ];
  const found = await invalidIndexes(job.work, statementsOf(script, job.standardStrings)).catch(() => []);
  const invalid = found.filter((name) => !others.has(name));
  if (invalid.length > 0) {
    lines.push(`INVALID index left behind: ${invalid.join(', ')} (DROP INDEX CONCURRENTLY removes it)`);
  }
  lines.push(
    `when it is put right, go on with --accept again:${script.found.key} (from its start) or done:${script.found.key} (finished by hand)`,
  );
  return lines;
}

function entryOf(job: FileRun): ToRecord {
  return entryFor(job.script, job.preparation, job);
}

/** A file as it is written down. */
export function entryFor(
  { found, sha256 }: Pick<Script, 'found' | 'sha256'>,
  { statements }: Preparation,
  { lockName, token }: { readonly lockName: string; readonly token: bigint },
): ToRecord {
  return { lockName, key: found.key, file: found.file, sha256, statements, token };
}

function failureOf(
  job: FileRun,
  { redactor }: Pick<Context, 'redactor'>,
  error: unknown,
  file: string,
  piece: Piece | undefined,
  ...more: string[]
): Failure {
  const { what, details, hint, status } = explainStatementError(
    error,
    file,
    piece,
    redactor.redact,
    whereThere(job),
  );
  return new Failure(failed(status, what, { details: [...details, ...more], hint }));
}

/** What goes on from a table, say, that is there already: a baseline has an effect on an empty record alone. */
function whereThere({ recordIsEmpty, before, preparation, script: { found } }: FileRun): string | undefined {
  if (recordIsEmpty && preparation.mode === 'transaction' && found.version !== undefined)
    return 'where another tool has migrated this database before, --baseline VERSION takes over from there';
  // Of a repeatable file that ran before, only another run is recorded.
  if (before?.state === 'done' || before?.state === 'baseline') return undefined;
  return `where all that the file makes is there already, and is the same, --accept done:${found.key} records it without running it`;
}

function lostBefore(file: string): Failure {
  return new Failure(
    failed(exitStatus.lockLost, `the lock was lost before ${file} could be recorded; it was not committed`),
  );
}

function raced(file: string): Failure {
  return new Failure(
    failed(
      exitStatus.lockLost,
      `${file} was run by somebody else at the same time; nothing of it was done here`,
      {
        hint: 'does something run these migrations without the lock?',
      },
    ),
  );
}
