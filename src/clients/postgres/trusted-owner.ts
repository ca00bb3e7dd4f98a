import { integerIn, letterIn, textOrNullIn, textsIn } from './answer-row.ts';
import {
  columnsOf,
  hasKey,
  likelyValue,
  manner,
  misshape,
  misuse,
  peculiaritiesOf,
} from './records-shape.ts';
import { sqlState } from './server-errors.ts';
import type { QueryOptions, QueryResult } from './session.ts';

/**
 * The schema is fixed and always written out: left to the search path, two roles made two tables, and both ran.
 */
export const recordsSchema = 'initbox';

/** What can run a statement. */
export interface Asking {
  query(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult>;
}

/** OID of pg_database_owner, whose one member is the database's owner (catalog/pg_authid.dat). */
const databaseOwnerRole = 6171;

/**
 * SQL that is true of a role whose relations this session may read and write.
 *
 * Whoever owns a relation decides what is run by those who use it: triggers, rules, policies, defaults, and functions
 * in index expressions, index predicates and extended statistics, which are evaluated as early as a query is planned,
 * with the rights of the role that asks (https://www.postgresql.org/docs/current/sql-createtrigger.html,
 * https://wiki.postgresql.org/wiki/A_Guide_to_CVE-2018-1058). Trusted are therefore this role, those that have its rights
 * anyway (superusers and its members), and the owner of the database. That this role is a member of the owner is no
 * evidence: before PostgreSQL 16 any role could make another one its member.
 * @param owner the owner's OID
 */
export function isTrusted(owner: string): string {
  return `(pg_catalog.pg_has_role(${owner}, current_user, 'USAGE') OR pg_catalog.pg_has_role(${owner}, session_user, 'USAGE')
    OR ${owner} OPERATOR(pg_catalog.=) ${databaseOwnerRole}::pg_catalog.oid
    OR pg_catalog.pg_has_role(${owner}, (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()), 'USAGE'))`;
}

/** The records are there, and nobody here may or can use them. */
export abstract class UnusableRecords extends Error {
  /** For all who ask, a role that may not use the records. */
  readonly code = sqlState.insufficientPrivilege;
  readonly severity = 'ERROR';
  abstract readonly advice: string;
}

/** A table of the records is not as this program makes it: its statements would fail, or mean something else. */
export class MisshapenRecords extends UnusableRecords {
  override readonly name = 'MisshapenRecords';
  readonly advice: string;

  /** @param mend a statement that makes it so again */
  constructor(table: RecordsTable, problem: string, mend?: string) {
    super(`the table ${recordsSchema}.${table} is not as initbox makes it: ${problem}`);
    if (mend !== undefined) {
      this.advice = `run as its owner: ${mend}`;
      return;
    }
    this.advice = `did something else make it, or a restore end before its keys? put it away (ALTER TABLE ${recordsSchema}.${table} RENAME TO ${table}_old), and the next start makes a new one; ${
      table === 'locks'
        ? 'its rows are not needed while nobody holds a lock'
        : 'what its rows say is done is known only once they are copied'
    }`;
  }
}

/** A row of the records holds what this program cannot have written, and what it means cannot be known. */
export class OddRecord extends UnusableRecords {
  override readonly name = 'OddRecord';
  readonly advice: string;

  /**
   * @param row which row, as SQL that is true of it
   * @param odd what oddValue gives
   */
  constructor(table: RecordsTable, row: string, odd: string) {
    const space = odd.indexOf(' ');
    const [column, value] = [odd.slice(0, space), odd.slice(space + 1)];
    const name = `${recordsSchema}.${table}`;
    const noNext = column === 'token' && table === 'locks' && value.length >= 19;
    super(
      `the row of ${name} where ${row} holds what initbox cannot have written${noNext ? ', or what nothing can come after' : ''}: ${column} is ${value}`,
    );
    // For people, who choose their own search path.
    const set = `put in what is true, such as: UPDATE ${name} SET ${column} = ${likelyValue(table, column)} WHERE ${row}`;
    const remove = `DELETE FROM ${name} WHERE ${row}`;
    this.advice =
      table === 'locks'
        ? `once nobody holds the lock, run: ${remove}`
        : `${set}; or have the work done again: ${remove}`;
  }
}

/** The schema or a table of the records belongs to a role that is not trusted: to touch it could run that role's code. */
export class UntrustedRecords extends UnusableRecords {
  override readonly name = 'UntrustedRecords';
  readonly advice: string;

  constructor(what: string, owner: string, role: string, wayOut: string) {
    super(
      `${what} belongs to the role ${owner}, which ${role} does not trust: statements on it could run that role’s code with the rights of ${role}`,
    );
    this.advice = `if you know who made it, run as a superuser: ${wayOut}; otherwise look at what is in the schema ${recordsSchema}, and drop it`;
  }
}

/** The tables that this program keeps in its schema. */
export type RecordsTable = 'locks' | 'once' | 'sql_migrations';

export interface Records {
  /** The table is there. */
  readonly found: boolean;
  /** The backend that answered. */
  readonly pid: number;
}

/** A table whose owner, and whose schema’s owner, were judged to be trusted, and whose manner was: its OIDs, and theirs. */
interface Judged {
  readonly table: unknown;
  readonly manner: unknown;
  readonly owner: unknown;
  readonly schema: unknown;
  readonly schemaOwner: unknown;
}

/** What each session has judged: that it is the same still costs the server a fraction of asking whether it is trusted. */
const judged = new WeakMap<Asking, Map<RecordsTable, Judged>>();

/**
 * Looks who owns the schema and the table before a statement names them. Of both, only roles that are trusted can
 * change or exchange what was found: a schema's owner, and a table's. In a schema of a trusted owner a table may also be
 * of a role to which CREATE was granted there by name, since the owner decided on that.
 * @throws UntrustedRecords, MisshapenRecords
 */
export async function findRecords(
  session: Asking,
  table: RecordsTable,
  options: QueryOptions = {},
): Promise<Records> {
  const { rows } = await session.query(
    `SELECT pg_catalog.pg_backend_pid() AS pid, found.*, current_user AS role, pg_catalog.quote_ident(current_user) AS quoted_role,
       (SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.datdba)) FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) AS database_owner
     FROM (SELECT 1) AS one LEFT JOIN (
       SELECT n.oid AS schema, n.nspowner, c.oid AS "table", c.relowner, ${columnsOf('c.oid')} AS columns, ${manner('c')} AS manner, ${peculiaritiesOf(table, 'c')},
         pg_catalog.pg_get_userbyid(n.nspowner) AS schema_owner, ${isTrusted('n.nspowner')} AS schema_trusted,
         pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(n.nspowner)) AS quoted_schema_owner,
         pg_catalog.pg_get_userbyid(c.relowner) AS table_owner,
         ${isTrusted('c.relowner')} OR EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a
           WHERE a.grantee OPERATOR(pg_catalog.=) c.relowner AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE') AS table_trusted
       FROM pg_catalog.pg_namespace AS n
       LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) '${table}'
       WHERE n.nspname OPERATOR(pg_catalog.=) '${recordsSchema}') AS found ON true`,
    undefined,
    options,
  );
  const row = rows[0] ?? {};
  const text = (column: string): string => textOrNullIn(row, column) ?? '';
  const [role, databaseOwner, schemaOwner] = [
    text('quoted_role'),
    text('database_owner'),
    text('quoted_schema_owner'),
  ];
  const schemaThere = (row['schema_owner'] ?? null) !== null;
  if (schemaThere && row['schema_trusted'] !== true)
    throw new UntrustedRecords(
      `the schema ${recordsSchema}`,
      text('schema_owner'),
      role,
      `ALTER SCHEMA ${recordsSchema} OWNER TO ${databaseOwner}; GRANT USAGE, CREATE ON SCHEMA ${recordsSchema} TO ${[...new Set([schemaOwner, role])].join(', ')}`,
    );
  const found = (row['table_owner'] ?? null) !== null;
  if (found && row['table_trusted'] !== true)
    throw new UntrustedRecords(
      `the table ${recordsSchema}.${table}`,
      text('table_owner'),
      role,
      `ALTER TABLE ${recordsSchema}.${table} OWNER TO ${databaseOwner}; GRANT SELECT, INSERT, UPDATE, DELETE ON ${recordsSchema}.${table} TO ${role}`,
    );
  if (found) {
    const relkind = letterIn(row, 'relkind');
    const problem = misshape(table, relkind, textsIn(row, 'columns'));
    if (problem !== undefined) throw new MisshapenRecords(table, problem);
    const wrong = misuse(`${recordsSchema}.${table}`, {
      relkind,
      relpersistence: letterIn(row, 'relpersistence'),
      secured: row['secured'] === true,
      rules: textsIn(row, 'rules'),
      children: textsIn(row, 'children'),
      generated: textsIn(row, 'generated'),
      needed: textsIn(row, 'needed'),
      constraints: textsIn(row, 'constraints'),
      uniques: textsIn(row, 'uniques'),
    });
    if (wrong !== undefined) throw new MisshapenRecords(table, wrong.problem, wrong.mend);
    const tables = judged.get(session) ?? new Map<RecordsTable, Judged>();
    judged.set(session, tables);
    tables.set(table, {
      table: row['table'],
      manner: row['manner'],
      owner: row['relowner'],
      schema: row['schema'],
      schemaOwner: row['nspowner'],
    });
  }
  return { found, pid: integerIn(row, 'pid') };
}

/** Whether the name still leads to what this session has judged, and its owners and its manner are the same. */
async function isAsJudged(session: Asking, table: RecordsTable, options: QueryOptions): Promise<boolean> {
  const known = judged.get(session)?.get(table);
  if (known === undefined) return false;
  const { rows } = await session.query(
    `SELECT ${manner('c')} AS manner FROM pg_catalog.pg_class AS c, pg_catalog.pg_namespace AS n
     WHERE c.oid OPERATOR(pg_catalog.=) ${oid(known.table)} AND c.relowner OPERATOR(pg_catalog.=) ${oid(known.owner)}
       AND c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) '${table}'
       AND n.oid OPERATOR(pg_catalog.=) ${oid(known.schema)} AND n.nspowner OPERATOR(pg_catalog.=) ${oid(known.schemaOwner)}
       AND n.nspname OPERATOR(pg_catalog.=) '${recordsSchema}'`,
    undefined,
    options,
  );
  return rows.length === 1 && rows[0]?.['manner'] === known.manner;
}

/**
 * A restore makes the keys last, and may end before: then a row can be there twice, and none can be written.
 * @throws MisshapenRecords
 */
export async function requireKey(
  session: Asking,
  table: RecordsTable,
  options: QueryOptions = {},
): Promise<void> {
  const keyed = hasKey(table, `'${recordsSchema}.${table}'::pg_catalog.regclass`);
  const { rows } = await session.query(`SELECT ${keyed} AS keyed`, undefined, options);
  if (rows[0]?.['keyed'] !== true) throw new MisshapenRecords(table, 'it has no primary key');
}

function oid(value: unknown): string {
  return `${Number(value)}::pg_catalog.oid`;
}

/**
 * As findRecords, for those who go on only where the table is there.
 * @throws UntrustedRecords, MisshapenRecords; the server's 42P01 where there is none
 */
export async function requireRecords(
  session: Asking,
  table: RecordsTable,
  options: QueryOptions = {},
): Promise<void> {
  if (await isAsJudged(session, table, options)) return;
  if ((await findRecords(session, table, options)).found) return;
  throw Object.assign(new Error(`relation "${recordsSchema}.${table}" does not exist`), {
    code: sqlState.undefinedTable,
    severity: 'ERROR',
  });
}
