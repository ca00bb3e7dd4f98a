import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';

describe.skipIf(noCluster)('secret-from-cluster', () => {
  test('waits for the Secret with a Role for that one alone, and writes its keys to memory', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    await example.watch.until(/^Init:0\/1$/);
    await expect
      .poll(() => example.logs('certificate').catch(() => ''), { timeout: 30_000 })
      .toContain('is not there, in the namespace');
    const { namespace } = example;
    await namespace.kubectl(
      'create',
      'secret',
      'generic',
      'tls-cert',
      '--from-literal=tls.crt=a certificate',
      '--from-literal=tls.key=a key',
    );
    await example.becomesReady();
    expect(await example.exec('cat', '/certs/tls.key')).toBe('a key');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/certs/tls.crt')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/certs')).toBe('tmpfs');
  });

  test('without the Role: 69, with what is missing', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply(example.things.filter(({ kind }) => !kind.startsWith('Role')));
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Exit Code: +69/);
    expect(words).toMatch(/may not get secrets "tls-cert" in the namespace/);
  });
});
