import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { allowInVault, bao, vaultAuthority } from '../support/services.ts';

const secret = { user: 'shop', password: `it's "50 %" {{ x }} $HOME`, limits: '{"rows":100,"open":7}' };

describe.skipIf(noCluster)('template-of-vault-agent', () => {
  test('the template is filled in as the agent would, into memory', async () => {
    await using example = await Example.create(import.meta.filename);
    await allowInVault(example.namespace.name, secret);
    await example.namespace.apply([await vaultAuthority()]);
    await example.apply();
    await example.becomesReady();
    expect(await example.exec('cat', '/config/app.conf')).toBe(
      [
        'listen = 8080',
        'user = shop',
        `password = ${JSON.stringify(secret.password)}`,
        'limit.open = 7',
        'limit.rows = 100',
      ].join('\n'),
    );
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/app.conf')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.logs('config')).not.toContain('50 %');
    expect(await bao('list', '-format=json', 'auth/token/accessors')).toMatch(/^\[\s*"[^"]+"\s*\]$/);
  });

  test('a key that Vault does not have: the line of the template, and no file', async () => {
    await using example = await Example.create(import.meta.filename);
    await allowInVault(example.namespace.name, { user: 'shop', limits: '{}' });
    await example.namespace.apply([await vaultAuthority()]);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Message: +initbox render: [\s\S]*app\.conf\.ctmpl:4/);
    expect(words).toMatch(/Exit Code: +(2|69|1)\n/);
  });
});
