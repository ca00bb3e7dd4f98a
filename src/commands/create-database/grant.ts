import { quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { parseObjectName } from './object-name.ts';

/** Rights on a database of PostgreSQL (https://www.postgresql.org/docs/current/ddl-priv.html), in the order in which they are written. */
const postgresRights = ['CREATE', 'TEMPORARY', 'CONNECT'] as const;
export type DatabaseRight = (typeof postgresRights)[number];

/**
 * Rights on a database of MySQL and MariaDB, as SHOW GRANTS writes them, in the order in which ALL PRIVILEGES has them
 * (https://dev.mysql.com/doc/refman/8.4/en/grant.html#grant-database-privileges).
 */
export const mysqlRights = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'CREATE',
  'DROP',
  'REFERENCES',
  'INDEX',
  'ALTER',
  'CREATE TEMPORARY TABLES',
  'LOCK TABLES',
  'EXECUTE',
  'CREATE VIEW',
  'SHOW VIEW',
  'CREATE ROUTINE',
  'ALTER ROUTINE',
  'EVENT',
  'TRIGGER',
] as const;
export type MysqlRight = (typeof mysqlRights)[number];

/** As it is written, for one of the two: which, the server's URL tells. */
export interface GivenGrant {
  readonly role: string;
  /** `CREATE TEMPORARY TABLES`, `ALL`. */
  readonly words: readonly string[];
}

export interface DatabaseGrant {
  readonly role: string;
  readonly rights: readonly DatabaseRight[];
}

export interface MysqlGrant {
  readonly user: string;
  /** All of mysqlRights are `GRANT ALL PRIVILEGES`. */
  readonly rights: readonly MysqlRight[];
}

const known: ReadonlySet<string> = new Set([...postgresRights, ...mysqlRights, 'TEMP', 'ALL']);

const ofPostgres =
  'there are connect, create, temporary and all. Rights on schemas and tables belong into a migration';
const ofMysql = `there are all, ${mysqlRights.map((right) => right.toLowerCase()).join(', ')}`;

/**
 * Reads `connect,temporary=ROLE`.
 * @throws Error that says what is accepted
 */
export function parseGrant(text: string): GivenGrant {
  const at = text.indexOf('=');
  if (at <= 0)
    throw new Error(`${quoted(text)} is not RIGHT=ROLE; write such as connect=reports or all=admin`);
  const words = text
    .slice(0, at)
    .split(',')
    .map((word) => {
      const name = word
        .trim()
        .toUpperCase()
        .replaceAll(/[-_ ]+/g, ' ');
      if (!known.has(name))
        throw new Error(
          `${quoted(word)} is not a right on a database; of PostgreSQL ${ofPostgres}; of MySQL and MariaDB ${ofMysql}`,
        );
      return name;
    });
  return { role: parseObjectName(text.slice(at + 1)), words };
}

/** @throws UsageError for a right that PostgreSQL does not have on a database */
export function postgresGrant({ role, words }: GivenGrant): DatabaseGrant {
  const rights = words.map((word) => (word === 'TEMP' ? 'TEMPORARY' : word));
  refuseOthers(rights, postgresRights, 'PostgreSQL', ofPostgres);
  return { role, rights: postgresRights.filter((right) => rights.includes(right) || rights.includes('ALL')) };
}

/** @throws UsageError for a right that MySQL does not have on a database */
export function mysqlGrant({ role, words }: GivenGrant): MysqlGrant {
  refuseOthers(words, mysqlRights, 'MySQL and MariaDB', ofMysql);
  return {
    user: role,
    rights: mysqlRights.filter((right) => words.includes(right) || words.includes('ALL')),
  };
}

function refuseOthers(
  words: readonly string[],
  rights: readonly string[],
  kind: string,
  accepted: string,
): void {
  const other = words.find((word) => word !== 'ALL' && !rights.includes(word));
  if (other !== undefined)
    throw new UsageError(
      `--grant: ${quoted(other.toLowerCase())} is not a right on a database of ${kind}; ${accepted}`,
    );
}
