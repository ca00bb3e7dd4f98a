import { integerIn } from '../clients/postgres/answer-row.ts';
import { isMissing } from '../clients/postgres/once-record.ts';
import { errorWords } from '../clients/postgres/server-errors.ts';
import type { Session } from '../clients/postgres/session.ts';
import { UnusableRecords } from '../clients/postgres/trusted-owner.ts';
import { unlessAborted, within } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { formatDuration } from '../core/duration.ts';
import { exitStatus, signalStatus } from '../core/exit-status.ts';
import {
  done,
  Failure,
  failed,
  firstFailure,
  SignalReceived,
  type Failed,
  type Outcome,
} from '../core/outcome.ts';
import type { Acceptance } from './accept.ts';
import type { MigrationDirectory } from './directory.ts';
import { readDirectory } from './directory.ts';
import { some } from './discover.ts';
import { entryFor, execute } from './execute.ts';
import { isServerRefusal } from './failure.ts';
import {
  applyChanges,
  createHistory,
  proofOf,
  readHistory,
  sameUnderOtherName,
  standingOf,
  type ToRecord,
  type Proof,
  type Querying,
  type RecordStanding,
} from './history.ts';
import { allInvalidIndexes, invalidIndexes } from './invalid-indexes.ts';
import { foreignRecord } from './other-tools.ts';
import { migrationPlanOf, type MigrationPlan, type PlanProblem } from './plan.ts';
import { startMigrationProgress } from './progress.ts';
import { prepare, readScript, statementsOf, type Preparation, type Script } from './script.ts';
import { openWork, type WorkSession } from './work.ts';

/** What is to be done, under a lock that the caller holds on `session`. */
export interface SqlRequest {
  readonly directory: string;
  /** The session that holds the lock. */
  readonly session: Session;
  /** Opens another connection to the same database, tagged as this holder's. */
  readonly connect: () => Promise<Session>;
  readonly token: bigint;
  /**
   * What became of a statement whose answer never came (clients/postgres/aftermath.ts).
   * @param pid of the backend that had it
   */
  readonly lookAfter: <T extends string>(
    pid: number,
    look: (session: Session) => Promise<T | undefined>,
  ) => Promise<T | 'nothing' | undefined>;
  /** The version up to which another tool has migrated this database; `0` is none. */
  readonly baseline?: string | undefined;
  /** Reports on standard output as JSON what would run, and changes nothing. */
  readonly dryRun: boolean;
  readonly lockName: string;
  /** Differences between the directory and the record that were looked at. */
  readonly accept?: readonly Acceptance[] | undefined;
}

type Pending = MigrationPlan['pending'][number] & { readonly preparation: Preparation };

interface Server {
  readonly version: number;
  readonly standardStrings: boolean;
}

/**
 * Runs what a directory's migrations have not yet done to the database. Every file is read and judged before the
 * first one runs.
 * @throws UsageError where the directory or a file cannot be used: nothing was run
 */
export async function runSql(request: SqlRequest, context: Context): Promise<Outcome> {
  const directory = await readDirectory(request.directory, context.signal);
  if (directory.naming === 'numbered' && directory.leftOut.length > 0)
    context.log.info(`left out, since they undo a migration: ${some(directory.leftOut)}`);
  const { session, lockName } = request;
  const server = await serverOf(session);
  const rows = await readHistory(session, lockName);
  const refusal =
    request.baseline === undefined && (rows ?? []).length === 0
      ? await strangeStart(request, directory, rows !== undefined)
      : undefined;
  const plan = migrationPlanOf(directory.files, rows ?? [], {
    baseline: request.baseline,
    accept: request.accept ?? [],
  });
  for (const warning of plan.warnings) context.log.warn(warning);
  const pending: Pending[] = [];
  for (const one of plan.pending) {
    const script = await readScript(one.found, directory.naming);
    pending.push({ ...one, preparation: await prepare(script, server, context) });
  }
  const failure = refusal ?? (await refusalOf(plan.problems, request, directory, server));
  if (request.dryRun) {
    context.stdout(report(request, directory, plan, pending, failure));
    return failure ?? done(`${pending.length} of ${directory.files.length} migrations would run`);
  }
  if (failure !== undefined) return failure;
  const proof = await proofOf(session);
  if (proof === undefined) return failed(exitStatus.lockLost, 'the lock is not held; nothing was run');
  if (rows === undefined) await createHistory(session);
  if (plan.changes.length > 0) {
    await applyChanges(session, lockName, request.token, plan.changes);
    context.log.info(
      `recorded without running: ${plan.changes.map((change) => `${change.file} (${change.state})`).join(', ')}`,
    );
  }
  if (pending.length === 0) {
    return done(`nothing to migrate: ${directory.files.length} files of ${request.directory} are recorded`);
  }
  const recordIsEmpty = (rows ?? []).length === 0 && plan.changes.length === 0;
  return runAll(request, directory, pending, recordIsEmpty, server, proof, context);
}

async function serverOf(session: Session): Promise<Server> {
  const { rows } = await session.query(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS version, pg_catalog.current_setting('standard_conforming_strings') AS strings`,
  );
  return { version: integerIn(rows[0], 'version'), standardStrings: rows[0]?.['strings'] !== 'off' };
}

async function runAll(
  request: SqlRequest,
  directory: MigrationDirectory,
  pending: readonly Pending[],
  recordIsEmpty: boolean,
  server: Server,
  proof: Proof,
  context: Context,
): Promise<Outcome> {
  const started = context.clock.now();
  const ran: string[] = [];
  let running: Pending | undefined;
  let recording: number | undefined;
  try {
    await using work = await openWork(request.connect, request.session, context);
    for (const [index, one] of pending.entries()) {
      const { file } = one.found;
      const script = await readScript(one.found, directory.naming);
      if (script.sha256 !== one.sha256) {
        throw new Failure(failed(exitStatus.failed, `${file} has changed while this ran; it was not run`));
      }
      if (index > 0) await work.reset();
      running = one;
      const since = context.clock.now();
      context.log.info(`${file} (${index + 1} of ${pending.length}): ${manner(one.preparation)}`);
      using progress = startMigrationProgress(
        file,
        one.preparation.statements,
        request.session,
        work.pid,
        context,
      );
      await execute(
        {
          script,
          preparation: one.preparation,
          before: one.before,
          recordIsEmpty: recordIsEmpty && index === 0,
          lockName: request.lockName,
          token: request.token,
          proof,
          lock: request.session,
          work,
          standardStrings: server.standardStrings,
          onRecording: (pid) => (recording = pid),
          onPiece: (piece, first) => progress.at(piece, first),
        },
        context,
      );
      running = recording = undefined;
      ran.push(file);
      context.log.info(`${file}: done in ${formatDuration(context.clock.now() - since)}`);
    }
    const lost = await lostRecord(request, work, pending, context);
    if (lost !== undefined) return lost;
  } catch (error) {
    const first = firstFailure(error);
    let fate: Fate = 'undone';
    const broke = !(isServerRefusal(first) || first instanceof Failure);
    if (running !== undefined && broke) {
      // The lock's connection often breaks with this one, and says so a moment later.
      await within(new Promise((told) => whenAborted(context.signal, told)), lossTime, context.clock);
    }
    if (running !== undefined && recording !== undefined && (broke || context.signal.aborted)) {
      const { file } = running.found;
      const entry = entryOf(running, request);
      const became = await request.lookAfter(recording, async (session) =>
        (await standingOf(session, [entry]))[0] === 'done' ? 'done' : undefined,
      );
      fate = became === 'nothing' ? 'undone' : (became ?? 'unknown');
      if (fate === 'done') {
        ran.push(file);
        context.log.warn(`${file}: done and recorded; only the server’s answer to that did not come`);
      }
    }
    // Nothing is left to do, and the record says so.
    if (ran.length < pending.length)
      return withProgress(first, ran, running, fate, pending.length, context.signal);
  }
  return done(
    `${ran.length === 1 ? ran[0] : `${ran.length} migrations, the last ${ran.at(-1)},`} ran in ${formatDuration(context.clock.now() - started)}`,
  );
}

/** What became of the file that was being run when a connection ended. */
type Fate = 'done' | 'undone' | 'unknown';

/** Milliseconds after the end of one connection within which that of the lock's is known. */
const lossTime = 500;

function whenAborted(signal: AbortSignal, told: (value: unknown) => void): void {
  if (signal.aborted) told(undefined);
  else signal.addEventListener('abort', told, { once: true });
}

/** The same, in a sentence. */
function fateWords({ found: { file }, preparation }: Pending, fate: Fate): string {
  if (fate === 'done') return `${file} is done and recorded; only the server’s answer to that did not come`;
  const outside = preparation.mode !== 'transaction';
  if (fate === 'undone')
    return outside
      ? `${file} was cut off outside a transaction; what it did stays, and the next run reports it`
      : `${file} was cut off and rolled back; nothing of it is left`;
  return outside
    ? `${file} ran to its end outside a transaction, and whether that is recorded is not known; the next run sees it`
    : `${file} was rolled back, unless its COMMIT came through; its record tells, and the next run sees it`;
}

/** Milliseconds that a statement of the look after the last file may take. */
const lookTime = 10_000;

/**
 * What a COMMIT still ran may have taken a record back that was complete: known only from outside of the transaction.
 * What was committed is done, and only an answer of the server says that its record is gone: where the look comes to
 * nothing, that is a warning.
 * @param work whose statements, unlike those on the lock's session, may hang without holding up its release
 */
async function lostRecord(
  request: SqlRequest,
  work: WorkSession,
  pending: readonly Pending[],
  { signal, log }: Context,
): Promise<Failed | undefined> {
  const session: Querying = { query: (text, values) => work.query(text, values, { timeout: lookTime }) };
  const entries = pending.map((one) => entryOf(one, request));
  const look = async (): Promise<readonly RecordStanding[]> => {
    // As the role that logged in, and under its settings.
    await work.reset();
    return standingOf(session, entries);
  };
  let standings: readonly RecordStanding[];
  let why = '';
  try {
    standings = await unlessAborted(look(), signal);
  } catch (error) {
    if (!isMissing(error) && !(error instanceof UnusableRecords)) {
      log.warn(
        `all files ran and were recorded; whether something has taken a record back since then is not known: ${errorWords(error)}`,
      );
      return undefined;
    }
    why = ` (${(error as Error).message})`;
    standings = [];
  }
  const gone = entries.filter((_, index) => standings[index] !== 'done').map(({ file }) => file);
  if (gone.length === 0) return undefined;
  return failed(
    exitStatus.failed,
    `${some(gone)} ran, and the record of that is gone from initbox.sql_migrations, or was changed${why}`,
    {
      details: [
        `what ${gone.length === 1 ? 'the file' : 'these files'} did stays, and the next start goes by what the record says then; --dry-run shows it`,
      ],
      hint: 'look for triggers, deferred ones of other tables too, that write to the schema initbox',
    },
  );
}

function entryOf({ found, sha256, preparation }: Pending, request: SqlRequest): ToRecord {
  return entryFor({ found, sha256 }, preparation, request);
}

function manner(preparation: Preparation): string {
  const count = preparation.statements === 1 ? '1 statement' : `${preparation.statements} statements`;
  return preparation.mode === 'transaction'
    ? `${count} in one transaction`
    : `${count} outside a transaction (${preparation.reason})`;
}

/** The failure, with how far it got. */
function withProgress(
  error: unknown,
  ran: readonly string[],
  running: Pending | undefined,
  fate: Fate,
  total: number,
  signal: AbortSignal,
): Failed {
  const progress = `${ran.length} of ${total} migrations ran${ran.length > 0 ? `, the last of them ${ran.at(-1)}` : ''}`;
  const details = running === undefined ? [progress] : [progress, fateWords(running, fate)];
  if (signal.aborted) {
    const reason: unknown = signal.reason;
    if (reason instanceof Failure) {
      return { ...reason.outcome, details: [...(reason.outcome.details ?? []), ...details] };
    }
    if (reason instanceof SignalReceived) {
      return failed(signalStatus(reason.signal), `ended by ${reason.signal}`, { details });
    }
    return failed(exitStatus.failed, String(reason), { details });
  }
  if (error instanceof Failure) {
    return { ...error.outcome, details: [...(error.outcome.details ?? []), progress] };
  }
  if (isServerRefusal(error) || running === undefined) throw error;
  const { file } = running.found;
  return failed(exitStatus.failed, `${file}: the connection ended (${(error as Error).message})`, {
    details,
  });
}

/** An empty record in a database that is not new: everything would run a second time. */
async function strangeStart(
  request: SqlRequest,
  directory: MigrationDirectory,
  hasTable: boolean,
): Promise<Failed | undefined> {
  const { session, lockName } = request;
  if (hasTable) {
    const known = directory.files.map(({ found, sha256 }) => ({ key: found.key, sha256 }));
    const other = await sameUnderOtherName(session, lockName, known);
    if (other !== undefined) {
      return failed(
        exitStatus.refused,
        `these files have run under the lock name ${JSON.stringify(other)}, and none under ${JSON.stringify(lockName)}`,
        { hint: `use --lock-name ${other}; or run them all for this name too with --baseline 0` },
      );
    }
  }
  const foreign = await foreignRecord(session, directory.convention);
  if (foreign === undefined) return undefined;
  const { tool, table, failed: stopped } = foreign;
  // 0 is the baseline that means nothing.
  const version = foreign.version === undefined || foreign.version === '0' ? 'VERSION' : foreign.version;
  if (foreign.untrustedOwner !== undefined) {
    return failed(
      exitStatus.refused,
      `there is a table ${table}, in which ${tool} keeps its record, and nothing is recorded here yet`,
      {
        details: [
          `it was not read: it belongs to the role ${foreign.untrustedOwner}, or is in that role’s schema, and a query on it could run that role’s code with the rights of the role that migrates`,
        ],
        hint: `read it as ${foreign.untrustedOwner}, and give the newest version as --baseline ${version}; --baseline 0 runs every file`,
      },
    );
  }
  const reached = foreign.version === undefined ? '' : ` up to version ${foreign.version}`;
  if (stopped === undefined) {
    return failed(
      exitStatus.refused,
      `${tool} has migrated this database${reached} (${table}), and nothing is recorded here yet`,
      { hint: `--baseline ${version} takes over from there; --baseline 0 runs every file` },
    );
  }
  // golang-migrate's NilVersion, on the way down from its first version.
  const what = stopped === '-1' ? 'the state before its first version' : `version ${stopped}`;
  return failed(
    exitStatus.refused,
    `${tool} has ${reached === '' ? 'begun to migrate this database' : `migrated this database${reached}`} (${table}), and nothing is recorded here yet`,
    {
      details: [`it says that ${what} is dirty: it failed on its way, and nobody has looked since`],
      hint: `finish by hand what that began, or undo it; then --baseline ${version}, up to which all is done, takes over from there; --baseline 0 runs every file`,
    },
  );
}

async function refusalOf(
  problems: readonly PlanProblem[],
  request: SqlRequest,
  directory: MigrationDirectory,
  server: Server,
): Promise<Failed | undefined> {
  const [first] = problems;
  if (first === undefined) return undefined;
  const details: string[] = [];
  for (const problem of problems) {
    if (problem !== first) details.push(`${problem.text}: ${problem.hint}`);
    if (problem.kind !== 'half-done') continue;
    const one = directory.files.find(({ found }) => found.key === problem.version);
    const named =
      one === undefined
        ? []
        : await leftInvalid(request, await readScript(one.found, directory.naming), server);
    for (const name of named) {
      details.push(`the index ${name} is INVALID; DROP INDEX CONCURRENTLY ${name} removes it`);
    }
    if (problem.restsUnknown !== true) continue;
    const others = (await allInvalidIndexes(request.session)).filter((name) => !named.includes(name));
    if (others.length > 0)
      details.push(
        `INVALID in this database, and perhaps left by ${problem.file}: ${some(others)} (DROP INDEX CONCURRENTLY removes an index)`,
      );
  }
  return failed(exitStatus.refused, first.text, { details, hint: first.hint });
}

/** A file's names mean what the role's own search path says, which the lock's session has given up. */
async function leftInvalid(request: SqlRequest, script: Script, server: Server): Promise<readonly string[]> {
  const statements = statementsOf(script, server.standardStrings);
  if (request.dryRun) return invalidIndexes(request.session, statements);
  await using session = await request.connect();
  return await invalidIndexes(session, statements);
}

function report(
  request: SqlRequest,
  directory: MigrationDirectory,
  plan: MigrationPlan,
  pending: readonly Pending[],
  failure: Failed | undefined,
): string {
  const value = {
    directory: request.directory,
    convention: directory.convention,
    lockName: request.lockName,
    files: directory.files.length,
    leftOut: directory.leftOut,
    applied: plan.applied,
    record: plan.changes.map(({ key, file, state }) => ({ version: key, file, state })),
    pending: pending.map(({ found, sha256, preparation }) => ({
      version: found.key,
      file: found.file,
      statements: preparation.statements,
      transaction: preparation.mode === 'transaction',
      ...(preparation.reason === undefined ? {} : { reason: preparation.reason }),
      sha256,
    })),
    problems: [
      ...plan.problems.map(({ kind, version, file, text, hint }) => ({ kind, version, file, text, hint })),
      ...(failure !== undefined && plan.problems.length === 0
        ? [{ kind: 'start', text: failure.what, hint: failure.hint }]
        : []),
    ],
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}
