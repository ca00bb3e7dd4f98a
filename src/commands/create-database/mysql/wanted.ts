import type { MysqlHashedPlugin } from '../../../clients/mysql/plugins.ts';
import { mysqlName } from '../../../clients/mysql/quoted.ts';
import type { MysqlGrant } from '../grant.ts';

/** What there is to be on MySQL or MariaDB. */
export interface WantedMysql {
  readonly database: string;
  readonly owner: string | undefined;
  /** `%`: the host part of the accounts. */
  readonly userHost: string;
  readonly plugin: MysqlHashedPlugin | undefined;
  readonly grants: readonly MysqlGrant[];
  readonly encoding: string | undefined;
  readonly collation: string | undefined;
}

/** An account in SQL. */
export function accountName(user: string, host: string): string {
  return `${mysqlName(user)}@${mysqlName(host)}`;
}
