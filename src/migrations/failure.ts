import { sqlStateOf } from '../clients/postgres/server-errors.ts';
import { excerpt } from '../core/excerpt.ts';
import { exitStatus } from '../core/exit-status.ts';
import { lineAt } from './split.ts';

/** What the server says beside an error's message (https://www.postgresql.org/docs/current/protocol-error-fields.html). */
interface ServerError {
  readonly message: string;
  readonly severity?: string | undefined;
  readonly position?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly where?: string | undefined;
}

/** A piece of a script that was sent in one message. */
export interface Piece {
  readonly text: string;
  /** The line of its first character, and of its last one, in the file. */
  readonly firstLine: number;
  readonly lastLine: number;
  readonly statements: number;
  /** The statement in a few words; of several, the first. */
  readonly short: string;
  /** Where it begins in the script. */
  readonly start: number;
  /** Whether it was cut out by the rules of standard_conforming_strings on. */
  readonly standardStrings: boolean;
}

export interface Explained {
  readonly what: string;
  readonly details: readonly string[];
  readonly hint: string | undefined;
  readonly status: number;
}

/** The class of SQLSTATEs in which a pooler, say, tells of a connection of its own that broke. */
const connectionException = '08';

/** True where the server refused the statement and lives: its effect is known. */
export function isServerRefusal(error: unknown): boolean {
  return (
    sqlStateOf(error)?.startsWith(connectionException) === false &&
    (error as ServerError).severity !== 'FATAL' &&
    (error as ServerError).severity !== 'PANIC'
  );
}

/**
 * An error of a script's statement, with the file's line where the server tells where it is.
 * @param whereThere what to do where something that a statement makes is there already
 */
export function explainStatementError(
  error: unknown,
  file: string,
  piece: Piece | undefined,
  redact: (text: string) => string,
  whereThere: string | undefined,
): Explained {
  const said = error as ServerError;
  const code = sqlStateOf(error) ?? '';
  const details: string[] = [];
  if (piece !== undefined) {
    details.push(
      piece.statements === 1 || said.position !== undefined
        ? `in: ${piece.short}`
        : `in one of ${piece.statements} statements that were sent together, lines ${piece.firstLine} to ${piece.lastLine}`,
    );
  }
  if (said.detail) details.push(`detail: ${said.detail}`);
  if (said.where) details.push(`where: ${innermost(said.where, redact)}`);
  const own = hintOf(code, said.message, whereThere);
  if (own !== undefined && said.hint) details.push(`hint of the server: ${said.hint}`);
  return {
    what: `${file}${lineOf(said, piece)}: ${said.message}${code ? ` (SQLSTATE ${code})` : ''}`,
    details,
    hint: own ?? said.hint,
    status: statusOf(code),
  };
}

/** The first line of where it happened, of a text that is redacted before it is cut. */
function innermost(where: string, redact: (text: string) => string): string {
  return excerpt(where, Number.POSITIVE_INFINITY, redact).split('\n', 1)[0]!;
}

/**
 * A refusal that only a change of rights or of the server's set-up ends is 69. All else is 1: the script is wrong, the
 * data does not fit it, or something passed that a restart may not meet again.
 */
function statusOf(code: string): number {
  return code === '42501' || code.startsWith('28') || code === '0A000'
    ? exitStatus.refused
    : exitStatus.failed;
}

function lineOf(error: ServerError, piece: Piece | undefined): string {
  if (piece === undefined) return '';
  const position = Number(error.position);
  if (!(position > 0)) return `:${piece.firstLine}`;
  return `:${piece.firstLine + lineAt(piece.text, utf16Offset(piece.text, position - 1)) - 1}`;
}

/** The server counts characters, JavaScript counts UTF-16 units. */
function utf16Offset(text: string, characters: number): number {
  let offset = 0;
  for (let left = characters; left > 0 && offset < text.length; left--) {
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

const outsideAdvice =
  'give it a file of its own with the line "-- initbox:no-transaction", which runs it outside a transaction';

/** What to do, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
function hintOf(code: string, message: string, whereThere: string | undefined): string | undefined {
  switch (code) {
    case '25001':
      return message.startsWith('SET TRANSACTION')
        ? 'write BEGIN ISOLATION LEVEL … as the first and COMMIT as the last statement of the file'
        : outsideAdvice;
    case '2D000':
      return `a procedure or block that commits cannot run in the file's transaction; ${outsideAdvice}`;
    case '55P04':
      return 'a value that ALTER TYPE … ADD VALUE has added can be used only after its transaction; put its use in the next file, or add the line "-- initbox:no-transaction" to run this one statement by statement';
    case '42501':
      return 'give the role what it lacks, or run migrations as the owner of these objects';
    case '42P07':
    case '42701':
    case '42710':
      return whereThere;
    case '40P01':
    case '40001':
    case '55P03':
      return 'the file was rolled back; a restart runs it again';
    case '57014':
      return /timeout/.test(message)
        ? 'look at statement_timeout of the role and the database, or set it in the file'
        : undefined;
    case '25006':
      return 'this server takes no writes: is it a standby, or default_transaction_read_only?';
    case '53100':
      return 'the server’s disk is full';
    default:
      return undefined;
  }
}
