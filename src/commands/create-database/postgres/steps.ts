import { quotedName, quotedText } from '../../../clients/postgres/quoted.ts';
import type { DatabaseGrant } from '../grant.ts';
import type { DatabaseFacts } from './facts.ts';

/** What there is to be. */
export interface WantedDatabase {
  readonly database: string;
  readonly owner: string | undefined;
  readonly extensions: readonly string[];
  readonly grants: readonly DatabaseGrant[];
  readonly template: string | undefined;
  readonly encoding: string | undefined;
  readonly locale: string | undefined;
}

/** One statement. */
export interface DatabaseStep {
  readonly sql: string;
  /** As it may be shown: without what stands for a password. */
  readonly shown: string;
  /** What it did, for people. */
  readonly done: string;
  /** What a role lacks that may not do it. */
  readonly needs: string;
  /** SQLSTATEs that say that somebody else has done it meanwhile. */
  readonly doneAlready: readonly string[];
}

/** duplicate_object, duplicate_database, and the unique key of a catalog that two met at. */
const duplicates = ['42710', '42P04', '23505'];

/** What a verifier is shown as. */
const hidden = "'…'";

/**
 * The statements that make the owner and the database, in their order; none where all is right.
 * @param verifier what is to be set as the owner's password; undefined where it is right, or none is asked for
 */
export function stepsFor(
  wanted: WantedDatabase,
  facts: DatabaseFacts,
  verifier: string | undefined,
): readonly DatabaseStep[] {
  const after = [...databaseSteps(wanted, facts), ...grantSteps(wanted, facts)];
  return [...roleSteps(wanted, facts, verifier), ...memberSteps(wanted, facts, after), ...after];
}

function roleSteps(
  { owner }: WantedDatabase,
  { role }: DatabaseFacts,
  verifier: string | undefined,
): readonly DatabaseStep[] {
  if (owner === undefined) return [];
  const name = quotedName(owner);
  const withPassword = (before: string, text: string): string =>
    verifier === undefined ? before : `${before} PASSWORD ${text}`;
  const createRole = 'CREATEROLE';
  if (role === undefined) {
    const statement = (text: string): string => withPassword(`CREATE ROLE ${name} LOGIN`, text);
    return [
      {
        sql: statement(quotedText(verifier ?? '')),
        shown: statement(hidden),
        done: `made the role ${owner}`,
        needs: createRole,
        doneAlready: duplicates,
      },
    ];
  }
  if (verifier === undefined) return [];
  const statement = (text: string): string =>
    withPassword(`ALTER ROLE ${name}${role.mayLogin ? '' : ' LOGIN'}`, text);
  return [
    {
      sql: statement(quotedText(verifier)),
      shown: statement(hidden),
      done: `set the password of ${owner}`,
      needs: `${createRole}, and since PostgreSQL 16 ADMIN OPTION on that role,`,
      doneAlready: [],
    },
  ];
}

/** Who is no superuser gives away only to roles that it is a member of; on managed servers nobody is one. */
function memberSteps(
  { owner, extensions }: WantedDatabase,
  facts: DatabaseFacts,
  after: readonly DatabaseStep[],
): readonly DatabaseStep[] {
  if (owner === undefined || facts.actsAsOwner || (after.length === 0 && extensions.length === 0)) return [];
  const statement = `GRANT ${quotedName(owner)} TO CURRENT_USER`;
  return [
    {
      sql: statement,
      shown: statement,
      done: `made ${facts.me} a member of ${owner}`,
      needs: 'ADMIN OPTION on that role (before PostgreSQL 16, CREATEROLE)',
      doneAlready: [],
    },
  ];
}

function databaseSteps(
  wanted: WantedDatabase,
  { database, version }: DatabaseFacts,
): readonly DatabaseStep[] {
  const { owner } = wanted;
  const name = quotedName(wanted.database);
  if (database === undefined) {
    const statement = [
      `CREATE DATABASE ${name}`,
      ...(owner === undefined ? [] : [`OWNER ${quotedName(owner)}`]),
      ...templateOf(wanted),
      ...(wanted.encoding === undefined ? [] : [`ENCODING ${quotedText(wanted.encoding)}`]),
      ...localeOf(wanted.locale, version),
    ].join(' ');
    return [
      {
        sql: statement,
        shown: statement,
        done: `made the database ${wanted.database}`,
        needs: 'CREATEDB, and membership in the owner,',
        doneAlready: duplicates,
      },
    ];
  }
  if (owner === undefined || database.owner === owner) return [];
  const statement = `ALTER DATABASE ${name} OWNER TO ${quotedName(owner)}`;
  return [
    {
      sql: statement,
      shown: statement,
      done: `gave ${wanted.database} to ${owner} (it was ${database.owner}’s)`,
      needs: `CREATEDB, and membership in ${database.owner} and in the new owner,`,
      doneAlready: [],
    },
  ];
}

/** A copy of template1 has its encoding and locale: only template0 can have others. */
function templateOf({ template, encoding, locale }: WantedDatabase): readonly string[] {
  const name = template ?? (encoding === undefined && locale === undefined ? undefined : 'template0');
  return name === undefined ? [] : [`TEMPLATE ${quotedName(name)}`];
}

/** LOCALE came with PostgreSQL 13. */
function localeOf(locale: string | undefined, version: number): readonly string[] {
  if (locale === undefined) return [];
  const text = quotedText(locale);
  return version >= 130_000 ? [`LOCALE ${text}`] : [`LC_COLLATE ${text} LC_CTYPE ${text}`];
}

function grantSteps(
  { database, grants }: WantedDatabase,
  { granted }: DatabaseFacts,
): readonly DatabaseStep[] {
  return grants.flatMap(({ role, rights }) => {
    const has = granted.get(role) ?? [];
    const missing = rights.filter((right) => !has.includes(right));
    if (missing.length === 0) return [];
    const statement = `GRANT ${missing.join(', ')} ON DATABASE ${quotedName(database)} TO ${quotedName(role)}`;
    return [
      {
        sql: statement,
        shown: statement,
        done: `granted ${missing.join(', ').toLowerCase()} to ${role}`,
        needs: 'ownership of the database',
        doneAlready: [],
      },
    ];
  });
}

/** @param present those that the database has */
export function extensionSteps(
  extensions: readonly string[],
  present: readonly string[],
): readonly DatabaseStep[] {
  return extensions
    .filter((extension) => !present.includes(extension))
    .map((extension) => {
      const statement = `CREATE EXTENSION IF NOT EXISTS ${quotedName(extension)}`;
      return {
        sql: statement,
        shown: statement,
        done: `made the extension ${extension}`,
        needs: 'CREATE on the database for a trusted extension, and a superuser’s rights for any other,',
        doneAlready: duplicates,
      };
    });
}

/** What an existing database has otherwise than asked for, which nothing can change. */
export function differencesOf(
  { encoding, locale }: WantedDatabase,
  { database }: DatabaseFacts,
): readonly string[] {
  if (database === undefined) return [];
  const plain = (name: string): string => name.replaceAll(/[-_]/g, '').toLowerCase();
  return [
    ...(encoding !== undefined && plain(encoding) !== plain(database.encoding)
      ? [`has the encoding ${database.encoding}, not ${encoding}`]
      : []),
    ...(locale !== undefined && plain(locale) !== plain(database.collation)
      ? [`has the locale ${database.collation}, not ${locale}`]
      : []),
  ];
}

/** Why the owner cannot log in to the database all the same, and the statement that lets it; nobody asked to change that. */
export function barriersOf(
  { owner, database: name }: WantedDatabase,
  { role, database }: DatabaseFacts,
): readonly string[] {
  if (owner === undefined || role === undefined) return [];
  const change = `ALTER ROLE ${quotedName(owner)}`;
  return [
    ...(role.noConnections ? [`its CONNECTION LIMIT is 0 (${change} CONNECTION LIMIT -1)`] : []),
    ...(role.expired ? [`its VALID UNTIL has passed (${change} VALID UNTIL 'infinity')`] : []),
    ...(database?.closed === true
      ? [
          `the database takes no connections (ALTER DATABASE ${quotedName(name)} ALLOW_CONNECTIONS true CONNECTION LIMIT -1)`,
        ]
      : []),
  ];
}
