// Runs the SQL runner in this process, under a real lock on a real server: what migrate-with-lock does around it.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { createResolver } from '../../../src/clients/dns/resolver.ts';
import { lookAfter } from '../../../src/clients/postgres/aftermath.ts';
import { connectPostgres } from '../../../src/clients/postgres/connect.ts';
import { readConnection } from '../../../src/clients/postgres/connection-string.ts';
import type { Session } from '../../../src/clients/postgres/session.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { podPaths, type Context } from '../../../src/core/context.ts';
import { createLog } from '../../../src/core/log.ts';
import { Failure, type Outcome } from '../../../src/core/outcome.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import type { Acceptance } from '../../../src/migrations/accept.ts';
import { runSql } from '../../../src/migrations/run.ts';
import { systemHost } from '../../../src/process/host.ts';
import { systemClock } from '../../../src/process/system-clock.ts';
import type { Postgres } from '../../support/postgres.ts';
import { temporaryDirectory } from '../../support/undo.ts';

let databases = 0;

/** A database of the role `app`, and a folder for its migrations. */
export async function newDatabase(server: Postgres): Promise<Place> {
  const name = `app${process.pid}_${++databases}`;
  await server.sql(`CREATE DATABASE ${name} OWNER app`, [], 'postgres');
  const folder = temporaryDirectory('migrations').path;
  return {
    name,
    folder,
    url: server.url(name),
    sql: (text, values) => server.sql(text, values, name),
    write(files) {
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        writeFileSync(join(folder, file), content);
      }
    },
    remove: (file) => rmSync(join(folder, file)),
    records: async () =>
      (
        await server.sql(
          'SELECT version, state, finished FROM initbox.sql_migrations ORDER BY started_at, version',
          [],
          name,
        )
      ).map((row) => `${String(row['version'])} ${String(row['state'])} ${String(row['finished'])}`),
  };
}

export interface Place {
  readonly name: string;
  readonly folder: string;
  readonly url: string;
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  write(files: Record<string, string | Uint8Array>): void;
  remove(file: string): void;
  /** `VERSION STATE FINISHED` of each row, in the order of the runs. */
  records(): Promise<string[]>;
}

export interface RunOptions {
  baseline?: string;
  dryRun?: boolean;
  lockName?: string;
  accept?: Acceptance[];
  signal?: AbortSignal;
  token?: bigint;
  /** False: no advisory lock is taken. */
  locked?: boolean;
  /** Given the lock's session before anything runs. */
  onLock?: (lock: Session) => void;
  url?: string;
  lockKey?: number;
  clock?: Clock;
}

export interface Ran {
  readonly outcome: Outcome;
  readonly log: string;
  readonly stdout: string;
}

let tokens = 0n;

/** Connects, takes the lock, runs, lets go. */
export async function migrate(place: Pick<Place, 'url' | 'folder'>, options: RunOptions = {}): Promise<Ran> {
  let log = '';
  let stdout = '';
  const redactor = createRedactor();
  const context: Context = {
    signal: options.signal ?? new AbortController().signal,
    deadline: undefined,
    clock: options.clock ?? systemClock,
    random: Math.random,
    log: createLog({
      write: (line) => void (log += line),
      redactor,
      clock: systemClock,
      format: 'text',
      level: 'debug',
    }),
    redactor,
    environment: {},
    paths: podPaths,
    stdout: (text) => void (stdout += text),
    host: systemHost,
    commands: {},
  };
  const connect = (): Promise<Session> => open(options.url ?? place.url);
  const lock = await connect();
  try {
    if (options.locked !== false) {
      await lock.query('SELECT pg_advisory_lock($1)', [options.lockKey ?? 42]);
      // What the lock's session sets for itself must not reach the migrations.
      await lock.query("SET statement_timeout = '5s'");
    }
    options.onLock?.(lock);
    const outcome = await runSql(
      {
        directory: place.folder,
        session: lock,
        connect,
        lookAfter: (pid, look) => lookAfter(connect, pid, look, systemClock),
        token: options.token ?? ++tokens,
        baseline: options.baseline,
        dryRun: options.dryRun ?? false,
        lockName: options.lockName ?? 'migrate',
        accept: options.accept,
      },
      context,
    ).catch((error: unknown) => {
      if (error instanceof Failure) return error.outcome;
      throw error;
    });
    return { outcome, log, stdout };
  } finally {
    await lock.end();
  }
}

export async function open(url: string): Promise<Session> {
  const redactor = createRedactor();
  const settings = readConnection({ url: redactor.secret(url), origin: 'the test' }, {}, redactor);
  const answer = await connectPostgres(
    settings,
    { resolve: createResolver({ paths: podPaths, host: systemHost }), clock: systemClock, redactor },
    { signal: AbortSignal.timeout(30_000), phase: () => undefined },
  );
  if (answer.state !== 'connected') throw new Error(answer.reason);
  return answer.session;
}

/** All of an outcome that people read. */
export function words(outcome: Outcome): string {
  return outcome.kind === 'done'
    ? outcome.summary
    : [outcome.what, ...(outcome.details ?? []), outcome.hint ?? ''].join('\n');
}

export function status(outcome: Outcome): number {
  return outcome.kind === 'done' ? 0 : outcome.status;
}
