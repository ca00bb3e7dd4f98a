import { quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/**
 * Reads the name of a role, a database or an extension, as it is: capitals count. How long it may be is up to the server's
 * kind.
 * @throws Error that says what is accepted
 */
export function parseObjectName(text: string): string {
  refuseUnexpanded('name', text, 'the name');
  if (text.trim() === '') throw new Error('the name is empty');
  if (text.includes('\0')) throw new Error('the name has a NUL character');
  return text;
}

/** NAMEDATALEN - 1: a longer name is cut by the server, in bytes, and then is another one. */
const longestInPostgres = 63;

/** @throws UsageError for a name that PostgreSQL would cut */
export function checkPostgresName(name: string): void {
  if (Buffer.byteLength(name) > longestInPostgres)
    throw new UsageError(
      `${quoted(name)} is longer than the ${longestInPostgres} bytes that PostgreSQL keeps of a name`,
    );
}

/**
 * @param most characters; of a database 64 (https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html), of a user up to 128
 *   in MariaDB
 * @throws UsageError for a name that no MySQL or MariaDB has
 */
export function checkMysqlName(name: string, most: number): void {
  if (name.length > most)
    throw new UsageError(`${quoted(name)} is longer than the ${most} characters that a server takes`);
  // In names a server has three bytes for a character, and writes a ? for what is longer.
  if (/[\u{10000}-\u{10ffff}]/u.test(name) || !name.isWellFormed())
    throw new UsageError(
      `${quoted(name)} has a character beyond U+FFFF, which MySQL and MariaDB take in no name`,
    );
  if (/\s$/.test(name))
    throw new UsageError(`${quoted(name)} ends with a blank, which MySQL and MariaDB take in no name`);
}
