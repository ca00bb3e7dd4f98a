// Every environment variable that the program reads, found in its source: what nobody replaced, and what is blank, is refused
// in each that is an address, a path, a name or a credential, before anything is done.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { UsageError } from '../../../src/core/outcome.ts';
import { read } from '../commands/run/read.ts';

const source = join(import.meta.dirname, '..', '..', '..', 'src');
const named =
  /environment\[\s*'(\w+)'|\b(PG[A-Z_]+[A-Z]|VAULT_[A-Z_]+[A-Z]|AWS_[A-Z0-9_]+[A-Z0-9]|(?:GOOGLE|GCE|GCLOUD|CLOUDSDK|STORAGE_EMULATOR|AZURE)_[A-Z0-9_]+[A-Z0-9]|(?:DIRECT_)?DATABASE_URL|(?:https?|no|all)_proxy|(?:HTTPS?|NO|ALL)_PROXY|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS)\b/g;
const inSource = new Set(
  globSync('**/*.ts', { cwd: source }).flatMap((file) =>
    [...readFileSync(join(source, file), 'utf8').matchAll(named)].map(([, one, other]) => one ?? other ?? ''),
  ),
);

type Environment = Readonly<Record<string, string>>;
interface Reader {
  readonly step: object;
  readonly environment: Environment;
}

const http: Reader = {
  step: { uses: 'wait-http', urls: ['http://h.test/', 'https://h.test/'] },
  environment: {},
};
const vault: Reader = {
  step: { uses: 'fetch-config', sources: ['vault:secret/a'], to: '/dev/shm/x' },
  environment: { VAULT_ADDR: 'http://h.test', VAULT_TOKEN: 'token' },
};
const aws: Reader = {
  step: { uses: 'fetch-config', sources: ['aws-sm:a'], to: '/dev/shm/x' },
  environment: { AWS_REGION: 'eu-central-1' },
};
const google: Reader = {
  step: { uses: 'fetch-config', sources: ['gcp-sm:shop/a'], to: '/dev/shm/x' },
  environment: {},
};
const azure: Reader = {
  step: { uses: 'fetch-config', sources: ['azure-kv:shop/a'], to: '/dev/shm/x' },
  environment: { AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't', AZURE_FEDERATED_TOKEN_FILE: '/t' },
};
const url: Reader = { step: { uses: 'wait-postgres' }, environment: {} };
const pg: Reader = { step: { uses: 'wait-postgres' }, environment: { PGHOST: 'db', PGUSER: 'app' } };
const migrate: Reader = {
  step: { uses: 'migrate-with-lock', command: ['true'] },
  environment: { DATABASE_URL: 'postgres://a@h/b' },
};

/** Where each is read. */
const variables: Readonly<Record<string, Reader>> = {
  HTTP_PROXY: http,
  HTTPS_PROXY: http,
  http_proxy: http,
  https_proxy: http,
  NO_PROXY: { ...http, environment: { HTTP_PROXY: 'http://p.test' } },
  no_proxy: { ...http, environment: { HTTP_PROXY: 'http://p.test' } },
  SSL_CERT_FILE: http,
  DATABASE_URL: url,
  DIRECT_DATABASE_URL: migrate,
  PGHOST: pg,
  PGHOSTADDR: pg,
  PGPORT: pg,
  PGUSER: pg,
  PGDATABASE: pg,
  PGPASSWORD: pg,
  PGPASSFILE: pg,
  PGSSLROOTCERT: pg,
  PGSSLCERT: pg,
  PGSSLKEY: pg,
  PGAPPNAME: pg,
  PGOPTIONS: pg,
  PGDATESTYLE: pg,
  PGTZ: pg,
  PGGEQO: pg,
  VAULT_ADDR: vault,
  VAULT_TOKEN: vault,
  VAULT_NAMESPACE: vault,
  VAULT_CACERT: vault,
  VAULT_CAPATH: vault,
  VAULT_CLIENT_CERT: { ...vault, environment: { ...vault.environment, VAULT_CLIENT_KEY: '/k' } },
  VAULT_CLIENT_KEY: { ...vault, environment: { ...vault.environment, VAULT_CLIENT_CERT: '/c' } },
  VAULT_TLS_SERVER_NAME: vault,
  AWS_REGION: aws,
  AWS_DEFAULT_REGION: { ...aws, environment: {} },
  AWS_PROFILE: aws,
  AWS_CONFIG_FILE: aws,
  AWS_SHARED_CREDENTIALS_FILE: aws,
  AWS_CA_BUNDLE: aws,
  AWS_ENDPOINT_URL: aws,
  AWS_ENDPOINT_URL_S3: aws,
  AWS_ENDPOINT_URL_SECRETS_MANAGER: aws,
  AWS_ENDPOINT_URL_SSM: aws,
  AWS_ENDPOINT_URL_STS: aws,
  AWS_EC2_METADATA_SERVICE_ENDPOINT: aws,
  AWS_ROLE_ARN: aws,
  AWS_ROLE_SESSION_NAME: aws,
  AWS_WEB_IDENTITY_TOKEN_FILE: aws,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: aws,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: aws,
  AWS_CONTAINER_AUTHORIZATION_TOKEN: aws,
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: aws,
  AWS_ACCESS_KEY_ID: aws,
  AWS_SECRET_ACCESS_KEY: aws,
  AWS_SESSION_TOKEN: aws,
  GOOGLE_APPLICATION_CREDENTIALS: google,
  GOOGLE_CLOUD_PROJECT: google,
  GCLOUD_PROJECT: google,
  CLOUDSDK_CORE_PROJECT: google,
  CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: google,
  CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: google,
  GCE_METADATA_HOST: google,
  GCE_METADATA_IP: google,
  STORAGE_EMULATOR_HOST: google,
  AZURE_CLIENT_ID: azure,
  AZURE_TENANT_ID: azure,
  AZURE_CLIENT_SECRET: azure,
  AZURE_FEDERATED_TOKEN_FILE: azure,
  AZURE_AUTHORITY_HOST: azure,
  AZURE_POD_IDENTITY_AUTHORITY_HOST: { ...azure, step: { ...azure.step, 'azure-imds': true } },
};

/** The others, each with what makes it need no look. */
const others: Readonly<Record<string, string>> = {
  // Words, whose readers name those that they take.
  ...Object.fromEntries(
    [
      'VAULT_SKIP_VERIFY',
      'AWS_USE_DUALSTACK_ENDPOINT',
      'AWS_USE_FIPS_ENDPOINT',
      'PGCHANNELBINDING',
      'PGGSSENCMODE',
      'PGMAXPROTOCOLVERSION',
      'PGMINPROTOCOLVERSION',
      'PGREQUIRESSL',
      'PGSSLCERTMODE',
      'PGSSLMAXPROTOCOLVERSION',
      'PGSSLMINPROTOCOLVERSION',
      'PGSSLMODE',
      'PGSSLNEGOTIATION',
      'PGSSLSNI',
      'PGTARGETSESSIONATTRS',
    ].map((name) => [name, 'a word of a list']),
  ),
  ...Object.fromEntries(
    ['PGREQUIREAUTH', 'PGREQUIREPEER', 'PGSERVICE', 'PGSSLCRL', 'PGSSLCRLDIR'].map((name) => [
      name,
      'refused whatever it holds',
    ]),
  ),
  PGCONNECT_TIMEOUT: 'a number',
  PGSQL: 'a part of a socket’s name',
  VAULT_CACERT_BYTES: 'certificates, which are read as such',
  AWS_BEARER_TOKEN_BEDROCK: 'not used, only hidden',
  AWS_EC2_METADATA_DISABLED: 'set by the program itself',
  AWS_MAX_ATTEMPTS: 'set by the program itself',
  HOME: 'the runtime sets it; ~/.vault-token and ~/.pgpass may be missing',
  HOSTNAME: 'the runtime sets it; shown alone',
  NODE_EXTRA_CA_CERTS: 'Node reads it',
  KUBECONFIG: 'read when the command begins; test/integration/commands/wait-kubernetes.test.ts',
  KUBERNETES_SERVICE_HOST: 'as KUBECONFIG',
  KUBERNETES_SERVICE_PORT: 'as KUBECONFIG',
  PATH: 'folders that may be missing',
  REQUEST_METHOD: 'its presence counts',
  SSL_CERT_DIR: 'spoken of in a comment, of a folder that is written',
};

test('none is forgotten', () => {
  const known = new Set([...Object.keys(variables), ...Object.keys(others)]);
  expect([...inSource].filter((name) => !known.has(name)).toSorted()).toEqual([]);
  // Made of HTTPS_PROXY.
  expect([...known].filter((name) => !inSource.has(name))).toEqual(['https_proxy']);
});

const texts: readonly (readonly [text: string, said: RegExp])[] = [
  [
    '$(X)',
    /(the variable X|a \$\(…\)) in it was not replaced by a value; Kubernetes replaces \$\((X|NAME)\) in args/,
  ],
  [
    '${X}',
    /(the variable X|a \$\{…\}) in it was not replaced by a value; Kubernetes replaces \$\((X|NAME)\) in args/,
  ],
  ['{{ .x }}', /template['’]s \{\{ (\.x|…) \}\} in it was not filled in/],
  ['<no value>', /"<no value>" in it is what a template writes where a value is missing/],
  [' ', / is blank/],
  ['\t\n', / is blank/],
];

/** Empty, they count as not set, as to those who made them; these are needed here. */
const needed: Readonly<Record<string, RegExp>> = {
  VAULT_ADDR: /VAULT_ADDR is empty/,
  VAULT_TOKEN: /nothing says how to log in to Vault/,
  VAULT_CLIENT_CERT: /VAULT_CLIENT_KEY/,
  VAULT_CLIENT_KEY: /VAULT_CLIENT_CERT/,
  AZURE_CLIENT_ID: /AZURE_CLIENT_ID is not set/,
  AZURE_TENANT_ID: /AZURE_TENANT_ID is not set/,
  AZURE_FEDERATED_TOKEN_FILE: /nothing says how to log in to Azure/,
  AWS_REGION: /AWS_REGION is empty/,
  AWS_DEFAULT_REGION: /no region is named/,
  DATABASE_URL: /no database was named/,
  PGHOST: /no database was named/,
  PGUSER: /no user is named/,
};

async function refusal({ step, environment }: Reader, more: Environment): Promise<string> {
  try {
    const plan = JSON.stringify({ steps: [{ name: 'a', ...step }] });
    await read(plan, { environment: { ...environment, ...more } });
  } catch (error) {
    if (error instanceof UsageError) return error.lines.join('\n');
    throw error;
  }
  return 'taken';
}

describe.each(Object.entries(variables))('%s', (name, reader) => {
  test.each(texts)('%j', async (text, said) => {
    const found = await refusal(reader, { [name]: text });
    expect(found).toMatch(said);
    expect(found).toMatch(name);
  });

  test('empty', async () => {
    const found = await refusal(reader, { [name]: '' });
    expect(found).toMatch(needed[name] ?? /^taken$/);
  });
});
