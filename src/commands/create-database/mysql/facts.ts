import { mysqlText } from '../../../clients/mysql/quoted.ts';
import { MysqlRefusal, type MysqlRow, type MysqlSession } from '../../../clients/mysql/session.ts';
import { excerpt, flattened } from '../../../core/excerpt.ts';
import { mysqlRights, type MysqlRight } from '../grant.ts';
import { accountName, type WantedMysql } from './wanted.ts';

/** An account that is there. */
export interface MysqlAccount {
  /** `caching_sha2_password`; empty where the server has several ways for it, which are not taken apart. */
  readonly plugin: string;
  /** What the server stores of its password. */
  readonly stored: Buffer;
  readonly locked: boolean;
  readonly expired: boolean;
  /** Rights that it has on the database, by itself. */
  readonly rights: ReadonlySet<MysqlRight>;
}

/** What a server has of what is asked for. */
export interface MysqlFacts {
  /** Who is logged in: `admin@%`. */
  readonly me: string;
  readonly mariadb: boolean;
  /** The first number of the version. */
  readonly major: number;
  /** The database as GRANT takes it: a pattern, unless partial_revokes is on. */
  readonly pattern: string;
  /** Undefined where it is missing. */
  readonly database: { readonly encoding: string; readonly collation: string } | undefined;
  /** By user; those that are missing are not there. */
  readonly accounts: ReadonlyMap<string, MysqlAccount>;
}

/** Characters of what a server says of itself that are shown. */
const mostShown = 100;

/** ER_UNKNOWN_SYSTEM_VARIABLE */
const unknownVariable = 1193;
/** ER_WRONG_VALUE_FOR_VAR */
const wrongValue = 1231;

/** @throws MysqlRefusal, and what a session throws */
export async function readMysqlFacts(
  session: MysqlSession,
  wanted: WantedMysql,
  redact: (text: string) => string,
): Promise<MysqlFacts> {
  const shown = (text = ''): string => flattened(excerpt(text, mostShown, redact));
  await prepare(session);
  const [[me = '', version = '', lower = ''] = []] = await session.query(
    'SELECT CURRENT_USER(), VERSION(), @@GLOBAL.lower_case_table_names',
  );
  const folds = lower !== '0';
  const literal = await takesNamesLiterally(session);
  const pattern = literal ? wanted.database : wanted.database.replaceAll(/[\\_%]/g, String.raw`\$&`);
  const schemata = await session.query(
    `SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${mysqlText(wanted.database)}`,
  );
  // That comparison takes `é` for `e`, and a capital for a small letter.
  const found = schemata.find(([name = '']) => sameName(name, wanted.database, folds));
  const users = new Set([
    ...(wanted.owner === undefined ? [] : [wanted.owner]),
    ...wanted.grants.map(({ user }) => user),
  ]);
  const accounts = new Map<string, MysqlAccount>();
  for (const user of users) {
    const account = await readAccount(session, user, wanted, (name) =>
      [pattern, wanted.database].some((one) => sameName(name, one, folds)),
    );
    if (account !== undefined) accounts.set(user, account);
  }
  return {
    me: shown(me),
    mariadb: /mariadb/i.test(version),
    major: Number.parseInt(version, 10) || 0,
    pattern,
    database: found && { encoding: shown(found[1]), collation: shown(found[2]) },
    accounts,
  };
}

function sameName(a: string, b: string, folds: boolean): boolean {
  return folds ? a.toLowerCase() === b.toLowerCase() : a === b;
}

/** What SHOW writes is read here, and a GRANT must make no users, as it does without that mode before MySQL 8. */
async function prepare(session: MysqlSession): Promise<void> {
  await session.query('SET SESSION sql_quote_show_create = 1');
  try {
    await session.query("SET SESSION sql_mode = 'NO_AUTO_CREATE_USER'");
  } catch (error) {
    if (!(error instanceof MysqlRefusal) || error.code !== wrongValue) throw error;
    await session.query("SET SESSION sql_mode = ''");
  }
}

/** With partial_revokes, which came with MySQL 8.0.16, `_` and `%` in a GRANT are no wildcards, and a backslash is one of the name. */
async function takesNamesLiterally(session: MysqlSession): Promise<boolean> {
  try {
    return (await session.query('SELECT @@GLOBAL.partial_revokes'))[0]?.[0] === '1';
  } catch (error) {
    if (error instanceof MysqlRefusal && error.code === unknownVariable) return false;
    throw error;
  }
}

async function readAccount(
  session: MysqlSession,
  user: string,
  { userHost }: WantedMysql,
  isDatabase: (name: string) => boolean,
): Promise<MysqlAccount | undefined> {
  const [row] = await session.query(
    `SELECT plugin, HEX(authentication_string) FROM mysql.user WHERE User = ${mysqlText(user)} AND Host = ${mysqlText(userHost)}`,
  );
  if (row === undefined) return undefined;
  const [plugin = '', hex = ''] = row;
  const name = accountName(user, userHost);
  const [[made = ''] = []] = await session.query(`SHOW CREATE USER ${name}`);
  const words = withoutQuoted(made);
  return {
    plugin: / OR /.test(words) ? '' : plugin,
    stored: Buffer.from(hex, 'hex'),
    locked: / ACCOUNT LOCK\b/.test(words),
    expired: / PASSWORD EXPIRE(?! (?:DEFAULT|NEVER|INTERVAL)\b)/.test(words),
    rights: rightsIn(await session.query(`SHOW GRANTS FOR ${name}`), isDatabase),
  };
}

/** A statement without the names and texts in it. */
function withoutQuoted(statement: string): string {
  return statement.replaceAll(/`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'/gs, '?');
}

/** `GRANT SELECT, LOCK TABLES ON `my\_app`.* TO `app`@`%``. Of tables, columns and roles nothing counts here. */
const granted = /^GRANT ([A-Z][A-Z ,]*) ON (?:(\*)\.\*|`((?:[^`]|``)*)`\.\*) TO /;

function rightsIn(
  lines: readonly MysqlRow[],
  isDatabase: (name: string) => boolean,
): ReadonlySet<MysqlRight> {
  const rights = new Set<MysqlRight>();
  // What is revoked for one database is granted for all of them.
  const restricted = lines.some(([line = '']) => line.startsWith('REVOKE '));
  for (const [line = ''] of lines) {
    const [, words = '', everywhere, name = ''] = granted.exec(line) ?? [];
    if (everywhere === undefined ? !isDatabase(name.replaceAll('``', '`')) : restricted) continue;
    const list = words.split(', ');
    for (const right of mysqlRights)
      if (list.includes(right) || list.includes('ALL PRIVILEGES')) rights.add(right);
  }
  return rights;
}
