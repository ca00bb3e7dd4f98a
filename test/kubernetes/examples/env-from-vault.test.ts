import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { allowInVault, vaultAuthority } from '../support/services.ts';

describe.skipIf(noCluster)('env-from-vault', () => {
  test('an image without a shell gets its environment from the kubelet, by a file in memory', async () => {
    await using example = await Example.create(import.meta.filename);
    const password = 'p4ss word $(id) `id` "quoted" \\ #é';
    await allowInVault(example.namespace.name, { DB_USER: 'shop', DB_PASSWORD: password });
    await example.namespace.apply([await vaultAuthority()]);
    await example.apply();
    const [pod] = await example.becomesReady();
    const environment = (await example.exec('/app/env')).split('\n');
    expect(environment).toContain('DB_USER=shop');
    expect(environment).toContain(`DB_PASSWORD=${password}`);
    // The image is as it was: no shell, and nothing of initbox or of the file is mounted there.
    await expect(example.exec('/bin/sh', '-c', 'true')).rejects.toThrow(/no such file or directory/);
    await expect(example.exec('/initbox/initbox')).rejects.toThrow(/no such file or directory/);
    // The API server knows where the value is, and not the value.
    expect(await example.namespace.kubectl('get', 'pod', pod!.metadata.name, '-o', 'yaml')).not.toContain(
      'p4ss',
    );
    const log = await example.logs('env');
    expect(log).not.toContain('p4ss');
    // The kubelet reads as root: nobody is told to share the file with the application.
    expect(log).not.toMatch(/warn/);
    expect(ended(pod!, 'env').exitCode).toBe(0);
  });
});
