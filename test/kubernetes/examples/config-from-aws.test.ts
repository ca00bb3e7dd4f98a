import { describe, expect, test } from 'vitest';

import { injectRole } from '../support/aws-role.ts';
import { Example, noCluster } from '../support/example.ts';
import { putInSecretsManager } from '../support/services.ts';

describe.skipIf(noCluster)('config-from-aws', () => {
  test('takes the role of the service account, and writes the keys of the secret to memory', async () => {
    await putInSecretsManager('prod/api', '{"password":"from AWS","account":12345678901234567890}');
    await using example = await Example.create(import.meta.filename);
    injectRole(example, ['SECRETS_MANAGER']);
    await example.apply();
    await example.becomesReady();
    expect(await example.exec('cat', '/config/password')).toBe('from AWS');
    expect(await example.exec('cat', '/config/account')).toBe('12345678901234567890');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/password')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.logs('config')).toContain('arn:aws:iam::123456789012:role/api-server');
  });

  test('without the injection: 69, and the node’s role is not asked for', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Exit Code: +(69|2)/);
    expect(words).toMatch(/Message: +initbox fetch-config: /);
  });
});
