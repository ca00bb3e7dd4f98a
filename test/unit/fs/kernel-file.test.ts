// Which mounts show at a path what the kernel itself has there.
import { expect, test } from 'vitest';

import { isInPlace } from '../../../src/fs/kernel-file.ts';

const setting = '/proc/sys/net/ipv4/tcp_fin_timeout';
const hugePages = '/sys/kernel/mm/transparent_hugepage/enabled';

test.each<readonly [path: string, point: string, root: string, type: string, is: boolean]>([
  [setting, '/proc', '/', 'proc', true],
  [setting, '/proc/sys', '/sys', 'proc', true],
  [setting, '/proc/sys/net', '/sys/net', 'proc', true],
  [setting, setting, '/sys/net/ipv4/tcp_fin_timeout', 'proc', true],
  [setting, setting, '/sys/net/ipv4/tcp_keepalive_time', 'proc', false],
  [setting, setting, '/7/coredump_filter', 'proc', false],
  [setting, '/proc/sys', '/', 'proc', false],
  [setting, '/proc/sys/net', '/sys/net/ipv4', 'proc', false],
  [setting, '/proc', '/', 'sysfs', false],
  [setting, '/proc/sys', '/sys', 'tmpfs', false],
  [setting, '/', '/', 'proc', false],
  [setting, '/proc/s', '/s', 'proc', false],
  [setting, '/elsewhere', '/', 'proc', false],
  [hugePages, '/sys', '/', 'sysfs', true],
  [hugePages, '/sys/kernel/mm', '/kernel/mm', 'sysfs', true],
  [hugePages, '/sys/kernel/mm', '/kernel', 'sysfs', false],
  [hugePages, '/sys', '/', 'proc', false],
  ['/etc/hosts', '/', '/', 'proc', false],
])('%s on a mount at %s of %s (%s): %s', (path, point, root, type, is) => {
  expect(isInPlace(path, { point, root, type })).toBe(is);
});
