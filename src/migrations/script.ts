import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';

import { reasonOf } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { UsageError } from '../core/outcome.ts';
import { readInput, whyUnread } from '../fs/input-file.ts';
import { chains, isForTransaction, kindOf, makesReadOnly, shortText } from './classify.ts';
import type { Found, Naming } from './discover.ts';
import { utf8Of } from './latin1.ts';
import { partsOf, type Marking } from './markers.ts';
import { lineAt, split, type Statement } from './split.ts';

/** A file's part that migrates up, in memory. Kept no longer than it is needed: files may be large. */
export interface Script {
  readonly found: Found;
  /** As Latin-1: one character per byte. */
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly marking: Marking;
  /** False where the file says that it must not run in a transaction. */
  readonly transaction: false | undefined;
  /** Of the part, less a BOM, with line ends as LF: the same on every checkout. In hex. */
  readonly sha256: string;
}

/** Where the script's statements run: in one transaction with the record, or one by one without. */
export type Mode = 'transaction' | 'outside';

/** What is known of a script before anything runs. */
export interface Preparation {
  readonly mode: Mode;
  /** Why it runs outside a transaction, for people. */
  readonly reason: string | undefined;
  readonly statements: number;
  /** The script's own BEGIN, where its first and last statement are BEGIN and COMMIT around all of it. */
  readonly ownBegin: string | undefined;
}

/** V8 holds no longer string (2^29 - 24 characters). */
const largest = 500 * 1024 * 1024;

/**
 * Reads a file and finds its part that migrates up.
 * @throws UsageError: unreadable, empty, not UTF-8, its marks are wrong
 */
export async function readScript(found: Found, naming: Naming): Promise<Script> {
  const bytes = contentOf(found.path);
  checkText(bytes, found.path);
  const offset = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const text = bytes.toString('latin1', offset);
  if (/^\s*$/.test(text))
    throw new UsageError(`${found.path} is empty; a migration holds at least one statement`);
  const parts = partsOf(text, found.file);
  if (parts.marking !== 'none' && naming !== 'numbered') {
    throw new UsageError(
      `${found.file} is named as ${naming} has it, but marked as ${parts.marking} has it; keep one of the two`,
    );
  }
  const settings = settingsOf(found);
  if (naming === 'flyway' && settings.placeholders) refusePlaceholders(text, found.file);
  if (parts.marking === 'tern') refuseTemplates(text, found.file);
  return {
    found,
    text,
    from: parts.from,
    to: parts.to,
    marking: parts.marking,
    transaction: settings.transaction ?? parts.transaction,
    sha256: checksum(bytes.subarray(offset + parts.from, offset + parts.to)),
  };
}

function contentOf(path: string): Buffer {
  try {
    return readInput(path, largest);
  } catch (error) {
    throw new UsageError(`${path} ${whyUnread(error)}`, { cause: error });
  }
}

function checkText(bytes: Buffer, path: string): void {
  if (bytes.length === 0) throw new UsageError(`${path} is empty; a migration holds at least one statement`);
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new UsageError(`${path} is UTF-16; save it as UTF-8`);
  }
  if (!isUtf8(bytes)) throw new UsageError(`${path}:${badLine(bytes)}: not UTF-8; save the file as UTF-8`);
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new UsageError(
      `${path}:${lineAt(bytes.toString('latin1'), zero)}: a zero byte, which no SQL may hold`,
    );
  }
}

function badLine(bytes: Buffer): number {
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const next = bytes.indexOf(0x0a, from);
    const end = next < 0 ? bytes.length : next;
    if (!isUtf8(bytes.subarray(from, end))) return line;
    from = end + 1;
  }
  return line;
}

function checksum(bytes: Buffer): string {
  return createHash('sha256').update(withLineFeeds(bytes)).digest('hex');
}

/** CRLF and CR as LF, so that a checkout with other line ends is no drift. */
function withLineFeeds(bytes: Buffer): Buffer {
  if (!bytes.includes(0x0d)) return bytes;
  const result = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] as number;
    if (byte !== 0x0d) result[length++] = byte;
    else if (bytes[index + 1] !== 0x0a) result[length++] = 0x0a;
  }
  return result.subarray(0, length);
}

/** Flyway's script settings: https://documentation.red-gate.com/fd/script-configuration-277579020.html */
function settingsOf(found: Found): { transaction: false | undefined; placeholders: boolean } {
  let transaction: false | undefined;
  let placeholders = true;
  if (found.settings === undefined) return { transaction, placeholders };
  const lines = contentOf(found.settings)
    .toString()
    .split(/\r\n?|\n/);
  for (const [index, line] of lines.entries()) {
    const match = /^\s*(?:([A-Za-z.]+)\s*=\s*(.*?)\s*|#.*|)$/.exec(line);
    const [, name, value] = match ?? [];
    if (match && name === undefined) continue;
    if (name === 'executeInTransaction' && value === 'false') transaction = false;
    else if (name === 'placeholderReplacement' && value === 'false') placeholders = false;
    else if (!(value === 'true' && (name === 'executeInTransaction' || name === 'placeholderReplacement'))) {
      throw new UsageError(
        `${found.settings}:${index + 1}: "${line.trim()}" is not supported; executeInTransaction and placeholderReplacement are`,
      );
    }
  }
  return { transaction, placeholders };
}

function refusePlaceholders(text: string, where: string): void {
  const match = /\$\{[^}\r\n]*\}/.exec(text);
  if (match === null) return;
  throw new UsageError(
    `${where}:${lineAt(text, match.index)}: Flyway would replace ${utf8Of(match[0])}; placeholders are not supported (where it is no placeholder, a file ${where}.conf with placeholderReplacement=false says so)`,
  );
}

/** tern carries out the whole file as a Go template first, strings and comments too. */
function refuseTemplates(text: string, where: string): void {
  const match = /\{\{[^\r\n]{0,60}?(?:\}\}|$)|\{\{/m.exec(text);
  if (match === null) return;
  throw new UsageError(
    `${where}:${lineAt(text, match.index)}: tern would replace ${utf8Of(match[0])}; templates are not supported (write what it stands for)`,
  );
}

/** The script's statements, in order. */
export function statementsOf(script: Script, standardStrings: boolean): Generator<Statement> {
  // Offsets stay those of the file, and so do the lines.
  const text = script.to === script.text.length ? script.text : script.text.slice(0, script.to);
  return split(text, script.found.file, standardStrings, script.from);
}

/** Milliseconds of work after which others, such as a signal's handler, get their turn. */
const turn = 40;

/**
 * Goes over all statements before any of them runs, and finds how the script must be run.
 * @param serverVersion as server_version_num: 150004
 * @throws UsageError with file and line, where the script cannot be run as it is; the signal's reason
 */
export async function prepare(
  script: Script,
  server: { readonly version: number; readonly standardStrings: boolean },
  { clock, signal }: Pick<Context, 'clock' | 'signal'>,
): Promise<Preparation> {
  const tally = new Tally(script, server.version);
  let since = clock.now();
  for (const statement of statementsOf(script, server.standardStrings)) {
    tally.add(statement);
    if (clock.now() - since > turn) {
      await new Promise((resolve) => void setImmediate(resolve));
      if (signal.aborted) throw reasonOf(signal);
      since = clock.now();
    }
  }
  return tally.result();
}

class Tally {
  readonly #script: Script;
  readonly #version: number;
  #statements = 0;
  #first: Statement | undefined;
  #lastKind: string | undefined;
  /** The first statement of each sort. */
  #outside: Statement | undefined;
  #inside: Statement | undefined;
  /** What has an effect in a transaction alone, where none is open. */
  #local: Statement | undefined;
  #readOnly: Statement | undefined;
  #transactions: Statement[] = [];
  #open = false;

  constructor(script: Script, version: number) {
    this.#script = script;
    this.#version = version;
  }

  add(statement: Statement): void {
    const kind = kindOf(statement);
    this.#refuse(statement);
    this.#statements++;
    this.#first ??= statement;
    this.#lastKind = kind;
    if (makesReadOnly(statement, this.#script.text)) this.#readOnly ??= statement;
    if (kind === 'two-phase') {
      throw this.#problem(
        statement,
        'a prepared transaction outlives the file, so that no record can be part of it',
      );
    }
    if (kind === 'begin' || kind === 'commit' || kind === 'rollback') {
      if ((kind === 'begin') === this.#open) {
        throw this.#problem(
          statement,
          this.#open ? 'a transaction is begun inside another' : 'there is no transaction to end here',
        );
      }
      this.#open = kind === 'begin' || chains(statement);
      if (this.#transactions.length < 3) this.#transactions.push(statement);
    } else if (kind === 'outside' || (kind === 'add-value' && this.#version < 120_000)) {
      if (this.#open) {
        throw this.#problem(statement, `${this.#short(statement)} cannot run between BEGIN and COMMIT`);
      }
      this.#outside ??= statement;
    } else if (isForTransaction(statement, this.#script.text) && !this.#open) this.#local ??= statement;
    else if (kind !== 'setting') this.#inside ??= statement;
  }

  result(): Preparation {
    const { found, transaction } = this.#script;
    const first = this.#first;
    if (first === undefined) {
      throw new UsageError(
        `${found.path} holds no statement that migrates up; to keep its number, write SELECT 1`,
      );
    }
    const begin = this.#transactions[0];
    if (this.#open)
      throw this.#problem(
        this.#transactions.at(-1) ?? first,
        'the transaction that begins here is never ended',
      );
    const plan = { statements: this.#statements, ownBegin: undefined };
    const outside = this.#outside;
    if ((transaction === false || outside !== undefined) && this.#local !== undefined) {
      throw this.#problem(
        this.#local,
        `${this.#short(this.#local)} has no effect outside a transaction, where this file runs${transaction === false ? '' : ` (${this.#short(outside ?? first)} cannot run in one)`}; for the whole file write SET without LOCAL, or put BEGIN and COMMIT around what it is for`,
      );
    }
    if (transaction === false) return { ...plan, mode: 'outside', reason: 'the file says so' };
    if (outside !== undefined) {
      const other = this.#inside ?? begin;
      if (other !== undefined) {
        throw this.#problem(
          outside,
          `${this.#short(outside)} cannot run in a transaction, but the file also holds ${this.#short(other)} (line ${this.#line(other)}), which should; put them in two files, or add the line "-- initbox:no-transaction" to run all of it statement by statement, without a transaction`,
        );
      }
      return { ...plan, mode: 'outside', reason: `${this.#short(outside)} cannot run in a transaction` };
    }
    if (this.#readOnly !== undefined) {
      throw this.#problem(
        this.#readOnly,
        `${this.#short(this.#readOnly)} makes the transaction read only, and the file's record is written in the same one; take it out, or add the line "-- initbox:no-transaction" to run the file statement by statement`,
      );
    }
    if (begin === undefined) return { ...plan, mode: 'transaction', reason: undefined };
    const wraps = begin === first && this.#transactions.length === 2 && this.#lastKind === 'commit';
    if (!wraps) {
      throw this.#problem(
        begin,
        'the file ends transactions of its own on its way, so that its record cannot be part of one; take BEGIN and COMMIT out, split the file, or add the line "-- initbox:no-transaction" to run it statement by statement',
      );
    }
    return {
      mode: 'transaction',
      reason: undefined,
      statements: this.#statements - 2,
      ownBegin: this.#script.text.slice(begin.start, begin.end),
    };
  }

  /** A session in another encoding would store what this process sends, UTF-8, as something else. */
  #refuse(statement: Statement): void {
    const { words } = statement;
    if (words[0] !== 'SET' || !(words.includes('CLIENT_ENCODING') || words.includes('NAMES'))) return;
    const text = this.#script.text.slice(statement.start, statement.end);
    if (/(?:utf-?8|unicode|default)\W*$/i.test(text)) return;
    throw this.#problem(statement, 'the file is sent as UTF-8, so that client_encoding must stay UTF8');
  }

  #line(statement: Statement): number {
    return lineAt(this.#script.text, statement.start);
  }

  #short(statement: Statement): string {
    return shortText(this.#script.text, statement);
  }

  #problem(statement: Statement, what: string): UsageError {
    return new UsageError(`${this.#script.found.file}:${this.#line(statement)}: ${what}`);
  }
}
