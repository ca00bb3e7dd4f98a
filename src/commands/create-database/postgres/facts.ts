import { integerIn, textIn, textsIn } from '../../../clients/postgres/answer-row.ts';
import { quotedText } from '../../../clients/postgres/quoted.ts';
import type { Session } from '../../../clients/postgres/session.ts';
import type { DatabaseGrant, DatabaseRight } from '../grant.ts';

/** What a server has of what is asked for. */
export interface DatabaseFacts {
  /** The role that is logged in. */
  readonly me: string;
  readonly superuser: boolean;
  /** server_version_num. */
  readonly version: number;
  /** The owner's role; undefined where it is missing. */
  readonly role:
    | {
        readonly mayLogin: boolean;
        /** CONNECTION LIMIT 0, which a superuser is not bound by. */
        readonly noConnections: boolean;
        /** Its VALID UNTIL is over: its password is refused. */
        readonly expired: boolean;
      }
    | undefined;
  /** Whether this role may give something to the owner and act as it. */
  readonly actsAsOwner: boolean;
  /** Undefined where it is missing. */
  readonly database:
    | {
        readonly owner: string;
        readonly encoding: string;
        readonly collation: string;
        /** A DROP DATABASE was cut off: it can only be dropped again (pg_database.datconnlimit -2, since 2023). */
        readonly broken: boolean;
        /** ALLOW_CONNECTIONS false, or CONNECTION LIMIT 0. */
        readonly closed: boolean;
      }
    | undefined;
  /** By role, what it was granted. */
  readonly granted: ReadonlyMap<string, readonly DatabaseRight[]>;
}

export async function readDatabaseFacts(
  session: Session,
  {
    database,
    owner,
    grants,
  }: {
    readonly database: string;
    readonly owner: string | undefined;
    readonly grants: readonly DatabaseGrant[];
  },
  signal: AbortSignal,
): Promise<DatabaseFacts> {
  const ask = async (text: string) => (await session.query(text, undefined, { signal })).rows;
  const [me] = await ask(
    `SELECT r.rolname::pg_catalog.text AS me, r.rolsuper AS superuser, pg_catalog.current_setting('server_version_num') AS version
     FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER`,
  );
  const version = integerIn(me, 'version');
  // What a role may set was told apart from what it is a member of in PostgreSQL 16.
  const right = version >= 160_000 ? 'SET' : 'MEMBER';
  const [role] =
    owner === undefined
      ? []
      : await ask(
          `SELECT r.rolcanlogin AS login, r.rolconnlimit OPERATOR(pg_catalog.=) 0 AND NOT r.rolsuper AS no_connections,
             coalesce(r.rolvaliduntil OPERATOR(pg_catalog.<=) pg_catalog.now(), false) AS expired, pg_catalog.pg_has_role(CURRENT_USER, r.oid, '${right}')
             AND pg_catalog.pg_has_role(CURRENT_USER, r.oid, 'USAGE') AS acts
           FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) ${quotedText(owner)}::pg_catalog.name`,
        );
  const [found] = await ask(
    `SELECT pg_catalog.pg_get_userbyid(d.datdba)::pg_catalog.text AS owner, pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text AS encoding,
       coalesce(d.datcollate::pg_catalog.text, '') AS collation, d.datconnlimit OPERATOR(pg_catalog.=) -2 AS broken,
       NOT d.datallowconn OR d.datconnlimit OPERATOR(pg_catalog.=) 0 AS closed
     FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) ${quotedText(database)}::pg_catalog.name`,
  );
  const granted = new Map<string, readonly DatabaseRight[]>();
  for (const grant of grants) {
    const [row] = await ask(
      `SELECT pg_catalog.array_agg(a.privilege_type::pg_catalog.text) AS rights
       FROM pg_catalog.pg_database AS d
         CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a
         LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
       WHERE d.datname OPERATOR(pg_catalog.=) ${quotedText(database)}::pg_catalog.name
         AND coalesce(r.rolname, 'public') OPERATOR(pg_catalog.=) ${quotedText(grant.role)}::pg_catalog.name`,
    );
    granted.set(grant.role, textsIn(row, 'rights') as readonly DatabaseRight[]);
  }
  return {
    me: textIn(me, 'me'),
    superuser: me?.['superuser'] === true,
    version,
    role: role && {
      mayLogin: role['login'] === true,
      noConnections: role['no_connections'] === true,
      expired: role['expired'] === true,
    },
    actsAsOwner: me?.['superuser'] === true || role?.['acts'] === true || owner === me?.['me'],
    database: found && {
      owner: textIn(found, 'owner'),
      encoding: textIn(found, 'encoding'),
      collation: textIn(found, 'collation'),
      broken: found['broken'] === true,
      closed: found['closed'] === true,
    },
    granted,
  };
}
