import { connectHint, socketWords } from '../../core/socket-errors.ts';
import { silentHint } from '../../wait/attempt-timeout.ts';
import { notYet, type NotYet } from '../../wait/attempt.ts';

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
