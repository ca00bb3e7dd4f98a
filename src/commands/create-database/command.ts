import { defineCommand, each } from '../../core/command.ts';
import { parseObjectName } from './object-name.ts';
import { createDatabaseOptions } from './options.ts';
import { checkCreateDatabase, runCreateDatabase } from './run.ts';

const example = 'initbox create-database app --owner app --owner-password-env APP_PASSWORD';

export const createDatabase = defineCommand({
  name: 'create-database',
  summary: 'make a database of PostgreSQL or MySQL and its owner, if missing',
  description: `Waits for the server, and makes what is missing: the owner's role, the database, rights on it, extensions in it. A password that differs is set again, as a SCRAM verifier or as MySQL's hash of it: the server never sees the password itself. What is right already is left alone. Replicas that start at once take turns by a lock of the server.

DATABASE_URL (or --database-url-file, or the PG* variables) names the server and a role that may do it: a superuser, or one with CREATEDB and CREATEROLE, as managed servers give it. A URL that begins with mysql:// or mariadb:// names MySQL or MariaDB, and a user with CREATE, CREATE USER and GRANT OPTION; it takes the options of the same URL for wait.`,
  examples: [
    example,
    'initbox create-database app --owner app --owner-password-env APP_PASSWORD --extension pgcrypto --grant connect=reports',
    'initbox create-database app --encoding UTF8 --locale C --template template0',
    'initbox create-database app --owner app --owner-password-env APP_PASSWORD --encoding utf8mb4 --user-host 10.%',
    'initbox create-database app --owner app --dry-run',
  ],
  positionals: {
    usage: 'NAME',
    name: 'database',
    description: 'the database',
    keys: [{ key: 'database' }],
    parse: (given, sink) =>
      each('database', parseObjectName, { min: 1, max: 1, example })(given, sink)[0] ?? '',
  },
  options: createDatabaseOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkCreateDatabase,
  run: runCreateDatabase,
});
