import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { initStatus } from '../support/namespace.ts';

const least = 262_144;

describe.skipIf(noCluster)('kernel-parameters', () => {
  test("the node's value is high enough, the pod's own is set without a container, and a restart writes nothing", async () => {
    await using example = await Example.create(import.meta.filename, 'privileged');
    await example.apply();
    await example.becomesReady();
    expect(Number(await example.exec('cat', '/proc/sys/vm/max_map_count'))).toBeGreaterThanOrEqual(least);
    expect(await example.exec('cat', '/proc/sys/net/ipv4/tcp_keepalive_time')).toBe('300');
    await example.namespace.kubectl('delete', 'pod', 'search-0');
    await example.namespace.rolledOut(example.workloadName);
    expect(await example.logs('kernel-parameters')).toMatch(
      /vm\.max_map_count is \d+(, at least 262144| already): nothing was written/,
    );
    const [pod] = await example.namespace.pods(example.selector);
    expect(initStatus(pod!, 'kernel-parameters').restartCount).toBe(0);
  });

  test('the baseline profile refuses it, and says why', async () => {
    await using example = await Example.create(import.meta.filename, 'baseline');
    await example.namespace.apply(example.things);
    await expect
      .poll(() => example.namespace.kubectl('get', 'events', '-o', 'jsonpath={.items[*].message}'), {
        timeout: 30_000,
      })
      .toMatch(/violates PodSecurity "baseline[\s\S]*privileged/);
  });
});
