import { existsSync } from 'node:fs';

import { afterAll, beforeAll, describe } from 'vitest';

import { createResolver } from '../../../../src/clients/dns/resolver.ts';
import { readConnection } from '../../../../src/clients/postgres/connection-string.ts';
import { keyOfName } from '../../../../src/clients/postgres/lock-key.ts';
import { createPostgresLock } from '../../../../src/clients/postgres/lock/backend.ts';
import { podPaths } from '../../../../src/core/context.ts';
import { createLog } from '../../../../src/core/log.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { systemHost } from '../../../../src/process/host.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { debianPostgres, startPostgres, type Postgres } from '../../../support/postgres.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { describeLock, type LockUnderTest } from '../../clients/postgres/lock-conformance.ts';

function lockOn(postgres: Postgres): LockUnderTest {
  const redactor = createRedactor();
  const log = createLog({ write: () => {}, redactor, clock: systemClock, format: 'text', level: 'error' });
  return {
    noticed: 1100,
    woken: 500,
    open: (name) =>
      createPostgresLock(
        {
          connection: readConnection(
            { url: redactor.secret(postgres.url()), origin: 'the test' },
            {},
            redactor,
          ),
          key: keyOfName(name),
          timing: { heartbeat: 500, grace: 200 },
          host: 'test',
          sessionPooling: false,
          recordFor: undefined,
          once: undefined,
        },
        {
          clock: systemClock,
          log,
          random: Math.random,
          resolve: createResolver({ paths: podPaths, host: systemHost }),
          redactor,
        },
      ),
    async takeAway(name) {
      const { id } = keyOfName(name);
      await postgres.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND classid::bigint = ${BigInt.asUintN(32, id >> 32n)} AND objid::bigint = ${BigInt.asUintN(32, id)}`,
      );
    },
  };
}

describe('PostgreSQL 18', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.remove());
  describeLock('an advisory lock', () => lockOn(postgres));
});

const older = existsSync('/usr/lib/postgresql/15/bin/postgres')
  ? undefined
  : 'it is not installed; on Debian: apt-get install -y postgresql-15';

describe.skipIf(requireOrSkip('PostgreSQL 15', older))('PostgreSQL 15', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ binaries: debianPostgres(15) });
  });
  afterAll(() => postgres.remove());
  describeLock('an advisory lock', () => lockOn(postgres));
});
