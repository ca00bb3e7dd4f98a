// Rows that nobody reads are thrown away as they come, and only those.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { connectPostgres } from '../../../../src/clients/postgres/connect.ts';
import { readConnection } from '../../../../src/clients/postgres/connection-string.ts';
import type { Session } from '../../../../src/clients/postgres/session.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { startPostgres, type Postgres } from '../../../support/postgres.ts';

let postgres: Postgres;
let session: Session;
beforeAll(async () => {
  postgres = await startPostgres();
  const redactor = createRedactor();
  const answer = await connectPostgres(
    readConnection({ url: redactor.secret(postgres.url()), origin: 'DATABASE_URL' }, {}, redactor),
    { resolve: async () => ({ state: 'found', addresses: ['127.0.0.1'] }), clock: systemClock, redactor },
    { signal: new AbortController().signal, phase() {} },
  );
  if (answer.state !== 'connected') throw new Error(answer.reason);
  ({ session } = answer);
});
afterAll(async () => {
  await session?.end();
  await postgres?.remove();
});

test('a query of several statements, rows longer than what is held, notices between them, a COPY', async () => {
  const heard: string[] = [];
  const stop = session.onNotice((_severity, text) => heard.push(text));
  const result = await session.query(
    `SELECT g, repeat('x', 20000000) FROM generate_series(1, 3) g;
     DO $$ BEGIN RAISE NOTICE 'between'; END $$;
     COPY (SELECT repeat('y', 1000) FROM generate_series(1, 50000)) TO STDOUT;
     SELECT g FROM generate_series(1, 100000) g`,
    undefined,
    { discard: true },
  );
  stop();
  expect(result).toEqual({ rows: [], rowCount: 100_000 });
  expect(heard).toEqual(['between']);
  expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('a failure of such a query is the server’s, and the next one has its rows', async () => {
  await expect(
    session.query('SELECT 10 / (5 - g) FROM generate_series(1, 9) g', undefined, { discard: true }),
  ).rejects.toMatchObject({ code: '22012' });
  expect((await session.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
});

test('one that waits behind another takes no rows from it, nor loses any of its own', async () => {
  const [first, second, third] = await Promise.all([
    session.query('SELECT g, pg_sleep(0.1) FROM generate_series(1, 3) g'),
    session.query('SELECT 1 AS a', undefined, { discard: true }),
    session.query('SELECT g AS b FROM generate_series(1, 3) g'),
  ]);
  expect(first.rows).toHaveLength(3);
  expect(second.rowCount).toBe(1);
  expect(third.rows).toHaveLength(3);
});

test('a row that is read and longer than what is held ends the connection with words', async () => {
  await expect(session.query("SELECT repeat('x', 20000000)")).rejects.toThrow(
    /^the connection broke: what the server sent is not valid: it sent a message of type "D" with a length of 20000\d+ bytes; 4 to 16777216 are accepted$/,
  );
});
