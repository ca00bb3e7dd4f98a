import { hashedPlugins, type MysqlHashedPlugin } from '../../../clients/mysql/plugins.ts';
import { mysqlName } from '../../../clients/mysql/quoted.ts';
import { mysqlRights, type MysqlGrant } from '../grant.ts';
import type { MysqlFacts } from './facts.ts';
import { accountName, type WantedMysql } from './wanted.ts';

/** One statement. */
export interface MysqlStep {
  readonly sql: string;
  /** As it may be shown: without what stands for a password. */
  readonly shown: string;
  /** What it did, for people. */
  readonly done: string;
  /** What a user lacks who may not do it. */
  readonly needs: string;
  /** The number of the error that says that somebody else has done it meanwhile. */
  readonly doneAlready?: number;
}

/** ER_DB_CREATE_EXISTS */
const databaseExists = 1007;

/** What stands for a password that is to be set. */
export interface NewPassword {
  readonly plugin: MysqlHashedPlugin;
  readonly hash: string;
}

/** The plugin by which the owner's password is set or compared; undefined where its account has one that is not known here. */
export function ownerPlugin(
  { owner, plugin }: WantedMysql,
  { accounts, mariadb, major }: MysqlFacts,
): MysqlHashedPlugin | undefined {
  if (plugin !== undefined) return plugin;
  const account = owner === undefined ? undefined : accounts.get(owner);
  if (account !== undefined) return hashedPlugins.find((known) => known === account.plugin);
  return mariadb || major < 8 ? 'mysql_native_password' : 'caching_sha2_password';
}

/**
 * The statements that make the owner, the database and the rights, in their order; none where all is right.
 * @param password what is to be set; undefined where it is right, or none is asked for
 */
export function mysqlSteps(
  wanted: WantedMysql,
  facts: MysqlFacts,
  password: NewPassword | undefined,
): readonly MysqlStep[] {
  const { owner } = wanted;
  const ofOwner: readonly MysqlGrant[] = owner === undefined ? [] : [{ user: owner, rights: mysqlRights }];
  return [
    ...userSteps(wanted, facts, password),
    ...databaseSteps(wanted, facts),
    ...[...ofOwner, ...wanted.grants.filter(({ user }) => user !== owner)].flatMap((grant) =>
      grantSteps(grant, wanted, facts),
    ),
  ];
}

function userSteps(
  { owner, userHost }: WantedMysql,
  { accounts, mariadb }: MysqlFacts,
  password: NewPassword | undefined,
): readonly MysqlStep[] {
  if (owner === undefined || password === undefined) return [];
  const exists = accounts.has(owner);
  const statement = (hash: string): string =>
    `${exists ? 'ALTER' : 'CREATE'} USER ${accountName(owner, userHost)} IDENTIFIED ${mariadb ? 'VIA' : 'WITH'} ${password.plugin} ${mariadb ? 'USING' : 'AS'} '${hash}'`;
  return [
    {
      sql: statement(password.hash),
      shown: statement('…'),
      done: exists ? `set the password of ${owner}@${userHost}` : `made the user ${owner}@${userHost}`,
      needs: 'CREATE USER',
    },
  ];
}

function databaseSteps(wanted: WantedMysql, { database }: MysqlFacts): readonly MysqlStep[] {
  if (database !== undefined) return [];
  const statement = [
    `CREATE DATABASE ${mysqlName(wanted.database)}`,
    ...(wanted.encoding === undefined ? [] : [`CHARACTER SET ${mysqlName(wanted.encoding)}`]),
    ...(wanted.collation === undefined ? [] : [`COLLATE ${mysqlName(wanted.collation)}`]),
  ].join(' ');
  return [
    {
      sql: statement,
      shown: statement,
      done: `made the database ${wanted.database}`,
      needs: 'CREATE on that database',
      doneAlready: databaseExists,
    },
  ];
}

function grantSteps(
  { user, rights }: MysqlGrant,
  { userHost }: WantedMysql,
  { accounts, pattern }: MysqlFacts,
): readonly MysqlStep[] {
  const has = accounts.get(user)?.rights;
  const missing = rights.filter((right) => has?.has(right) !== true);
  if (missing.length === 0) return [];
  const all = rights.length === mysqlRights.length;
  const words = all ? 'ALL PRIVILEGES' : missing.join(', ');
  const statement = `GRANT ${words} ON ${mysqlName(pattern)}.* TO ${accountName(user, userHost)}`;
  return [
    {
      sql: statement,
      shown: statement,
      done: `granted ${words.toLowerCase()} to ${user}@${userHost}`,
      needs: 'these rights on that database WITH GRANT OPTION',
    },
  ];
}

/** What an existing database has otherwise than asked for. */
export function mysqlDifferences(
  { encoding, collation }: WantedMysql,
  { database }: MysqlFacts,
): readonly string[] {
  if (database === undefined) return [];
  // utf8 is the same as utf8mb3, and it will be another one.
  const plain = (name: string): string => name.toLowerCase().replace(/^utf8(?=_|$)/, 'utf8mb3');
  return [
    ...(encoding !== undefined && plain(encoding) !== plain(database.encoding)
      ? [`has the character set ${database.encoding}, not ${encoding}`]
      : []),
    ...(collation !== undefined && plain(collation) !== plain(database.collation)
      ? [`has the collation ${database.collation}, not ${collation}`]
      : []),
  ];
}

/** Why the owner cannot log in all the same, and the statement that lets it; nobody asked to change that. */
export function mysqlBarriers(
  { owner, userHost }: WantedMysql,
  { accounts }: MysqlFacts,
  setsPassword: boolean,
): readonly string[] {
  const account = owner === undefined ? undefined : accounts.get(owner);
  if (owner === undefined || account === undefined) return [];
  const change = `ALTER USER ${accountName(owner, userHost)}`;
  return [
    ...(account.locked ? [`its account is locked (${change} ACCOUNT UNLOCK)`] : []),
    ...(account.expired && !setsPassword
      ? [`its password has expired (${change} PASSWORD EXPIRE NEVER)`]
      : []),
  ];
}
