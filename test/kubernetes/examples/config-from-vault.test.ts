import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { allowInVault, bao, vaultAuthority } from '../support/services.ts';

describe.skipIf(noCluster)('config-from-vault', () => {
  test("logs in with the pod's projected token, which Vault has reviewed by the API server", async () => {
    await using example = await Example.create(import.meta.filename);
    await allowInVault(example.namespace.name, { config: 'listen = 8080' });
    await example.namespace.apply([await vaultAuthority()]);
    await example.apply();
    const [pod] = await example.becomesReady();
    expect(await example.exec('cat', '/config/app.conf')).toBe('listen = 8080');
    // Mode, owner's group, and a file system in memory.
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/app.conf')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    // The application has no token of the API server, and none of Vault's.
    expect(
      await example.exec('sh', '-c', 'ls /var/run/secrets/kubernetes.io /vault-token 2>&1 || true'),
    ).toMatch(/No such file[\s\S]*No such file/);
    const log = await example.logs('config');
    expect(log).not.toContain('listen = 8080');
    expect(ended(pod!, 'config').exitCode).toBe(0);
    // What the role gave for the login is gone: only the root token is left.
    expect(await bao('list', '-format=json', 'auth/token/accessors')).toMatch(/^\[\s*"[^"]+"\s*\]$/);
  });

  test('another service account: 69, and kubectl describe says what to change', async () => {
    await using example = await Example.create(import.meta.filename);
    await allowInVault('elsewhere', { config: 'listen = 8080' });
    await example.namespace.apply([await vaultAuthority()]);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Exit Code: +69/);
    expect(words).toMatch(/Message: +initbox fetch-config: [\s\S]*bound_service_account_namespaces lack/);
  });
});
