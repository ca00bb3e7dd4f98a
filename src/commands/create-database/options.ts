import { hashedPlugins } from '../../clients/mysql/plugins.ts';
import { connectionOptions } from '../../clients/postgres/options.ts';
import {
  choiceParser,
  flag,
  list,
  parseText,
  secret,
  text,
  value,
  type Values,
} from '../../core/options/option.ts';
import { parseGrant } from './grant.ts';
import { parseObjectName } from './object-name.ts';

export const createDatabaseOptions = {
  ...connectionOptions,
  'maintenance-database': value({
    description: 'the database to connect to for it; unset, the URL’s, or postgres where that is the new one',
    placeholder: 'NAME',
    parse: parseObjectName,
  }),
  owner: value({
    description:
      'the role that owns it, made with LOGIN if missing; of MySQL, the user who gets all rights on it, made if missing',
    placeholder: 'ROLE',
    parse: parseObjectName,
  }),
  'owner-password': secret({
    description: 'the owner’s password; set where the role has another one',
  }),
  'owner-password-env': value({
    description: 'the variable that holds the owner’s password',
    placeholder: 'VARIABLE',
    parse: parseText,
    insteadOf: ['owner-password'],
  }),
  'user-host': value({
    description:
      'of MySQL, where the owner and those of --grant log in from, as NAME@HOST; unset, %: anywhere',
    placeholder: 'HOST',
    parse: parseUserHost,
  }),
  'auth-plugin': value({
    description:
      'of MySQL, how the owner logs in; unset, as the account does, and a new one by caching_sha2_password, on MariaDB by mysql_native_password',
    placeholder: hashedPlugins.join('|'),
    parse: choiceParser(hashedPlugins),
    choices: hashedPlugins,
  }),
  extension: list({
    description: 'an extension that the database must have, such as pgcrypto',
    placeholder: 'NAME',
    parse: parseObjectName,
  }),
  grant: list({
    description:
      'a right of a role on the database: connect, create, temporary, or all, such as connect=reports; of MySQL select, insert, … or all',
    placeholder: 'RIGHT,…=ROLE',
    parse: parseGrant,
  }),
  template: value({
    description: 'the database that a new one is a copy of; unset, template1',
    placeholder: 'NAME',
    parse: parseObjectName,
  }),
  encoding: text({
    description: 'the encoding of a new one, such as UTF8; of MySQL its character set, such as utf8mb4',
    placeholder: 'NAME',
  }),
  locale: text({ description: 'the locale of a new one, such as C or en_US.UTF-8', placeholder: 'NAME' }),
  collation: text({
    description: 'of MySQL, the collation of a new one, such as utf8mb4_unicode_ci',
    placeholder: 'NAME',
  }),
  'dry-run': flag({ description: 'change nothing; print the statements that would be run, as JSON' }),
};
export type CreateDatabaseOptions = Values<typeof createDatabaseOptions>;

/** @throws Error that says what is accepted */
function parseUserHost(given: string): string {
  const host = parseObjectName(given);
  // HOSTNAME_LENGTH of the server is 255 bytes, and 60 in older ones.
  if (host.length > 255 || /[\s@'"`\\]|[^\x20-\x7e]/.test(host))
    throw new Error(
      `the host of an account is a name, an address, or a pattern of such, as %, 10.1.% or 10.1.0.0/255.255.0.0`,
    );
  return host;
}
