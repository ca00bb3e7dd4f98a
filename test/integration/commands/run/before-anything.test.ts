import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { temporaryDirectory } from '../../../support/undo.ts';
import { runPlan } from './plans.ts';

test('mistakes that need neither a file nor a server are told before any step runs, and by a dry run', async () => {
  const made = join(temporaryDirectory('before').path, 'made');
  const to = '/dev/shm/before-anything';
  const steps = [
    { name: 'a', command: ['touch', made] },
    { name: 'database', uses: 'wait-postgres', needs: 'a' },
    { name: 'migration', uses: 'migrate-with-lock', command: ['$(TOOL)'], needs: 'a' },
    { name: 'secret', uses: 'fetch-config', sources: 'vault:secret/a#f', to: `${to}/1`, needs: 'a' },
    { name: 'aws', uses: 'fetch-config', sources: 'aws-sm:prod/api', to: `${to}/2`, needs: 'a' },
    { name: 'variable', uses: 'fetch-config', sources: 'env:NOPE', to: `${to}/3`, needs: 'a' },
    { name: 'web', uses: 'wait-http', urls: 'http://api/', 'header-env': ['X=UNSET'], needs: 'a' },
    { name: 'head', uses: 'wait-http', urls: 'http://api/', method: 'HEAD', body: 'x', needs: 'a' },
    { name: 'identity', uses: 'wait-http', urls: 'https://api/', 'cert-file': '/c', needs: 'a' },
    { name: 'owner', uses: 'chown', owner: '1:1', paths: '/', needs: 'a' },
    { name: 'copy', uses: 'copy', sources: '/srv/a', destination: '/srv/a/', needs: 'a' },
  ];
  const env = {
    HOME: '/nonexistent',
    DATABASE_URL: 'mysql://db/app',
    VAULT_ADDR: 'http://$(VAULT)',
    HTTP_PROXY: 'http://u$(USER):p@proxy:3128',
  };
  for (const args of [[], ['--dry-run']]) {
    const { status, stdout, stderr } = await runPlan(steps, args, { env });
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(existsSync(made)).toBe(false);
    const told = (name: string, words: string) =>
      expect(stderr).toMatch(new RegExp(`plan-\\d+\\.json:1:\\d+: step "${name}": ${words}`));
    told('database', 'DATABASE_URL is a mysql: URL');
    told('migration', 'DATABASE_URL is a mysql: URL');
    expect(stderr).toMatch(/plan-\d+\.json:1:\d+: command cannot be used: the variable TOOL/);
    told('secret', 'VAULT_ADDR cannot be used: the variable VAULT');
    told('secret', 'nothing says how to log in to Vault: give vault-role');
    told('aws', 'no region is named');
    told('variable', 'env:NOPE is not set');
    told('web', 'header-env: the variable UNSET is not set');
    told('web', 'HTTP_PROXY cannot be used: the variable USER');
    told('head', 'an answer to HEAD has no body');
    told('identity', 'cert-file needs key-file');
    told('owner', '/ is the root directory');
    told('copy', '/srv/a and /srv/a/ are the same path');
  }
});

test('a step that its variable leaves out needs none of the others', async () => {
  const steps = [
    { name: 'a', command: ['true'] },
    { name: 'database', uses: 'wait-postgres', when: 'MIGRATE', needs: 'a' },
  ];
  expect((await runPlan(steps)).status).toBe(0);
});
