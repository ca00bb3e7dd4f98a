import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { Example, noCluster } from '../support/example.ts';

/** What a shell, sed or YAML would trip over. */
const password = `it's "50 %": \\ {{ x }} $HOME #1`;
const secret = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'shop-db' },
  stringData: data,
});

describe.skipIf(noCluster)('template-rendered', () => {
  test('any password comes out as it is', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply([secret({ password })]);
    await example.apply();
    await example.becomesReady();
    expect(parse(await example.exec('cat', '/config/app.conf'))).toEqual({
      listen: 8080,
      database: { host: 'postgres-service', password },
    });
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/app.conf')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.logs('render')).not.toContain('50 %');
  });

  test('a key that is not there: the line of the template, and no pod with half a file', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply([secret({ pasword: password })]);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Message: +initbox render: [\s\S]*app\.conf\.liquid:4/);
    expect(words).toMatch(/Exit Code: +(2|69|1)\n/);
  });
});
