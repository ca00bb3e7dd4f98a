import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { service } from '../support/services.ts';

describe.skipIf(noCluster)('wait-for-service-dns', () => {
  test("waits until the cluster's own DNS knows the Service's full name", async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    const pod = await example.watch.until(/^Init:0\/1$/);
    const { name } = example.namespace;
    await expect
      .poll(() => example.logs('wait-for-service').catch(() => ''), { timeout: 30_000 })
      .toMatch(new RegExp(`postgres-service\\.${name}\\.svc\\.\\S+\\. NXDOMAIN|NXDOMAIN`));
    await example.namespace.apply([service('postgres-service', 5432)]);
    const [ready] = await example.becomesReady();
    expect(ready?.metadata.name).toBe(pod);
    expect(ended(ready!, 'wait-for-service')).toMatchObject({ exitCode: 0 });
    expect(ended(ready!, 'wait-for-service').message).toContain(`postgres-service.${name}.svc.`);
  });
});
