// A reference that Kubernetes, a shell or a template should have replaced and did not: it was waited for until the
// deadline, sent to a server as a password, or made a folder of.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { runInitbox, type ProgramOptions } from '../../support/program.ts';
import { quote, undoAtDeath } from '../../support/undo.ts';

/** On a volume, where folders that are missing are made. */
const folder = mkdtempSync('/dev/shm/initbox-test-unexpanded-');
undoAtDeath(`rm -rf ${quote(folder)}`);
const at = (...names: string[]): string => join(folder, ...names);
const template = at('template.conf');
writeFileSync(template, 'text\n');
mkdirSync(at('tree'));
writeFileSync(at('header'), 'Host: $(X)\n');
writeFileSync(at('bearer'), 'Accept: text/plain\nAuthorization: Bearer $(X)\n');
writeFileSync(at('password'), '$(X)\n');
writeFileSync(at('url'), 'postgres://app:secret@$(X)/app\n');
const file = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};
mkdirSync(at('home'));
writeFileSync(at('home', '.vault-token'), '$(X)\n');
writeFileSync(at('pgpass'), '# passwords\n*:*:*:*:$(X)\n');
writeFileSync(at('token'), 'hvs.$(X)\n');
writeFileSync(at('jwt'), 'a.b.$(X)\n');
const spec = (name: string, text: string): string[] => ['fetch-config', '--spec', file(name, text)];
const plan = (name: string, step: string): string[] => [
  'run',
  file(name, `steps:\n  - name: a\n    ${step.replaceAll('\n', '\n    ')}\n`),
];

/** Nothing listens there: whoever asks it all the same waits. */
const nowhere = '127.0.0.1:1';
const http = `http://${nowhere}`;
const to = ['--to', at('made'), '--allow-disk'];
const vault = { VAULT_ADDR: http, VAULT_TOKEN: 'token' };
const aws = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'key',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_ENDPOINT_URL: http,
};
const database = { DATABASE_URL: `postgres://app@${nowhere}/app` };
const mysqlDatabase = { DATABASE_URL: `mysql://app@${nowhere}/app` };
const pg = { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'app', PGPASSWORD: 'secret' };

type Variables = Record<string, string>;
type Case = [origin: string, words: readonly string[], env?: Variables];
const wait = ['wait-postgres'];
const migrate = ['migrate-with-lock', '--', 'touch', at('ran')];
const fetchVault = ['fetch-config', 'vault:secret/app', ...to];
const fetchAws = ['fetch-config', 'aws-sm:app', ...to];

const cases: Readonly<Record<string, Case[]>> = {
  'wait-tcp': [
    ['argument 1', ['wait-tcp', '$(X):5432']],
    ['argument 1', ['wait-tcp', 'db:$(X)']],
    ['argument 2', ['wait-tcp', nowhere, 'postgres://app@$(X)/app']],
    ['argument 1', ['wait-tcp', 'unix:/run/$(X)/app.sock']],
    ['argument 1', ['wait-tcp', 'http://h:$(X)/a@b']],
    ['argument 1', ['wait-tcp', 'postgres://h/db?host=$(X)']],
    ['argument 1', ['wait-tcp', 'postgres://h/db?host=/run/$(X)']],
    ['argument 1', ['wait-tcp', `postgres://a@${nowhere}/$(X)`]],
    ['argument 1', ['wait-tcp', `postgres://$(X)@${nowhere}/x`]],
    ['argument 1', ['wait-tcp', `postgres://$(X):secret@${nowhere}/x`]],
    ['argument 1', ['wait-tcp', `postgres://a:$(X)@${nowhere}/x`]],
    ['argument 1', ['wait-tcp', `http://${nowhere}/$(X)?q={{ x }}`]],
    ['argument 1', ['wait-tcp', `redis://${nowhere}/0#$(X)`]],
    ['argument 1', ['wait-tcp', `postgres://a:p/w@${nowhere}/$(X)`]],
    ['argument 1', ['wait-tcp', `jdbc:postgresql://${nowhere}/$(X)`]],
    ['argument 1', ['wait-tcp', `app:$(X)@${nowhere}`]],
    ['argument 1', ['wait-tcp', `jdbc:sqlserver://${nowhere};databaseName=$(X)`]],
    ['argument 1', ['wait-tcp', `jdbc:sqlserver://${nowhere};user=a;password=$(X)`]],
  ],
  'wait-dns': [
    ['argument 1', ['wait-dns', 'db.$(X).svc']],
    ['--service', ['wait-dns', '--service', 'db.$(X)']],
    ['--server', ['wait-dns', 'db', '--server', '$(X)']],
    ['--server', ['wait-dns', 'db', '--server', '10.0.0.1:$(X)']],
    ['--expect', ['wait-dns', 'db', '--expect', '$(X)', '--type', 'TXT']],
    ['INITBOX_SERVER', ['wait-dns', 'db'], { INITBOX_SERVER: '$(X):53' }],
  ],
  'wait-http': [
    ['argument 1', ['wait-http', 'http://$(X)/']],
    ['argument 1', ['wait-http', '$(X)']],
    ['argument 1', ['wait-http', `${http}/$(X)/healthz`]],
    ['argument 1', ['wait-http', `${http}/?namespace=$(X)`]],
    ['argument 1', ['wait-http', `http://user:$(X)@${nowhere}/`]],
    ['argument 1', ['wait-http', 'unix:/run/$(X).sock:/healthz']],
    ['argument 1', ['wait-http', 'http://h:$(X)/users/@me']],
    ['HTTP_PROXY', ['wait-http', 'http://example.test/'], { HTTP_PROXY: 'http://h:$(X)/a@b' }],
    ['--ca-file', ['wait-http', http, '--ca-file', '/ca/$(X).crt']],
    ['--tls-server-name', ['wait-http', http, '--tls-server-name', '$(X)']],
    ['--request-body-file', ['wait-http', http, '--request-body-file', '$(X)']],
    ['--header-file', ['wait-http', http, '--header-file', '$(X)']],
    [at('header'), ['wait-http', http, '--header-file', at('header')]],
    [at('bearer'), ['wait-http', http, '--header-file', at('bearer')]],
    ['TOKEN', ['wait-http', http, '--header-env', 'Authorization=TOKEN'], { TOKEN: '$(X)' }],
    ['HTTP_PROXY', ['wait-http', 'http://example.test/'], { HTTP_PROXY: 'http://$(X):3128' }],
    ['https_proxy', ['wait-http', 'https://example.test/'], { https_proxy: '$(X)' }],
    ['NO_PROXY', ['wait-http', http], { HTTP_PROXY: `http://${nowhere}`, NO_PROXY: 'a.test,$(X)' }],
    ['SSL_CERT_FILE', ['wait-http', http], { SSL_CERT_FILE: '/ca/$(X)' }],
  ],
  'wait-postgres': [
    ['argument 1', ['wait-postgres', 'postgres://app@$(X):5432/app']],
    ['DATABASE_URL', wait, { DATABASE_URL: '$(X)' }],
    ['DATABASE_URL', wait, { DATABASE_URL: 'postgres://app:secret@$(X)/app' }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app:secret@127.0.0.1:$(X)/app` }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app:secret@a:1,$(X):1/app` }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://$(X):secret@${nowhere}/app` }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app:$(X)@${nowhere}/app` }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app:secret@${nowhere}/$(X)` }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app@${nowhere}/app?sslrootcert=/ca/$(X)` }],
    ['DATABASE_URL', wait, { DATABASE_URL: 'postgres:///app?user=app&host=$(X)' }],
    ['DATABASE_URL', wait, { DATABASE_URL: 'postgres://h:$(X)/a@b' }],
    ['DATABASE_URL', wait, { DATABASE_URL: `postgres://app-$(X):secret@${nowhere}/app` }],
    ['--database-url-file', ['wait-postgres', '--database-url-file', '/run/$(X)/url']],
    ['--database-url-file', ['wait-postgres', '--database-url-file', at('url')]],
    ['PGHOST', wait, { ...pg, PGHOST: '$(X)' }],
    ['PGHOST', wait, { ...pg, PGHOST: '/run/$(X)' }],
    ['PGHOSTADDR', wait, { ...pg, PGHOSTADDR: '$(X)' }],
    ['PGPORT', wait, { ...pg, PGPORT: '$(X)' }],
    ['PGUSER', wait, { ...pg, PGUSER: '$(X)' }],
    ['PGDATABASE', wait, { ...pg, PGDATABASE: 'app_$(X)' }],
    ['PGPASSWORD', wait, { ...pg, PGPASSWORD: '$(X)' }],
    ['PGPASSFILE', wait, { ...pg, PGPASSWORD: '', PGPASSFILE: '/run/$(X)' }],
    [`${at('pgpass')}:2`, wait, { ...pg, PGPASSWORD: '', PGPASSFILE: at('pgpass') }],
    ['PGSSLROOTCERT', wait, { ...pg, PGSSLROOTCERT: '/ca/$(X)' }],
    ['PGSSLCERT', wait, { ...pg, PGSSLCERT: '/ca/$(X)' }],
    ['PGSSLKEY', wait, { ...pg, PGSSLKEY: '/ca/$(X)' }],
    ['--migrated', ['wait-postgres', '--migrated', '$(X)'], database],
  ],
  'migrate-with-lock': [
    ['DATABASE_URL', migrate, { DATABASE_URL: 'postgres://app@$(X)/app' }],
    ['DIRECT_DATABASE_URL', migrate, { ...database, DIRECT_DATABASE_URL: 'postgres://app@$(X)/app' }],
    ['--sql', ['migrate-with-lock', '--sql', '/migrations/$(X)'], database],
    ['--once', ['migrate-with-lock', '--once', 'app-$(X)', '--', 'true'], database],
    ['--forget', ['migrate-with-lock', '--forget', '$(X)'], database],
    ['--lock-name', ['migrate-with-lock', '--lock-name', '$(X)', '--', 'true'], database],
    ['--baseline', ['migrate-with-lock', '--sql', at('tree'), '--baseline', '$(X)'], database],
  ],
  'fetch-config': [
    ['argument 1', ['fetch-config', '$(X)', ...to]],
    ['argument 1', ['fetch-config', 'vault:secret/$(X)', ...to], vault],
    ['argument 1', ['fetch-config', 'vault:secret/app#$(X)', ...to], vault],
    ['argument 1', ['fetch-config', 'aws-sm:app?stage=$(X)', ...to], aws],
    ['argument 1', ['fetch-config', 'aws-sm:prod/$(X)', ...to], aws],
    ['argument 1', ['fetch-config', 'http://$(X)/app.yaml', ...to]],
    ['argument 1', ['fetch-config', `${http}/$(X).yaml`, ...to]],
    ['argument 1', ['fetch-config', `http://user:$(X)@${nowhere}/`, ...to]],
    ['argument 1', ['fetch-config', 'file:/etc/$(X)/app.conf', ...to]],
    ['argument 1', ['fetch-config', 'env:$(X)', ...to]],
    ['--to', ['fetch-config', 'env:HOME', '--to', at('made', '$(X)', 'file'), '--allow-disk']],
    ['INITBOX_TO', ['fetch-config', 'env:HOME', '--allow-disk'], { INITBOX_TO: at('$(X)') }],
    ['--to', ['fetch-config', http, '--unpack', '--sha256', 'a'.repeat(64), '--to', at('$(X)')]],
    ['--etag-file', ['fetch-config', http, ...to, '--etag-file', at('$(X)')]],
    ['--spec', ['fetch-config', '--spec', '/etc/$(X).yaml']],
    ['--vault-addr', [...fetchVault, '--vault-addr', 'http://$(X):8200'], vault],
    ['VAULT_ADDR', fetchVault, { ...vault, VAULT_ADDR: 'https://$(X):8200' }],
    ['VAULT_ADDR', fetchVault, { ...vault, VAULT_ADDR: 'https://h:$(X)/a@b' }],
    ['VAULT_NAMESPACE', fetchVault, { ...vault, VAULT_NAMESPACE: 'team-$(X)' }],
    ['VAULT_TOKEN', fetchVault, { ...vault, VAULT_TOKEN: '$(X)' }],
    ['VAULT_CACERT', fetchVault, { ...vault, VAULT_CACERT: '/ca/$(X)' }],
    ['VAULT_CAPATH', fetchVault, { ...vault, VAULT_CAPATH: '/ca/$(X)' }],
    ['VAULT_CLIENT_CERT', fetchVault, { ...vault, VAULT_CLIENT_CERT: '$(X)', VAULT_CLIENT_KEY: '/k' }],
    ['VAULT_TLS_SERVER_NAME', fetchVault, { ...vault, VAULT_TLS_SERVER_NAME: '$(X)' }],
    ['--vault-role', [...fetchVault, '--vault-role', '$(X)'], { VAULT_ADDR: http }],
    [
      '--vault-mount',
      [...fetchVault, '--vault-role', 'a', '--vault-mount', 'k8s/$(X)'],
      { VAULT_ADDR: http },
    ],
    [
      '--vault-jwt-file',
      [...fetchVault, '--vault-role', 'a', '--vault-jwt-file', '$(X)'],
      { VAULT_ADDR: http },
    ],
    [
      '--vault-password-file',
      [...fetchVault, '--vault-user', 'a', '--vault-password-file', at('password')],
      { VAULT_ADDR: http },
    ],
    ['VAULT_TOKEN', fetchVault, { ...vault, VAULT_TOKEN: 'hvs.$(X)' }],
    ['VAULT_TOKEN', fetchVault, { ...vault, VAULT_TOKEN: '$(X)$(Y)' }],
    ['~/.vault-token', fetchVault, { VAULT_ADDR: http, HOME: at('home') }],
    ['--vault-token-file', [...fetchVault, '--vault-token-file', at('token')], { VAULT_ADDR: http }],
    [at('jwt'), [...fetchVault, '--vault-role', 'a', '--vault-jwt-file', at('jwt')], { VAULT_ADDR: http }],
    [
      '--vault-secret-id-file',
      [...fetchVault, '--vault-role-id', 'a', '--vault-secret-id-file', at('token')],
      { VAULT_ADDR: http },
    ],
    ['--content-type', ['fetch-config', http, ...to, '--content-type', 'text/$(X)']],
    ['AWS_SECRET_ACCESS_KEY', fetchAws, { ...aws, AWS_SECRET_ACCESS_KEY: 'a$(X)' }],
    [
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
      fetchAws,
      { ...aws, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: at('token') },
    ],
    ['AWS_WEB_IDENTITY_TOKEN_FILE', fetchAws, { ...aws, AWS_WEB_IDENTITY_TOKEN_FILE: at('jwt') }],
    [
      'AWS_EC2_METADATA_SERVICE_ENDPOINT',
      fetchAws,
      { ...aws, AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://$(X)/' },
    ],
    ['AWS_REGION', fetchAws, { ...aws, AWS_REGION: '$(X)' }],
    ['AWS_DEFAULT_REGION', fetchAws, { ...aws, AWS_REGION: '', AWS_DEFAULT_REGION: '$(X)' }],
    ['AWS_ENDPOINT_URL', fetchAws, { ...aws, AWS_ENDPOINT_URL: 'http://$(X)/' }],
    [
      'AWS_ENDPOINT_URL_SECRETS_MANAGER',
      fetchAws,
      { ...aws, AWS_ENDPOINT_URL_SECRETS_MANAGER: 'http://$(X)' },
    ],
    [
      'AWS_ENDPOINT_URL_STS',
      [...fetchAws, '--expect-role', 'a'],
      { ...aws, AWS_ENDPOINT_URL_STS: 'http://$(X)' },
    ],
    ['AWS_ACCESS_KEY_ID', fetchAws, { ...aws, AWS_ACCESS_KEY_ID: '$(X)' }],
    ['AWS_SECRET_ACCESS_KEY', fetchAws, { ...aws, AWS_SECRET_ACCESS_KEY: '$(X)' }],
    ['AWS_SESSION_TOKEN', fetchAws, { ...aws, AWS_SESSION_TOKEN: '$(X)' }],
    ['AWS_PROFILE', fetchAws, { ...aws, AWS_PROFILE: '$(X)' }],
    ['AWS_ROLE_ARN', fetchAws, { ...aws, AWS_ROLE_ARN: 'arn:aws:iam::$(X):role/a' }],
    ['AWS_WEB_IDENTITY_TOKEN_FILE', fetchAws, { ...aws, AWS_WEB_IDENTITY_TOKEN_FILE: '/var/$(X)' }],
    [
      'AWS_CONTAINER_CREDENTIALS_FULL_URI',
      fetchAws,
      { ...aws, AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://$(X)/' },
    ],
    ['AWS_CA_BUNDLE', fetchAws, { ...aws, AWS_CA_BUNDLE: '/ca/$(X)' }],
    ['AWS_CONFIG_FILE', fetchAws, { ...aws, AWS_CONFIG_FILE: '/etc/$(X)' }],
    ['--expect-role', [...fetchAws, '--expect-role', '$(X)'], aws],
    [`${at('to.yaml')}:1:1`, spec('to.yaml', `to: ${at('$(X)')}\nfiles: [{ path: a, from: env:HOME }]\n`)],
    [`${at('path.yaml')}:1:11`, spec('path.yaml', `files: [{ path: ${at('$(X)')}, from: env:HOME }]\n`)],
    [
      `${at('from.yaml')}:3:24`,
      spec('from.yaml', `files:\n  - path: ${at('a')}\n    from: ['env:HOME', 'http://$(X)/']\n`),
    ],
  ],
  'create-database': [
    ['argument 1', ['create-database', '$(X)'], database],
    ['--owner', ['create-database', 'app', '--owner', '$(X)'], database],
    ['--extension', ['create-database', 'app', '--extension', '${X}'], database],
    ['--grant', ['create-database', 'app', '--grant', 'connect=$(X)'], database],
    ['--template', ['create-database', 'app', '--template', '$(X)'], database],
    ['--maintenance-database', ['create-database', 'app', '--maintenance-database', '$(X)'], database],
    ['--encoding', ['create-database', 'app', '--encoding', '$(X)'], database],
    ['--locale', ['create-database', 'app', '--locale', '$(X)'], database],
    ['--collation', ['create-database', 'app', '--collation', '$(X)'], mysqlDatabase],
    ['--user-host', ['create-database', 'app', '--user-host', '$(X)'], mysqlDatabase],
    ['DATABASE_URL', ['create-database', 'app'], { DATABASE_URL: 'mysql://a@$(X)/' }],
  ],
  render: [
    ['argument 1', ['render', '/templates/$(X).conf', ...to]],
    ['--to', ['render', template, '--to', at('$(X)')]],
    ['--data', ['render', template, ...to, '--data', '/values/$(X).yaml']],
    ['--data', ['render', template, ...to, '--data', 'a=vault:secret/$(X)'], vault],
    ['--data', ['render', template, ...to, '--data', 'a=$(X)']],
  ],
  copy: [
    ['argument 1', ['copy', '/defaults/$(X)', at('made')]],
    ['argument 2', ['copy', at('tree'), at('$(X)')]],
    ['argument 3', ['copy', at('tree'), template, at('a', '$(X)', 'b')]],
  ],
  chown: [
    ['argument 1', ['chown', '$(X)', at('tree')]],
    ['argument 2', ['chown', '0:0', at('$(X)'), '--create']],
    ['--reference', ['chown', at('tree'), '--reference', '/data/$(X)']],
    ['--from', ['chown', '0:0', at('tree'), '--from', '$(X)']],
  ],
  install: [['argument 1', ['install', at('$(X)')]]],
  certificate: [
    ['argument 1', ['certificate', 'shop.$(X)', '--to', at('tls')]],
    ['--to', ['certificate', 'a.test', '--to', '/tls/$(X)']],
    ['--service', ['certificate', '--service', 'shop.$(X)', '--to', at('tls')]],
    ['--ca-dir', ['certificate', 'a.test', '--to', at('tls'), '--ca-dir', '/ca/${X}']],
    [
      `${at('certificate.yaml')}:4:13`,
      plan('certificate.yaml', "uses: certificate\nnames: ['$(X)']\nto: /tls"),
    ],
  ],
  files: [
    ['argument 1', ['files', 'mkdir:/data/$(X)']],
    ['argument 2', ['files', 'touch:/data/a', 'remove:/data/${X}']],
    ['argument 1', ['files', 'move:/data/a=/data/$(X)']],
    ['argument 1', ['files', 'link:$(X)=/data/a']],
    [`${at('files.yaml')}:4:15`, plan('files.yaml', "uses: files\nactions: ['mode:0700:/data/$(X)']")],
  ],
  sysctl: [
    ['argument 1', ['sysctl', 'vm.max_map_count>=$(X)']],
    ['argument 2', ['sysctl', 'kernel.ostype=Linux', 'vm.$(X)=1']],
    ['argument 1', ['sysctl', '/sys/kernel/mm/transparent_hugepage/enabled=${X}']],
    [`${at('sysctl.yaml')}:4:16`, plan('sysctl.yaml', "uses: sysctl\nsettings: ['vm.max_map_count=$(X)']")],
  ],
  run: [
    ['argument 1', ['run', '/etc/$(X)/plan.yaml']],
    ['INITBOX_PLAN', ['run'], { INITBOX_PLAN: '/etc/$(X)/plan.yaml' }],
    [`${at('targets.yaml')}:4:14`, plan('targets.yaml', "uses: wait-tcp\ntargets: '$(X):5432'")],
    [
      `${at('copy.yaml')}:5:18`,
      plan('copy.yaml', `uses: copy\nsources: ${at('tree')}\ndestination: '${at('$(X)')}'`),
    ],
    [
      `${at('option.yaml')}:5:9`,
      plan('option.yaml', `uses: fetch-config\nsources: env:HOME\nto: '${at('$(X)')}'`),
    ],
    [`${at('words.yaml')}:3:15`, plan('words.yaml', `command: ['$(X)/bin', '$(Y)']`)],
    [`${at('secret.yaml')}:4:24`, plan('secret.yaml', `uses: wait-postgres\ndatabase-url-file: '/run/$(X)'`)],
  ],
  'every command': [
    ['--termination-log', ['wait-tcp', nowhere, '--termination-log', '/dev/$(X)']],
    ['INITBOX_TERMINATION_LOG', ['wait-tcp', nowhere], { INITBOX_TERMINATION_LOG: '/dev/$(X)' }],
  ],
};

async function refused(words: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const dashes = words.indexOf('--');
  const end = dashes < 0 ? words.length : dashes;
  const timed = [...words.slice(0, end), '--timeout', '2s', ...words.slice(end)];
  const { status, stderr } = await runInitbox(timed, options);
  expect({ status, stderr }).toMatchObject({ status: 2 });
  return stderr;
}

let before: string[];
beforeAll(() => {
  before = readdirSync(folder, { recursive: true }).map(String).toSorted();
});

describe.each(Object.entries(cases))('%s', (_, rows) => {
  test.each<Case>(rows)('%s: %j %j', async (origin, words, env) => {
    const stderr = await refused(words, env && { env });
    expect(stderr).toContain(origin);
    // Of a secret its signs alone are shown.
    expect(stderr).toMatch(
      /(the variable X|a \$[({]…[)}]) in it was not replaced by a value; Kubernetes replaces \$\((X|NAME)\) in/,
    );
    expect(stderr).not.toContain(':secret@');
    expect(readdirSync(folder, { recursive: true }).map(String).toSorted()).toEqual(before);
  });
});

describe('each form of a reference', () => {
  test.each([
    [
      '$(DB_HOST)',
      /the variable DB_HOST in it was not replaced by a value; Kubernetes replaces \$\(DB_HOST\)/,
    ],
    ['${DB_HOST}', /the variable DB_HOST in it was not replaced/],
    ['${DB_HOST:-db}', /the variable DB_HOST in it was not replaced/],
    ['$DB_HOST', /the variable DB_HOST in it was not replaced/],
    ['{{ .Values.host }}', /the template's \{\{ \.Values\.host \}\} in it was not filled in/],
    ['{{.Values.host}}', /the template's \{\{\.Values\.host\}\} in it was not filled in/],
    ['<no value>', /"<no value>" in it is what a template writes where a value is missing/],
    ['$(hostname -f)', /the shell's \$\(hostname -f\) in it was not run; there is no shell/],
  ])('%s', async (reference, message) => {
    expect(await refused(['wait-tcp', `${reference}:5432`])).toMatch(message);
    expect(await refused(['wait-http', `http://${reference}:8080/`])).toMatch(message);
    expect(await refused(wait, { env: { DATABASE_URL: `postgres://app@${reference}/app` } })).toMatch(
      message,
    );
    expect(await refused(wait, { env: { ...pg, PGHOST: reference } })).toMatch(message);
    expect(await refused(['copy', at('tree'), at(reference)])).toMatch(message);
  });
});

test.each<[shown: string, words: readonly string[], env: Variables]>([
  ['"<no value>" in it', wait, { DATABASE_URL: '<no value>' }],
  ["a template's {{ … }} in it", wait, { ...pg, PGPASSWORD: '{{ .Values.pw }}' }],
  ['replaces $(NAME) in args', wait, { DATABASE_URL: 'postgres://u:$(PW)@h/x' }],
  ['replaces $(NAME) in args', ['wait-http', `http://u:$(PW)@${nowhere}/`], {}],
  ['replaces $(NAME) in args', ['wait-postgres', `postgres://u:\${PW}@${nowhere}/x`], {}],
  ['replaces $(NAME) in args', fetchVault, { ...vault, VAULT_TOKEN: '${T}' }],
])('what the message is about is not hidden in it: %s %j %j', async (shown, words, env) => {
  const stderr = await refused(words, { env });
  expect(stderr).toContain(shown);
  expect(stderr).not.toContain('[redacted]');
});

describe('what is meant so is taken', () => {
  test('a path that exists under that very name', async () => {
    const odd = at('odd-$(X)');
    mkdirSync(odd);
    writeFileSync(join(odd, 'a'), 'text');
    const target = at('target', '$HOME');
    mkdirSync(target, { recursive: true });
    expect(await runInitbox(['copy', odd, join(target, 'new')])).toMatchObject({ status: 0 });
    expect(existsSync(join(target, 'new', 'a'))).toBe(true);
    expect(
      await runInitbox(['fetch-config', `file:${odd}/a`, '--to', join(odd, 'b'), '--allow-disk']),
    ).toMatchObject({ status: 0 });
    await refused(['copy', odd, join(odd, '$(Y)')]);
  });

  test.each<[what: string, made: string, words: readonly string[]]>([
    ['a class of Java', 'Outer$Inner.class', ['copy', template, at('Outer$Inner.class')]],
    ['a folder', 'new$dir', ['copy', template, at('new$dir/')]],
    ['a rendered file', '$data.conf', ['render', template, '--to', at('$data.conf'), '--allow-disk']],
    [
      'a fetched file',
      'A$B.class',
      ['fetch-config', `file:${template}`, '--to', at('A$B.class'), '--allow-disk'],
    ],
    [
      'a folder of Windows',
      '$RECYCLE.BIN',
      ['chown', `${process.getuid?.()}:${process.getgid?.()}`, at('$RECYCLE.BIN'), '--create'],
    ],
  ])('a new path with a mere $ in its name: %s', async (_, made, words) => {
    const { status, stderr } = await runInitbox(words);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(existsSync(at(made))).toBe(true);
    await refused(['copy', template, at('$POD_NAME', 'x')]);
  });

  test.each<Case>([
    ['a socket', ['wait-tcp', 'unix:/run/a$b.sock']],
    ['a password of a target with a $( in it', ['wait-tcp', `postgres://u:pa$(b)ss$@${nowhere}/x`]],
    ['a password with a raw / and a $( in it', ['wait-tcp', `postgres://u:p/a$(b)s@${nowhere}/x`]],
    ['a target’s path, encoded', ['wait-tcp', `http://${nowhere}/%24(X)?q=%7B%7B x }}`]],
    ['a $ in a target’s path', ['wait-tcp', `http://${nowhere}/odata/$metadata?$top=1`]],
    ['a password of SQL Server', ['wait-tcp', `jdbc:sqlserver://${nowhere};user=a$b;password=pa$(b)ss`]],
    ['a password in a URL, encoded', wait, { DATABASE_URL: `postgres://u:%24(X)@${nowhere}/x` }],
    [
      'a user and a database in a URL, encoded',
      wait,
      { DATABASE_URL: `postgres://%24(X):p@${nowhere}/%7B%7Bx%7D%7D` },
    ],
    ['a parameter, encoded', wait, { DATABASE_URL: `postgres://u@${nowhere}/x?password=%24(X)` }],
    ['a URL as an argument, encoded', ['wait-postgres', `postgres://u:%24%7BX%7D@${nowhere}/x`]],
    ['a password of HTTP, encoded', ['wait-http', `http://u:%24(X)@${nowhere}/%24(X)?a=%7B%7Bx%7D%7D`]],
    ['a source, encoded', ['fetch-config', `http://u:%24(X)@${nowhere}/%24(X)`, ...to]],
    ['a path of Vault, encoded', fetchVault, { ...vault, VAULT_ADDR: `${http}/%24(X)` }],
    [
      'a proxy, encoded',
      ['wait-http', 'http://example.test/'],
      { HTTP_PROXY: `http://u:%24(X)@${nowhere}/` },
    ],
    ['a password with a $( in it', wait, { ...pg, PGPASSWORD: 'a$(b)c' }],
    ['a dollar at the end of a password', wait, { DATABASE_URL: `postgres://app:pa$(b)ss$@${nowhere}/app` }],
    ['a $ in a URL’s path', ['wait-http', `${http}/odata/$metadata?$top=1&$expand=Items($select=Name)`]],
    [
      'what is looked for in a body',
      ['wait-http', http, '--body', '$(X) {{ a }}', '--body-matches', '^\\$\\{X\\}$'],
    ],
    ['what a header must be', ['wait-http', http, '--expect-header', 'X-Template: $(X)']],
    ['SQL', ['wait-postgres', '--query', "SELECT '$(X)' = '{{ a }}'"], database],
    ['the command under the lock', ['migrate-with-lock', '--', 'echo', '$(X)', '{{ a }}'], database],
    ['the command that takes over', ['wait-tcp', nowhere, '--', 'echo', '$(X)']],
    ['a user and a database with a $', wait, { ...pg, PGUSER: 'app$user', PGDATABASE: 'app$db' }],
    ['a proxy for others', ['wait-tcp', nowhere], { HTTP_PROXY: 'http://$(X)/', DATABASE_URL: '$(X)' }],
  ])('%s', async (_, words, env) => {
    const dashes = words.indexOf('--');
    const end = dashes < 0 ? words.length : dashes;
    const timed = [...words.slice(0, end), '--timeout', '300ms', ...words.slice(end)];
    expect(await runInitbox(timed, env && { env })).toMatchObject({ status: 124 });
  });

  test('the values of a template', async () => {
    const odd = file('odd.tmpl', '$$(X) ${VALUE}\n');
    const { status, stderr } = await runInitbox([
      'render',
      odd,
      '--to',
      at('rendered'),
      '--var',
      'VALUE=$(Y) {{ a }}',
      '--allow-disk',
    ]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });
});

describe('variables that are empty, or hold what Kubernetes writes for a Service', () => {
  test.each<[message: string, words: readonly string[], env: Variables]>([
    ['VAULT_ADDR is empty', fetchVault, { ...vault, VAULT_ADDR: '' }],
    ['AWS_REGION is empty', fetchAws, { ...aws, AWS_REGION: '' }],
    ['no database was named', wait, { DATABASE_URL: '', PGHOST: '' }],
    ['the port in PGPORT is not a number: it is a URL', wait, { ...pg, PGPORT: 'tcp://10.1.2.3:5432' }],
    ['the port in the target is not a number: it is a URL', ['wait-tcp', '10.1.2.3:tcp://10.1.2.3:5432'], {}],
  ])('%s', async (message, words, env) => {
    expect(await refused(words, { env })).toContain(message);
  });
});
