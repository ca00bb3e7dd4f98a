import { describe, expect, test } from 'vitest';

import { readSourceTls } from '../../../../src/clients/sources/http-settings.ts';
import type { SourceOptions } from '../../../../src/clients/sources/options.ts';
import { readVaultSettings } from '../../../../src/clients/vault/settings.ts';
import { parseSource } from '../../../../src/config/source.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';

const missing = { SSL_CERT_FILE: '/nowhere/ca.pem' };
const refusal = /^SSL_CERT_FILE.*\/nowhere\/ca\.pem/;

/** Who may be verified: where, by which variables, and following how many redirects. */
const cases: readonly (readonly [url: string, Record<string, string>, redirects: number, read: boolean])[] = [
  ['http://vault:8200', {}, 0, false],
  ['http://vault:8200', { HTTP_PROXY: 'http://proxy:3128' }, 0, false],
  ['http://vault:8200', { HTTP_PROXY: 'https://proxy:3128' }, 0, true],
  ['http://vault:8200', { http_proxy: ' HTTPS://proxy:3128' }, 0, true],
  ['https://vault:8200', {}, 0, true],
  ['http://vault:8200', {}, 1, true],
];

describe('SSL_CERT_FILE is read where somebody may have to be verified', () => {
  test.each(cases.filter(([, , redirects]) => redirects === 0))('Vault at %s, %j', (url, more, _, read) => {
    const settings = () =>
      readVaultSettings({
        flags: {
          address: url,
          namespace: undefined,
          method: 'userpass',
          mount: undefined,
          role: undefined,
          jwtFile: undefined,
          token: undefined,
          roleId: undefined,
          secretId: undefined,
          user: 'me',
          password: createRedactor().secret('password'),
          unwrap: false,
        },
        environment: { ...missing, ...more },
        paths: { serviceAccount: '/run/sa' },
        redactor: createRedactor(),
      });
    if (read) expect(settings).toThrow(refusal);
    else expect(settings().tls).toEqual({ verify: true });
  });

  const tlsOf = (text: string, redirects: number, environment: Record<string, string>) =>
    readSourceTls([parseSource(text, () => {})], { redirects } as SourceOptions, { environment });

  test.each(cases)('a source at %s, %j, %i redirects', (url, more, redirects, read) => {
    const tls = () => tlsOf(`${url}/a`, redirects, { ...missing, ...more });
    if (read) expect(tls).toThrow(refusal);
    else expect(tls()).toEqual({ verify: true });
  });

  test.each(['file:/etc/hostname', 'env:A', 'vault:secret/a'])('never for %s', (text) => {
    expect(tlsOf(text, 3, missing)).toEqual({ verify: true });
  });

  test('a reference in it that nothing filled in is told all the same', () => {
    expect(() => tlsOf('http://a/b', 0, { SSL_CERT_FILE: '/ca/$(X)' })).toThrow('SSL_CERT_FILE');
  });
});
