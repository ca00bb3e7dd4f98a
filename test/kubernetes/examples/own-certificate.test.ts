import { X509Certificate } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createCertificateAuthority } from '../../support/tls.ts';
import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('own-certificate', () => {
  test('the certificate has all names of the Service, and its key and keystore lie in memory', async () => {
    using authority = await createCertificateAuthority('Internal CA');
    await using example = await Example.create(import.meta.filename);
    await give(example, authority.certificate, authority.key);
    await example.apply();
    await example.becomesReady();
    const namespace = example.namespace.name;
    const leaf = new X509Certificate(await example.exec('cat', '/tls/tls.crt'));
    const root = new X509Certificate(await example.exec('cat', '/tls/ca.crt'));
    expect(root.fingerprint256).toBe(new X509Certificate(authority.certificate).fingerprint256);
    expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true);
    for (const name of ['shop', `shop.${namespace}`, `shop.${namespace}.svc`])
      expect(leaf.checkHost(name)).toBe(name);
    expect(leaf.subjectAltName).toMatch(new RegExp(`DNS:shop\\.${namespace}\\.svc\\.\\S+`));
    for (const path of ['/tls/tls.key', '/keys/keystore.p12'])
      expect(await example.exec('stat', '-L', '-c', '%a %g', path)).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/tls')).toBe('tmpfs');
    expect(await example.logs('certificate')).toMatch(
      /made a certificate for shop, .* signed by "Internal CA"/,
    );
    expect(await example.logs('keystore')).toMatch(/1 file written/);
  });

  test('an authority whose key is another one: the reason is in describe', async () => {
    using authority = await createCertificateAuthority('Internal CA');
    using other = await createCertificateAuthority('Another CA');
    await using example = await Example.create(import.meta.filename);
    await give(example, authority.certificate, other.key);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(
      /Message: +initbox certificate: --ca-key: \/ca\/tls\.key is not the key of a certificate/,
    );
    expect(words).toMatch(/Exit Code: +2\n/);
  });
});

/** What the example finds in its namespace. */
async function give(example: Example, certificate: string, key: string): Promise<void> {
  await example.namespace.apply([
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'shop-store' },
      stringData: { password: 'changeit' },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'internal-ca' },
      // An API server may compare the pairs of type kubernetes.io/tls.
      type: 'Opaque',
      stringData: { 'tls.crt': certificate, 'tls.key': key },
    },
  ]);
}
