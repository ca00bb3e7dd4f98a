import type { Statement } from './split.ts';

/** What a statement asks of the transaction around it. */
export type Kind =
  /** Runs anywhere. */
  | 'plain'
  /** Runs anywhere and changes no data: SET, SHOW … */
  | 'setting'
  /** Postgres refuses it inside a transaction block. */
  | 'outside'
  /** ALTER TYPE … ADD VALUE: refused inside a transaction before Postgres 12. */
  | 'add-value'
  | 'begin'
  | 'commit'
  | 'rollback'
  /** Ends or splits the transaction in a way that no record could be part of. */
  | 'two-phase';

/**
 * Which statements must run outside a transaction block, as Postgres' own pages say of each command
 * (PreventInTransactionBlock in its source).
 */
export function kindOf(statement: Statement): Kind {
  const { words } = statement;
  const [first = '', second = '', third = ''] = words;
  switch (first) {
    case 'BEGIN':
      return 'begin';
    case 'START':
      return second === 'TRANSACTION' ? 'begin' : 'plain';
    case 'COMMIT':
    case 'END':
      return second === 'PREPARED' ? 'two-phase' : 'commit';
    case 'ABORT':
      return 'rollback';
    case 'ROLLBACK':
      if (second === 'PREPARED') return 'two-phase';
      // ROLLBACK [WORK|TRANSACTION] TO [SAVEPOINT] name stays inside.
      return second === 'TO' || third === 'TO' ? 'plain' : 'rollback';
    case 'PREPARE':
      return second === 'TRANSACTION' ? 'two-phase' : 'plain';
    case 'SET':
    case 'RESET':
    case 'SHOW':
      return 'setting';
    case 'VACUUM':
      return 'outside';
    case 'CLUSTER':
      return isWholeCluster(words) ? 'outside' : 'plain';
    case 'REINDEX':
      return words.includes('CONCURRENTLY') ||
        words.some((word) => wholeReindex.has(word)) ||
        isConcurrent(statement.options)
        ? 'outside'
        : 'plain';
    case 'CREATE':
      return isOutsideCreate(second, third, words) ? 'outside' : 'plain';
    case 'DROP':
      return isOutsideDrop(second, third) ? 'outside' : 'plain';
    case 'ALTER':
      return kindOfAlter(second, words);
    default:
      return 'plain';
  }
}

/** COMMIT AND CHAIN, ROLLBACK AND CHAIN: the next transaction is open at once. */
export function chains({ words }: Statement): boolean {
  const at = words.indexOf('CHAIN');
  return at > 0 && words[at - 1] === 'AND';
}

/**
 * What ends with its transaction, so that outside of one nothing of it is left: SET LOCAL, SET TRANSACTION and SET
 * CONSTRAINTS, of which Postgres only warns, set_config(…, true), locks of a transaction, and ON COMMIT DROP.
 * @param script what the statement stands in
 */
export function isForTransaction({ words, start, end }: Statement, script: string): boolean {
  const [first = '', second = ''] = words;
  if (first === 'SET') return second === 'LOCAL' || second === 'TRANSACTION' || second === 'CONSTRAINTS';
  if (first === 'CREATE') {
    const at = words.indexOf('COMMIT');
    return at > 0 && words[at - 1] === 'ON' && (words[at + 1] === 'DROP' || words[at + 1] === 'DELETE');
  }
  if (first !== 'SELECT') return false;
  if (words.some((word) => /^PG_(?:TRY_)?ADVISORY_XACT_LOCK/.test(word))) return true;
  return (
    words.includes('SET_CONFIG') && localSetting.test(script.slice(start, Math.min(end, start + 10_000)))
  );
}

const localSetting =
  /\bset_config\s*\(\s*(?:[^',()]|'(?:[^']|'')*')*,\s*(?:[^',()]|'(?:[^']|'')*')*,\s*(?:true|'(?:t(?:r(?:ue?)?)?|on|y(?:es?)?|1)')\s*(?:::\s*bool(?:ean)?\s*)?\)/i;

/** After it the transaction takes no writes, a record's neither: READ WRITE cannot follow once anything was asked. */
export function makesReadOnly({ words, start, end }: Statement, script: string): boolean {
  const [first = ''] = words;
  if (first === 'BEGIN' || first === 'START' || words.slice(0, 3).includes('TRANSACTION'))
    return words[words.lastIndexOf('READ') + 1] === 'ONLY' && words.includes('READ');
  if (first !== 'SET' || !words.slice(1, 3).includes('TRANSACTION_READ_ONLY')) return false;
  return !/(?:=|\sto)\s*'?(?:off|false|no|0|default)'?$/i.test(script.slice(start, end).trimEnd());
}

/**
 * REINDEX (CONCURRENTLY): of several the last one counts, and it is on unless it is switched off
 * (ExecReindex and defGetBoolean in Postgres' source).
 */
function isConcurrent(options = ''): boolean {
  const inside = options.replaceAll(/--[^\r\n]*|\/\*[^]*?\*\//g, ' ').replace(/^[^(]*\(([^)]*)\)[^]*$/, '$1');
  const values = inside
    .split(',')
    .map((option) => /^\s*"?concurrently"?(?![\w$])\s*([^]*?)\s*$/i.exec(option)?.[1])
    .filter((value) => value !== undefined);
  const last = values.at(-1);
  return last !== undefined && !/^(?:["']?(?:false|off)["']?|0)$/i.test(last);
}

const wholeReindex = new Set(['DATABASE', 'SYSTEM', 'SCHEMA']);

function isWholeCluster(words: readonly string[]): boolean {
  return words.slice(1).every((word) => word === 'VERBOSE' || word === '(' || word === ')');
}

function isOutsideCreate(second: string, third: string, words: readonly string[]): boolean {
  if (second === 'INDEX') return third === 'CONCURRENTLY';
  if (second === 'UNIQUE') return words[3] === 'CONCURRENTLY';
  return second === 'DATABASE' || second === 'TABLESPACE' || second === 'SUBSCRIPTION';
}

function isOutsideDrop(second: string, third: string): boolean {
  if (second === 'INDEX') return third === 'CONCURRENTLY';
  return second === 'DATABASE' || second === 'TABLESPACE' || second === 'SUBSCRIPTION';
}

function kindOfAlter(second: string, words: readonly string[]): Kind {
  if (second === 'SYSTEM') return 'outside';
  if (second === 'DATABASE') return words.includes('TABLESPACE') ? 'outside' : 'plain';
  if (second === 'SUBSCRIPTION') {
    return words.includes('REFRESH') || words.includes('PUBLICATION') ? 'outside' : 'plain';
  }
  if (second === 'TABLE') {
    const detach = words.indexOf('DETACH');
    return detach > 0 && words.slice(detach).some((word) => word === 'CONCURRENTLY' || word === 'FINALIZE')
      ? 'outside'
      : 'plain';
  }
  if (second === 'TYPE') {
    const add = words.indexOf('ADD');
    return add > 0 && words[add + 1] === 'VALUE' ? 'add-value' : 'plain';
  }
  return 'plain';
}

/**
 * True where a failure of the statement leaves nothing behind. The others work in several transactions of their own
 * and can leave a part, such as an INVALID index.
 */
export function isAllOrNothing(statement: Statement): boolean {
  const { words } = statement;
  if (words.includes('CONCURRENTLY')) return false;
  const [first = ''] = words;
  // A procedure may commit on its way; so may VACUUM, CLUSTER and REINDEX of many tables.
  return (
    first !== 'CALL' && first !== 'DO' && first !== 'VACUUM' && first !== 'CLUSTER' && first !== 'REINDEX'
  );
}

/** A statement in a few words for people, up to its first value: `CREATE INDEX CONCURRENTLY users_email …`. */
export function shortText(text: string, statement: Statement): string {
  const end = Math.min(statement.end, statement.start + 200);
  const raw = Buffer.from(text.slice(statement.start, end), 'latin1').toString();
  const head = /^[\p{L}\p{N}_".\s]*/u.exec(raw)?.[0] ?? '';
  const words = head.trim().split(/\s+/).join(' ');
  const shown = words.length > 60 ? words.slice(0, 61).replace(/\s*\S*$/, '') : words;
  return shown === words && head === raw && end === statement.end ? shown : `${shown} …`;
}

/** The table and, where it is named, the index of CREATE INDEX CONCURRENTLY, as SQL writes them. */
export function builtIndex(
  statement: Statement,
): { readonly table: string; readonly index?: string } | undefined {
  const words = statement.words;
  if (words[0] !== 'CREATE' || !words.slice(1, 4).includes('CONCURRENTLY')) return undefined;
  const on = words.indexOf('ON');
  let at = words.indexOf('CONCURRENTLY') + 1;
  if (words[at] === 'IF') at += 3; // IF NOT EXISTS
  const first = words[on + 1] === 'ONLY' ? on + 2 : on + 1;
  const name = words[first];
  if (on < 0 || name === undefined) return undefined;
  let table = name;
  for (let next = first + 1; words[next] === '.'; next += 2) table += `.${words[next + 1] ?? ''}`;
  const index = at < on ? words[at] : undefined;
  return index === undefined ? { table } : { table, index };
}
