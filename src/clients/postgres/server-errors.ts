import { exitStatus } from '../../core/exit-status.ts';
import { connectHint, socketWords } from '../../core/socket-errors.ts';
import { silentHint } from '../../wait/attempt-timeout.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';

/** An error that the server sent. */
export interface ServerError extends Error {
  /** SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
  readonly code: string;
  readonly severity?: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The SQLSTATEs that this program tells apart. */
export const sqlState = {
  insufficientPrivilege: '42501',
  undefinedTable: '42P01',
  undefinedSchema: '3F000',
  undefinedObject: '42704',
  readOnlyTransaction: '25006',
  adminShutdown: '57P01',
  idleSessionTimeout: '57P05',
  cannotConnectNow: '57P03',
} as const;

export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code)) &&
    'severity' in error
  );
}

/** The error's SQLSTATE; undefined where no server said anything. */
export function sqlStateOf(error: unknown): string | undefined {
  return isServerError(error) ? error.code : undefined;
}

/** What people should look at, by SQLSTATE. */
const hints: Readonly<Record<string, string>> = {
  '28P01': 'is the Secret that holds the password the one of this database’s role?',
  '28000':
    'the server’s pg_hba.conf refuses this role, database, address or lack of TLS; or the role may not log in',
  '3D000': 'the database must be created first: init containers do not create it',
  '42501': 'the role needs CONNECT on this database',
  '53300': 'other clients hold all of the server’s connections: look at max_connections and at pools’ sizes',
  '57P03': 'the server is starting up or shutting down',
};

/** Login failures that waiting does not change. */
const final: ReadonlySet<string> = new Set(['28P01', '28000', '3D000', '42501', '0A000', '22023', '42704']);

/** What the server said at login, as an answer. */
export function judgeLogin(error: ServerError, peer: string): NotYet | Never {
  const { code } = error;
  const words = `${error.message} (${code}, ${peer})`;
  const hint = hints[code];
  if (final.has(code)) return never(exitStatus.refused, words, hint);
  // PgBouncer answers nearly everything with 08P01: what will not change is told by its text alone.
  if (code === '08P01' && /startup parameter|no such (database|user)|not allowed/i.test(error.message)) {
    return never(
      exitStatus.refused,
      words,
      /startup parameter/i.test(error.message)
        ? 'a pooler answered: it accepts no options at login; connect to the server itself'
        : undefined,
    );
  }
  return notYet(words, { hint });
}

/** The code of a server that accepts the connection and says nothing. */
export const silent = 'silent';

/** Why no connection came about, as an answer; all of it may change. */
export function judgeSocket(error: unknown, peer: string): NotYet {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return notYet(`${wordsFor(code) ?? (error as Error).message} (${peer})`, {
    hint: code === silent ? silentHint : connectHint(code),
    absent: code === 'ECONNREFUSED' || code === 'ENOENT',
  });
}

function wordsFor(code: string): string | undefined {
  return code === silent ? 'no answer' : socketWords(code);
}

/** Any error of a connection or a statement in one line, for a reason or a log. */
export function errorWords(error: unknown): string {
  if (isServerError(error)) return `${error.message} (${error.code})`;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return wordsFor(code) ?? (error instanceof Error ? error.message : String(error));
}
