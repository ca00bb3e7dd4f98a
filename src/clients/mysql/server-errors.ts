import { excerpt, flattened } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import type { MysqlError } from './packet.ts';

/** Characters of a server's words that are shown. */
const mostShown = 300;

const rights = 'grant the user what is asked for: GRANT SELECT ON …';
const secret =
  'is the Secret that holds the password the one of this server’s user, and may the user log in from this pod’s address (user@host)?';

/**
 * What waiting does not change, by the number of the error, and what to look at
 * (https://mariadb.com/kb/en/mariadb-error-code-reference/, https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html).
 */
const final: Readonly<Record<number, string | undefined>> = {
  1044: 'the user has no right on this database: GRANT … ON DATABASE.* TO …',
  1045: secret,
  1049: 'the database must be created first, for example by initbox create-database',
  1064: 'look at the query',
  1129: 'the server refuses this address after too many broken connections, until somebody runs FLUSH HOSTS (mariadb-admin flush-hosts): what breaks them, a health check that only connects?',
  1130: 'no user of the server may log in from this pod’s address: CREATE USER NAME@’%’',
  1142: rights,
  1143: rights,
  1227: rights,
  1312: 'look at the query: it must give one value',
  1251: 'its account uses a way to log in that this program does not know',
  1275: 'its account uses a way to log in that this program does not know',
  1524: 'its account uses a way to log in whose plugin is not loaded, as mysql_native_password since MySQL 8.4: ALTER USER … IDENTIFIED WITH caching_sha2_password BY …, or load the plugin',
  1698: secret,
  1792: 'look at the query: it writes, and a wait only reads',
  1820: 'its password has expired: ALTER USER … IDENTIFIED BY …',
  1862: 'its password has expired: ALTER USER … IDENTIFIED BY …',
  3118: 'the account is locked: ALTER USER … ACCOUNT UNLOCK',
  3159: 'the server takes only connections with TLS: ssl-mode=required, or verify-identity with ca-file',
  // Too many failed logins (FAILED_LOGIN_ATTEMPTS). Asking on would keep it blocked.
  3955: 'the account is blocked after too many failed logins, for PASSWORD_LOCK_TIME days or until ALTER USER … ACCOUNT UNLOCK: does another pod have an old password?',
  4151: 'the account is locked: ALTER USER … ACCOUNT UNLOCK',
};

const connections =
  'other clients hold all of the server’s connections: look at max_connections and at pools’ sizes';

const passing: Readonly<Record<number, string>> = {
  1040: connections,
  1047: 'a node of a Galera cluster serves nothing before it has joined: look at wsrep_local_state_comment and the other nodes',
  1053: 'the server is shutting down',
  1135: 'the server cannot make a thread: look at its memory and limits',
  1146: 'whoever makes it, a migration or a restore, has not done so yet',
  1203: connections,
  1226: 'the user’s own limit of connections or queries is used up: MAX_USER_CONNECTIONS of the account',
};

/** What a server says, for people. */
export function mysqlErrorWords(
  { code, message }: MysqlError,
  peer: string,
  redact: (text: string) => string,
): string {
  return `${flattened(excerpt(message, mostShown, redact))} (${code}, ${peer})`;
}

/** What an error of the server means for a wait. */
export function judgeMysqlError(
  { code, message }: MysqlError,
  peer: string,
  redact: (text: string) => string,
): NotYet | Never {
  const said = mysqlErrorWords({ code, message }, peer, redact);
  if (Object.hasOwn(final, code)) return never(exitStatus.refused, said, final[code]);
  return notYet(said, { hint: passing[code], absent: code === 1146 });
}
