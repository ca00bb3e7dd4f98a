import { describe, expect, test } from 'vitest';

import { readVaultSettings, type VaultFlags } from '../../../../src/clients/vault/settings.ts';
import { createRedactor, type Secret } from '../../../../src/core/redaction/redactor.ts';

const none: VaultFlags = {
  address: undefined,
  namespace: undefined,
  method: undefined,
  mount: undefined,
  role: undefined,
  jwtFile: undefined,
  token: undefined,
  roleId: undefined,
  secretId: undefined,
  user: undefined,
  password: undefined,
  unwrap: false,
};
const read = (flags: Partial<VaultFlags>, environment: Record<string, string>) =>
  readVaultSettings({
    flags: { ...none, ...flags },
    environment: { VAULT_ADDR: 'https://vault:8200', ...environment },
    paths: { serviceAccount: '/run/sa' },
    redactor: createRedactor(),
  });

describe('how to log in', () => {
  const secret = createRedactor().secret('x');
  test.each<[string, Partial<VaultFlags>, Record<string, string>, object]>([
    [
      'a role is the pod’s service account',
      { role: 'app' },
      {},
      { method: 'kubernetes', mount: 'kubernetes', role: 'app', jwtFile: '/run/sa/token' },
    ],
    [
      'a role and a variable, said which',
      { role: 'app', method: 'kubernetes' },
      { VAULT_TOKEN: 't' },
      { method: 'kubernetes' },
    ],
    [
      'the variable and a role, said which',
      { role: 'app', method: 'token' },
      { VAULT_TOKEN: 't' },
      { method: 'token' },
    ],
    ['another mount', { role: 'app', mount: 'auth/eks-prod/' }, {}, { mount: 'eks-prod' }],
    ['the variable', {}, { VAULT_TOKEN: ' t\n' }, { method: 'token', wrapped: false }],
    [
      'a role ID',
      { roleId: 'r', secretId: secret },
      {},
      { method: 'approle', mount: 'approle', roleId: 'r' },
    ],
    ['a user', { user: 'u', password: secret }, {}, { method: 'userpass', user: 'u' }],
    ['jwt', { method: 'jwt', role: 'app', jwtFile: '/t' }, {}, { method: 'jwt', jwtFile: '/t' }],
    ['a wrapped token', { unwrap: true }, { VAULT_TOKEN: 't' }, { method: 'token', wrapped: true }],
  ])('%s', (_what, flags, environment, expected) =>
    expect(read(flags, environment).login).toMatchObject(expected),
  );

  test.each<[string, Partial<VaultFlags>, Record<string, string>, RegExp]>([
    ['nothing', {}, {}, /nothing says how to log in/],
    ['no role', { method: 'kubernetes' }, {}, /by kubernetes needs --vault-role/],
    ['no certificate', { method: 'cert' }, {}, /needs VAULT_CLIENT_CERT/],
    ['no password', { user: 'u' }, {}, /needs --vault-password-file/],
    ['unwrap without a token', { role: 'app', unwrap: true }, {}, /--vault-unwrap is for/],
    ['a mount that climbs', { role: 'app', mount: '../sys' }, {}, /--vault-mount is/],
    ['no address', { role: 'app' }, { VAULT_ADDR: '' }, /VAULT_ADDR is empty/],
    [
      'a wrong address',
      { role: 'app' },
      { VAULT_ADDR: 'vault:8200' },
      /VAULT_ADDR is "vault:8200", not an http or https URL/,
    ],
    [
      'a password in the address',
      { role: 'app' },
      { VAULT_ADDR: 'https://u:hunter2@v' },
      /^(?!.*hunter2).*has more in it/,
    ],
    [
      'a switch that is neither',
      { role: 'app' },
      { VAULT_SKIP_VERIFY: 'yes' },
      /VAULT_SKIP_VERIFY is "yes", neither true nor false/,
    ],
    [
      'half a key pair',
      { role: 'app' },
      { VAULT_CLIENT_CERT: '/c' },
      /VAULT_CLIENT_CERT is set, and VAULT_CLIENT_KEY is not/,
    ],
    [
      'a missing authority',
      { role: 'app' },
      { VAULT_CACERT: '/nope.pem' },
      /VAULT_CACERT: there is no file \/nope\.pem/,
    ],
  ])('%s is refused', (_what, flags, environment, words) =>
    expect(() => read(flags, environment)).toThrow(words),
  );

  test('VAULT_SKIP_VERIFY=false verifies, and a namespace loses its slashes', () => {
    expect(read({ role: 'a' }, { VAULT_SKIP_VERIFY: 'false', VAULT_NAMESPACE: '/team/a/' })).toMatchObject({
      tls: { verify: true },
      namespace: 'team/a',
    });
    expect(read({ role: 'a' }, { VAULT_SKIP_VERIFY: '1' }).tls.verify).toBe(false);
    expect((read({}, { VAULT_TOKEN: 'abc' }).login as { token: Secret }).token.reveal()).toBe('abc');
  });
});

test.each(['https://app:12/Zk9vQ2mP@vault:8200', 'https://app:12/Zk9vQ2mP@vault:8200/v1'])(
  '%s has a / in its password, which is not shown',
  (address) =>
    expect(() => read({}, { VAULT_ADDR: address, VAULT_TOKEN: 't' })).toThrow(
      'VAULT_ADDR has a /, ? or # in its user or password; write them as %2F, %3F and %23',
    ),
);
