import { X509Certificate } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createCertificateAuthority } from '../../support/tls.ts';
import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('corporate-ca', () => {
  test('the company’s authority is trusted beside the public ones, and the keystore lies in memory', async () => {
    using authority = await createCertificateAuthority('Corp Root CA');
    const leaf = await authority.server(['shop']);
    await using example = await Example.create(import.meta.filename);
    await give(example, authority.certificate, 'kubernetes.io/tls', leaf);
    await example.apply();
    await example.becomesReady();
    const bundle = await example.exec('cat', '/trust/ca.crt');
    const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
    expect(blocks.length).toBeGreaterThan(100);
    expect(new X509Certificate(blocks.at(-1) ?? '').subject).toBe('CN=Corp Root CA');
    expect(await example.exec('stat', '-L', '-c', '%a', '/trust/cacerts.p12')).toBe('444');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/keys/keystore.p12')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/keys')).toBe('tmpfs');
    expect(await example.logs('trust')).toMatch(/1 added\); 3 files written/);
  });

  test('a key that was renewed without its certificate: the reason is in describe', async () => {
    using authority = await createCertificateAuthority('Corp Root CA');
    const leaf = await authority.server(['shop']);
    const other = await authority.server(['shop']);
    await using example = await Example.create(import.meta.filename);
    // An API server may compare the pairs of type kubernetes.io/tls.
    await give(example, authority.certificate, 'Opaque', { certificate: leaf.certificate, key: other.key });
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(
      /Message: +initbox trust: --key: \/tls\/tls\.key is not the key of the certificate/,
    );
    expect(words).toMatch(/Exit Code: +2\n/);
  });
});

/** What the example finds in its namespace. */
async function give(
  example: Example,
  authority: string,
  type: string,
  pair: { readonly certificate: string; readonly key: string },
): Promise<void> {
  await example.namespace.apply([
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'corporate-ca' },
      data: { 'corp.crt': authority },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'shop-store' },
      stringData: { password: 'changeit' },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'shop-tls' },
      type,
      stringData: { 'tls.crt': pair.certificate, 'tls.key': pair.key },
    },
  ]);
}
