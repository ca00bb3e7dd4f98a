// What a plan's variables and keys tell by themselves is told before any step runs, with the place of the step.
import { expect, test } from 'vitest';

import { mistakesOf, read } from './read.ts';

const database = { DATABASE_URL: 'postgres://app@db/app' };
const vault = { VAULT_ADDR: 'https://vault:8200', VAULT_TOKEN: 'hvs.x' };
const aws = { AWS_REGION: 'eu-central-1' };

const waitPostgres = 'uses: wait-postgres';
const migrate = 'uses: migrate-with-lock\n    command: [./migrate]';
const fromVault = 'uses: fetch-config\n    sources: vault:secret/a#f\n    to: /dev/shm/x';
const fromAws = 'uses: fetch-config\n    sources: aws-sm:prod/api\n    to: /dev/shm/x';
const waitHttp = 'uses: wait-http\n    urls: http://api/';
const plan = (lines: string): string =>
  `steps:\n  - { name: a, command: [touch, x] }\n  - name: z\n    needs: a\n    ${lines}\n`;

test.each<readonly [lines: string, environment: Record<string, string>, mistake: string]>([
  [waitPostgres, {}, 'no database was named; set DATABASE_URL, database-url-file, or'],
  [waitPostgres, { DATABASE_URL: 'postgres://$(X)/d' }, 'DATABASE_URL cannot be used: the variable X'],
  [waitPostgres, { DATABASE_URL: 'mysql://h/d' }, 'DATABASE_URL is a mysql: URL'],
  [waitPostgres, { ...database, PGPORT: '$(X)' }, 'PGPORT cannot be used: the variable X'],
  [waitPostgres, { ...database, PGAPPNAME: '$(X)' }, 'PGAPPNAME cannot be used: the variable X'],
  [waitPostgres, { ...database, PGOPTIONS: '$(X)' }, 'PGOPTIONS cannot be used: the variable X'],
  [`${waitPostgres}\n    urls: postgres://db/app`, {}, 'no user is named in the URL; add one, or set PGUSER'],
  [migrate, {}, 'no database was named'],
  [
    migrate,
    { ...database, DIRECT_DATABASE_URL: 'postgres://$(X)/d' },
    'DIRECT_DATABASE_URL cannot be used: the variable X',
  ],
  [
    migrate,
    { DATABASE_URL: 'postgres://a@h/d?target_session_attrs=standby' },
    'target_session_attrs=standby in DATABASE_URL asks for a standby',
  ],
  [fromVault, { VAULT_TOKEN: 'hvs.x' }, 'VAULT_ADDR is not set'],
  [fromVault, { ...vault, VAULT_ADDR: 'http://$(X)' }, 'VAULT_ADDR cannot be used: the variable X'],
  [fromVault, { ...vault, VAULT_TOKEN: '$(X)' }, 'VAULT_TOKEN cannot be used: a $(…) in it was not replaced'],
  [
    fromVault,
    { VAULT_ADDR: 'https://vault:8200', HOME: '/nonexistent' },
    'nothing says how to log in to Vault: give vault-role for the pod’s service account, or VAULT_TOKEN, or vault-auth',
  ],
  [fromVault, { ...vault, VAULT_SKIP_VERIFY: 'zz' }, 'VAULT_SKIP_VERIFY is "zz", neither true nor false'],
  [fromVault, { ...vault, HTTPS_PROXY: 'http://$(X):3128' }, 'HTTPS_PROXY cannot be used: the variable X'],
  [fromAws, { HOME: '/nonexistent' }, 'no region is named; set AWS_REGION'],
  [fromAws, { AWS_REGION: '$(X)' }, 'AWS_REGION cannot be used: the variable X'],
  [fromAws, { ...aws, AWS_ENDPOINT_URL: 'http://$(X)' }, 'AWS_ENDPOINT_URL cannot be used: the variable X'],
  [
    'uses: fetch-config\n    sources: env:NOPE\n    to: /dev/shm/x',
    {},
    'env:NOPE is not set; look at env and envFrom of this container',
  ],
  [
    'uses: render\n    templates: /t\n    to: /dev/shm/x\n    data: a=env:NOPE_*',
    {},
    'env:NOPE_* matches no variable',
  ],
  ['uses: fetch-config\n    spec: /x\n    to: /y', {}, 'to cannot be combined with spec'],
  ['uses: fetch-config\n    spec: /x\n    sources: env:A', { A: '1' }, 'spec names the sources'],
  [
    'uses: fetch-config\n    sources: env:A\n    etag-file: /e\n    to: /y',
    { A: '1' },
    'etag-file is for one http or https source',
  ],
  [waitHttp, { HTTP_PROXY: 'http://$(X):3128' }, 'HTTP_PROXY cannot be used: the variable X'],
  [waitHttp, { HTTP_PROXY: 'http://p:3128', NO_PROXY: '$(X)' }, 'NO_PROXY cannot be used: the variable X'],
  [waitHttp, { SSL_CERT_FILE: '/ca/$(X)' }, 'SSL_CERT_FILE cannot be used: the variable X'],
  [`${waitHttp}\n    header-env: [X=UNSET]`, {}, 'header-env: the variable UNSET is not set'],
  [
    `${waitHttp}\n    method: HEAD\n    body: x`,
    {},
    'an answer to HEAD has no body, so that body, body-matches',
  ],
  [`${waitHttp}\n    cert-file: /c`, {}, 'cert-file needs key-file beside it'],
  [
    'uses: fetch-config\n    sources: https://h/x\n    to: /dev/shm/x\n    header-env: [X=UNSET]',
    {},
    'header-env: the variable UNSET is not set',
  ],
  [
    'uses: fetch-config\n    sources: https://h/x\n    to: /dev/shm/x\n    key-file: /k',
    {},
    'key-file needs cert-file beside it',
  ],
  ['uses: fetch-config\n    sources: https://h/x\n    unpack: true', {}, 'unpack needs to and the folder'],
  ['uses: chown\n    owner: 1:1\n    paths: /', {}, '/ is the root directory; name the volume'],
  ['uses: chown\n    owner: 1:1\n    paths: /proc/1', {}, '/proc/1 is the kernel'],
  ['uses: chown\n    owner: 1:1\n    paths: /sys', {}, '/sys is the kernel'],
  ['uses: chown\n    owner: 1:1\n    paths: /dev', {}, '/dev is the kernel'],
  ['uses: copy\n    sources: /a/b\n    destination: /a/../a/b/', {}, '/a/b and /a/../a/b/ are the same path'],
  [
    'uses: copy\n    sources: /a\n    destination: /b\n    delete: true\n    no-clobber: true',
    {},
    'delete and no-clobber',
  ],
  ['uses: wait-dns\n    names: db\n    expect: mail', {}, 'expect: "mail" is not an IP address'],
  [
    'uses: render\n    templates: /t\n    to: /x\n    language: liquid\n    only: A',
    {},
    'only is for the language env',
  ],
])('%j with %j', async (lines, environment, mistake) => {
  expect(await mistakesOf(plan(lines), { environment })).toEqual([
    expect.stringContaining(`plan.yaml:3:5: step "z": ${mistake}`) as string,
  ]);
});

test('all that is wrong with one step is told at once', async () => {
  const mistakes = await mistakesOf(
    plan(
      `${fromVault}\n    header-env: [X=UNSET]`.replace('vault:secret/a#f', '[vault:secret/a#f, env:NOPE]'),
    ),
    { environment: { ...vault, VAULT_ADDR: 'zz', HTTP_PROXY: 'http://$(X)' } },
  );
  expect(mistakes).toHaveLength(5);
});

test.each<readonly [lines: string, environment: Record<string, string>]>([
  // What is in a file is not known yet, and it may be an earlier step's.
  [`${waitPostgres}\n    database-url-file: /run/url`, {}],
  [`${migrate}\n    direct-database-url-file: /run/url`, { DATABASE_URL: 'mysql://h/d' }],
  [`${fromVault}\n    vault-token-file: /run/token`, { VAULT_ADDR: 'https://vault:8200' }],
  [`${fromVault}\n    vault-auth: token`, { VAULT_ADDR: 'https://vault:8200', HOME: '/nonexistent' }],
  [fromAws, { AWS_CONFIG_FILE: '/nonexistent/config' }],
  [`${waitHttp}\n    header-file: /run/headers\n    cert-file: /c\n    key-file: /k`, {}],
  // A step that is left out needs no variable.
  [`${waitPostgres}\n    when: MIGRATE`, {}],
  [`${fromVault}\n    when: VAULT_ADDR`, {}],
  ['uses: fetch-config\n    sources: env:NOPE\n    to: /dev/shm/x\n    when: NOPE', { NOPE: '' }],
])('%j with %j is taken', async (lines, environment) => {
  expect((await read(plan(lines), { environment })).steps).toHaveLength(2);
});
