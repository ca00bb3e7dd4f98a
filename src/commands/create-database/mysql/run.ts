import type { Context } from '../../../core/context.ts';
import type { Outcome } from '../../../core/outcome.ts';
import type { Secret } from '../../../core/redaction/redactor.ts';
import { readSecretFile } from '../../../fs/input-file.ts';
import type { CreateDatabaseOptions } from '../options.ts';
import { performMysql } from './perform.ts';
import { checkMysqlPassword, readMysql } from './read.ts';

/** @param password the owner's */
export async function runMysql(
  options: CreateDatabaseOptions,
  database: string,
  password: Secret | undefined,
  context: Context,
): Promise<Outcome> {
  const { url, wanted } = readMysql(options, database, context, readSecretFile);
  checkMysqlPassword(password);
  // Of no database: it may be the one that is to be made.
  const server = { ...url.open(context), database: undefined };
  return performMysql(wanted, { server, password, dryRun: options['dry-run'] }, context);
}
