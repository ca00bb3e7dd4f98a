// The kubernetes auth method with a real API server: real tokens, reviewed by TokenReview. The program and Vault run here,
// on the tests' machine; examples/config-from-vault is the same inside the cluster.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUseBao, startBao, type Bao } from '../support/openbao.ts';
import { runInitbox } from '../support/program.ts';
import { requireOrSkip } from '../support/tools.ts';
import { noCluster } from './support/example.ts';
import { kubectl } from './support/kubectl.ts';

const missing = noCluster || requireOrSkip('the kubernetes login', canUseBao());
const namespace = 'initbox-test-login';

/** A token of a service account, as the kubelet projects it. */
function tokenOf(account: string, audience?: string): Promise<string> {
  return kubectl(
    'create',
    'token',
    account,
    '-n',
    namespace,
    '--duration=1h',
    ...(audience === undefined ? [] : [`--audience=${audience}`]),
  );
}

describe.skipIf(missing)('logging in to Vault as a service account', () => {
  let bao: Bao;
  let place: string;
  beforeAll(async () => {
    place = mkdtempSync('/dev/shm/initbox-kubernetes-');
    await kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--timeout=60s');
    await kubectl('create', 'namespace', namespace);
    for (const account of ['api-server', 'other', 'reviewer', 'powerless']) {
      await kubectl('create', 'serviceaccount', account, '-n', namespace);
    }
    await kubectl(
      'create',
      'clusterrolebinding',
      'initbox-test-reviewer',
      '--clusterrole=system:auth-delegator',
      `--serviceaccount=${namespace}:reviewer`,
    );
    bao = await startBao();
    await bao.must('POST', 'secret/data/api-server', { data: { config: 'by service account' } });
    await bao.must('PUT', 'sys/policies/acl/app', {
      policy: 'path "secret/data/api-server" { capabilities = ["read"] }',
    });
    const config = JSON.parse(
      await kubectl('config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'),
    ) as {
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
    };
    const cluster = config.clusters[0]?.cluster;
    for (const [mount, reviewer] of [
      ['kubernetes', 'reviewer'],
      ['blind', 'powerless'],
    ] as const) {
      await bao.must('POST', `sys/auth/${mount}`, { type: 'kubernetes' });
      await bao.must('POST', `auth/${mount}/config`, {
        kubernetes_host: cluster?.server,
        kubernetes_ca_cert: Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64').toString(),
        token_reviewer_jwt: await tokenOf(reviewer),
        disable_local_ca_jwt: true,
      });
      await bao.must('POST', `auth/${mount}/role/api-server`, {
        bound_service_account_names: 'api-server',
        bound_service_account_namespaces: namespace,
        token_policies: 'app',
      });
    }
    await bao.must('POST', 'auth/kubernetes/role/elsewhere', {
      bound_service_account_names: 'api-server',
      bound_service_account_namespaces: 'prod',
      token_policies: 'app',
    });
    await bao.must('POST', 'auth/kubernetes/role/audience', {
      bound_service_account_names: 'api-server',
      bound_service_account_namespaces: namespace,
      audience: 'vault',
      token_policies: 'app',
    });
  }, 300_000);
  afterAll(async () => {
    rmSync(place, { recursive: true, force: true });
    await bao?.stop();
    await kubectl('delete', 'clusterrolebinding', 'initbox-test-reviewer', '--ignore-not-found');
    await kubectl('delete', 'namespace', namespace, '--wait=false', '--ignore-not-found');
  }, 120_000);

  async function logIn(token: string, ...flags: string[]) {
    writeFileSync(join(place, 'token'), token);
    return runInitbox(
      [
        'fetch-config',
        'vault:secret/api-server#config',
        '--to',
        join(place, 'app.conf'),
        '--vault-jwt-file',
        join(place, 'token'),
        '--log-level',
        'debug',
        '--timeout',
        '30s',
        ...flags,
      ],
      { env: { VAULT_ADDR: bao.address } },
    );
  }

  test('the right account: the secret is there, the token of the run is revoked', async () => {
    const { status, stderr } = await logIn(await tokenOf('api-server'), '--vault-role', 'api-server');
    expect(stderr).toContain('logged in by kubernetes');
    expect(stderr).toContain('the token of this run is revoked');
    expect(status).toBe(0);
    expect(readFileSync(join(place, 'app.conf'), 'utf8')).toBe('by service account');
  });

  test('a role with an audience takes a token that was projected for it, and no other', async () => {
    expect((await logIn(await tokenOf('api-server', 'vault'), '--vault-role', 'audience')).status).toBe(0);
    const wrong = await logIn(await tokenOf('api-server'), '--vault-role', 'audience');
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toMatch(/another audience|audience match/);
  });

  test.each([
    [
      'another account',
      'other',
      ['--vault-role', 'api-server'],
      /bound_service_account_names lack "other"[\s\S]*bound_service_account_names=other/,
    ],
    [
      'another namespace',
      'api-server',
      ['--vault-role', 'elsewhere'],
      /bound_service_account_namespaces lack "initbox-test-login"[\s\S]*bound_service_account_namespaces=initbox-test-login/,
    ],
    [
      'an unknown role',
      'api-server',
      ['--vault-role', 'nope'],
      /as role "nope": there is no such role[\s\S]*vault list auth\/kubernetes\/role/,
    ],
    [
      'a Vault that may not review tokens',
      'api-server',
      ['--vault-role', 'api-server', '--vault-mount', 'blind'],
      /could not confirm[\s\S]*system:auth-delegator/,
    ],
  ] as const)('%s: 69, with what to change', async (_what, account, flags, words) => {
    const token = await tokenOf(account);
    const { status, stderr } = await logIn(token, ...flags);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
    expect(stderr).not.toContain(token.split('.')[2]);
  });

  test('a token whose account is gone', async () => {
    await kubectl('create', 'serviceaccount', 'short-lived', '-n', namespace);
    await bao.must('POST', 'auth/kubernetes/role/short', {
      bound_service_account_names: 'short-lived',
      bound_service_account_namespaces: namespace,
      token_policies: 'app',
    });
    const token = await tokenOf('short-lived');
    expect((await logIn(token, '--vault-role', 'short')).status).toBe(0);
    await kubectl('delete', 'serviceaccount', 'short-lived', '-n', namespace);
    // The API server remembers a review for ten seconds.
    let last = await logIn(token, '--vault-role', 'short');
    for (let tries = 0; last.status === 0 && tries < 15; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      last = await logIn(token, '--vault-role', 'short');
    }
    expect(last.status).toBe(69);
    expect(last.stderr).toMatch(/could not confirm/);
  }, 60_000);
});
