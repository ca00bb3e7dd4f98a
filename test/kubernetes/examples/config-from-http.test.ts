import { describe, expect, test } from 'vitest';

import { createCertificateAuthority } from '../../support/tls.ts';
import { Example, noCluster } from '../support/example.ts';
import type { Thing } from '../support/kubectl.ts';
import { webServer } from '../support/web-server.ts';

const config = `  ssl_certificate /tls/tls.crt;
  ssl_certificate_key /tls/tls.key;
  location = /shop/app.yaml {
    if ($http_authorization != "Bearer of good news") { return 401; }
    default_type application/yaml;
    alias /content/app.yaml;
  }`;

async function configService(headers: string): Promise<Thing[]> {
  using authority = await createCertificateAuthority();
  const { certificate, key } = await authority.server(['config-service']);
  return [
    ...webServer('config-service', {
      port: 8443,
      config,
      content: { 'app.yaml': 'listen: 8080\n' },
      tls: { 'tls.crt': certificate, 'tls.key': key },
    }),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'config-service' }, stringData: { headers } },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'config-service-ca' },
      data: { 'ca.crt': authority.certificate },
    },
  ];
}

describe.skipIf(noCluster)('config-from-http', () => {
  test('waits for the config service, and writes what it gives to memory', async () => {
    await using example = await Example.create(import.meta.filename);
    const things = await configService('Authorization: Bearer of good news\n');
    await example.namespace.apply(things.filter(({ kind }) => kind !== 'Deployment'));
    await example.apply();
    await example.watch.until(/^Init:0\/1$/);
    await example.namespace.apply(things);
    await example.becomesReady();
    expect(await example.exec('cat', '/config/app.yaml')).toBe('listen: 8080');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/app.yaml')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.logs('config')).not.toContain('good news');
  });

  test('with wrong credentials: 69 at once', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply(await configService('Authorization: Bearer of bad news\n'));
    await example.namespace.rolledOut('deployment/config-service');
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Exit Code: +69/);
    expect(words).toMatch(/Message: +initbox fetch-config: [\s\S]*401/);
    expect(words).not.toContain('bad news');
  });
});
