// target_session_attrs=prefer-standby takes a primary as its second choice: what was asked for has to hold for it, too.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUsePgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts';
import { startPostgres, startStandby, type Postgres, type Standby } from '../../../support/postgres.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

let primary: Postgres;
let standby: Standby;
beforeAll(async () => {
  primary = await startPostgres();
  await primary.sql('CREATE TABLE public.there (); GRANT SELECT ON public.there TO app');
  standby = await startStandby(primary);
});
afterAll(async () => {
  await standby?.remove();
  await primary?.remove();
});

/** A URL of several servers, in this order. */
function urlOf(servers: readonly ('primary' | 'standby')[]): string {
  const hosts = servers.map((which) => `127.0.0.1:${(which === 'primary' ? primary : standby).port}`);
  return primary.url().replace(`127.0.0.1:${primary.port}`, hosts.join(','));
}

const onPrimary = /answers|is there|is true|migrated/;

describe.each<['primary' | 'standby', ...('primary' | 'standby')[]]>([
  ['primary'],
  ['standby'],
  ['primary', 'standby'],
  ['standby', 'primary'],
])('of %s and %s', (...names) => {
  const servers = names.filter((name) => name !== undefined);
  const hasPrimary = servers.includes('primary');

  test.each<[string, string[], boolean, RegExp]>([
    ['nothing more', [], true, onPrimary],
    ['a table that is there', ['--table', 'there'], true, onPrimary],
    ['a query that is true', ['--query', 'SELECT true'], true, onPrimary],
    ['a query that is true of a primary', ['--query', 'SELECT NOT pg_is_in_recovery()'], hasPrimary, /false/],
    ['--primary', ['--primary'], hasPrimary, /a standby, not the primary/],
    ['a table that is not there', ['--table', 'nowhere'], false, /the table nowhere does not exist/],
    ['a query that is false', ['--query', 'SELECT false'], false, /false/],
    ['migrations that did not run', ['--migrated', 'v7'], false, /v7/],
  ])('%s', async (_name, args, met, words) => {
    const result = await runToDeadline(['wait-postgres', '--timeout', met ? '30s' : '1500ms', ...args], {
      env: { DATABASE_URL: urlOf(servers), PGTARGETSESSIONATTRS: 'prefer-standby' },
    });
    expect(result.status, result.stderr).toBe(met ? 0 : 124);
    if (!met) expect(result.stderr).toMatch(words);
  });

  test('where both fit, the standby is taken', async () => {
    const result = await runInitbox(['wait-postgres', '--timeout', '30s'], {
      env: { DATABASE_URL: `${urlOf(servers)}?target_session_attrs=prefer-standby` },
    });
    const { port } = servers.includes('standby') ? standby : primary;
    expect(result.stderr).toContain(`answers queries (127.0.0.1:${port})`);
  });
});

test.skipIf(requireOrSkip('a pooler', canUsePgBouncer()))(
  'a pooler whose server is down is neither a standby nor a second choice',
  async () => {
    await using gone = await startPostgres();
    await using pooler = await startPgBouncer({ upstream: gone, poolMode: 'transaction' });
    await gone.stop();
    const result = await runToDeadline(['wait-postgres', '--timeout', '1500ms'], {
      env: { DATABASE_URL: `${pooler.url()}?target_session_attrs=prefer-standby` },
    });
    expect(result.status, result.stderr).toBe(124);
  },
);
