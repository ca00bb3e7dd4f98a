import { spawnSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { hintsFor, nodeLine } from '../../../../src/commands/sysctl/explain.ts';
import { isSafe, namespaceOf } from '../../../../src/commands/sysctl/scope.ts';
import { parseSetting } from '../../../../src/commands/sysctl/setting.ts';

const all = (...texts: readonly string[]) => texts.map(parseSetting);

describe('whose a setting is', () => {
  test.each([
    ['vm.max_map_count', undefined, false],
    ['fs.file-max', undefined, false],
    ['kernel.pid_max', undefined, false],
    ['kernel.semaphore', undefined, false],
    ['network.x', undefined, false],
    ['/sys/kernel/mm/transparent_hugepage/enabled', undefined, false],
    ['kernel.sem', 'ipc', false],
    ['kernel.shmmax', 'ipc', false],
    ['kernel.shm_rmid_forced', 'ipc', true],
    ['kernel.msgmnb', 'ipc', false],
    ['fs.mqueue.msg_max', 'ipc', false],
    ['net.core.somaxconn', 'net', false],
    ['net/ipv4/conf/eth0.100/rp_filter', 'net', false],
    ['net.ipv4.ip_local_port_range', 'net', true],
    ['net.ipv4.tcp_rmem', 'net', true],
  ])('%s: %s', (name, namespace, safe) => {
    expect(namespaceOf(name)).toBe(namespace);
    expect(isSafe(name)).toBe(safe);
  });
});

describe('the line to run on the node', () => {
  test('parameters in one call, then files', () => {
    expect(
      nodeLine(
        all(
          'vm.max_map_count>=262144',
          '/sys/kernel/mm/transparent_hugepage/enabled=never',
          'net.ipv4.ip_local_port_range=1024 65000',
        ),
      ),
    ).toBe(
      "sysctl -w vm.max_map_count=262144 'net.ipv4.ip_local_port_range=1024 65000' && echo never > /sys/kernel/mm/transparent_hugepage/enabled",
    );
  });

  test.each([`a'b`, '|/bin/x %p', 'a;b', 'a`b`', 'a"b', '!x', '~', 'a&b', '#'])(
    'a shell reads %j as it is',
    (value) => {
      const line = nodeLine(all(`kernel.core_pattern=${value}`)).replace(/^sysctl -w /, 'printf %s ');
      expect(spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).stdout).toBe(
        `kernel.core_pattern=${value}`,
      );
    },
  );
});

test('what is the pod’s is to be written into the pod, as YAML', () => {
  expect(hintsFor(all('kernel.shm_rmid_forced=1'))).toEqual([
    'in the pod, without this container: securityContext: { sysctls: [{ name: kernel.shm_rmid_forced, value: "1" }] }',
  ]);
  expect(hintsFor(all('vm.swappiness=1', 'kernel.sem=250 32000 100 128'))).toEqual([
    'on the node, as root: sysctl -w vm.swappiness=1',
    'in the pod, without this container: securityContext: { sysctls: [{ name: kernel.sem, value: "250 32000 100 128" }] }, where the kubelet has --allowed-unsafe-sysctls=kernel.sem',
  ]);
});
