// Many targets at once, each tried many times, within the memory limit that the pages name.
import { describe, expect, test } from 'vitest';

import { limitMemory, type MemoryLimit } from '../../../support/memory-limit.ts';
import { freePort } from '../../../support/ports.ts';
import { runToDeadline } from '../../../support/program.ts';
import { canUseRedis, startRedis } from '../../../support/redis.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const documented = 96 << 20;
const probe = limitMemory(documented);
probe?.[Symbol.dispose]();

const lacks = probe === undefined ? 'no cgroup can be made' : canUseRedis();

describe.skipIf(requireOrSkip('a memory limit and Redis', lacks))('within 96 MiB', () => {
  const wait = async (targets: readonly string[]) => {
    using limit = limitMemory(documented) as MemoryLimit;
    return await runToDeadline(['wait', ...targets, '--timeout', '8s', '--interval', '100ms'], {
      prefix: limit.prefix,
    });
  };

  test('twenty keys of Redis that nobody writes', async () => {
    await using redis = await startRedis();
    const keys = Array.from({ length: 20 }, (_, key) => `redis://127.0.0.1:${redis.port}?key=none${key}`);
    const { status, stderr } = await wait(keys);
    expect(stderr).toContain('has no key');
    expect(status).toBe(124);
  });

  test('targets of every kind that asks a server, none of which is there', async () => {
    const at = `127.0.0.1:${await freePort()}`;
    const schemes = ['http', 'https', 'h2c', 'redis', 'rediss', 'kafka', 'kafkas', 'zookeeper', 'zookeepers'];
    schemes.push('grpc', 'grpcs', 'temporal', 'influxdb', 'ws', 'wss', 'amqp', 'amqps', 'nats', 'mongodb');
    const { status, stderr } = await wait([
      at,
      'dns:nothing.invalid',
      `postgres://app@${at}/`,
      `mysql://app@${at}/`,
      ...schemes.map((scheme) => `${scheme}://${at}`),
    ]);
    expect(stderr).toContain('connection refused');
    expect(status, stderr).toBe(124);
  });
});
