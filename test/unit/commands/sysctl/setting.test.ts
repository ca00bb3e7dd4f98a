import { describe, expect, test } from 'vitest';

import { parseSetting, refuseDoubled, type KernelSetting } from '../../../../src/commands/sysctl/setting.ts';

const thp = '/sys/kernel/mm/transparent_hugepage';

describe('a setting', () => {
  test.each<[text: string, name: string, path: string, value: string, atLeast: boolean]>([
    ['vm.max_map_count=262144', 'vm.max_map_count', '/proc/sys/vm/max_map_count', '262144', false],
    ['vm.max_map_count>=262144', 'vm.max_map_count', '/proc/sys/vm/max_map_count', '262144', true],
    [' vm.max_map_count >= 262144 ', 'vm.max_map_count', '/proc/sys/vm/max_map_count', '262144', true],
    ['vm/max_map_count=1', 'vm.max_map_count', '/proc/sys/vm/max_map_count', '1', false],
    ['/proc/sys/vm/max_map_count=1', 'vm.max_map_count', '/proc/sys/vm/max_map_count', '1', false],
    ['fs.file-max>=0', 'fs.file-max', '/proc/sys/fs/file-max', '0', true],
    [
      'fs.file-max>=18446744073709551615',
      'fs.file-max',
      '/proc/sys/fs/file-max',
      '18446744073709551615',
      true,
    ],
    [
      'net.ipv4.ip_local_port_range=1024\t 65000',
      'net.ipv4.ip_local_port_range',
      '/proc/sys/net/ipv4/ip_local_port_range',
      '1024 65000',
      false,
    ],
    // The separator that comes first is the one (sysctl(8)).
    [
      'net.ipv4.conf.eth0/100.rp_filter=1',
      'net/ipv4/conf/eth0.100/rp_filter',
      '/proc/sys/net/ipv4/conf/eth0.100/rp_filter',
      '1',
      false,
    ],
    [
      'net/ipv4/conf/eth0.100/rp_filter=1',
      'net/ipv4/conf/eth0.100/rp_filter',
      '/proc/sys/net/ipv4/conf/eth0.100/rp_filter',
      '1',
      false,
    ],
    [
      'kernel.sched_rt_runtime_us=-1',
      'kernel.sched_rt_runtime_us',
      '/proc/sys/kernel/sched_rt_runtime_us',
      '-1',
      false,
    ],
    [
      'kernel.core_pattern=/cores/%e=%p',
      'kernel.core_pattern',
      '/proc/sys/kernel/core_pattern',
      '/cores/%e=%p',
      false,
    ],
    [`${thp}/enabled=never`, `${thp}/enabled`, `${thp}/enabled`, 'never', false],
    [`${thp}/defrag=defer+madvise`, `${thp}/defrag`, `${thp}/defrag`, 'defer+madvise', false],
    [`${thp}/khugepaged/defrag=0`, `${thp}/khugepaged/defrag`, `${thp}/khugepaged/defrag`, '0', false],
    [
      `${thp}/hugepages-64kB/enabled=inherit`,
      `${thp}/hugepages-64kB/enabled`,
      `${thp}/hugepages-64kB/enabled`,
      'inherit',
      false,
    ],
    [
      '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages>=64',
      '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
      '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
      '64',
      true,
    ],
  ])('%j', (text, name, path, value, atLeast) => {
    expect(parseSetting(text)).toEqual({ name, path, value, atLeast });
  });

  test.each<[text: string, said: string]>([
    ['', 'the setting is empty'],
    [' ', 'is blank'],
    ['vm.max_map_count', 'in a shell, put it between quotes, since > sends output to a file'],
    ['=1', 'has no name'],
    ['vm.swappiness=', 'has no value'],
    ['vm.swappiness= ', 'has no value'],
    ['vm.swappiness<=10', 'has neither = nor >='],
    ['vm.swappiness==10', 'has neither = nor >='],
    ['vm.swappiness=>10', 'has neither = nor >='],
    ['vm.swappiness>10', 'has neither = nor >='],
    ['vm.swappiness>==10', 'has neither = nor >='],
    ['vm.max_map_count>=262144k', 'only one whole number can be a least value'],
    ['vm.max_map_count>=-1', 'only one whole number can be a least value'],
    ['vm.max_map_count>=1e6', 'only one whole number can be a least value'],
    ['kernel.sem>=250 32000 100 128', 'kernel.sem=250 32000 100 128'],
    ['fs.file-max>=18446744073709551616', 'the largest number is 18446744073709551615'],
    ['vm.max_map_count=0262144', 'the kernel may read 0262144 as octal'],
    ['net.ipv4.ip_local_port_range=1024 065000', 'the kernel may read 065000 as octal'],
    ['net.ipv4.ip_local_port_range="1024 65000"', 'the quotes are part of the value'],
    ["vm.swappiness='1'", 'the quotes are part of the value'],
    ['vm.swappiness=1\n2', 'a line end or another control character'],
    ['kernel.hostname=a\0b', 'a line end or another control character'],
    [`kernel.core_pattern=${'x'.repeat(4096)}`, 'is longer than the 4095 bytes'],
    ['net.ipv4.conf.*.rp_filter=1', 'is a pattern'],
    ['vm.*=1', 'is a pattern'],
    ['vm max_map_count=1', 'is not the name of a setting'],
    ['vm..max_map_count=1', 'is not the name of a setting'],
    ['..=1', 'is not the name of a setting'],
    ['../etc/passwd=1', 'is not the name of a setting'],
    ['vm/../kernel/hostname=x', 'is not the name of a setting'],
    ['vm/./swappiness=1', 'is not the name of a setting'],
    ['vm//swappiness=1', 'is not the name of a setting'],
    ['vm.swappiness.=1', 'is not the name of a setting'],
    ['.vm.swappiness=1', 'is not the name of a setting'],
    ['/proc/sys/../sysrq-trigger=b', 'is not the name of a setting'],
    ['/proc/sys/=1', 'is not the name of a setting'],
    ['/proc/sysrq-trigger=b', 'is not taken: only settings below /proc/sys are'],
    ['/proc/sys=1', 'is not taken'],
    ['/etc/sysctl.conf=1', 'is not taken'],
    ['/dev/sda=1', 'is not taken'],
    ['//proc/sys/vm/swappiness=1', 'is not taken'],
    ['/sys/power/state=mem', 'is not taken'],
    ['/sys/kernel/mm/transparent_hugepage/../../../power/state=mem', 'is not taken'],
    [`${thp}/khugepaged/../../../../power/state=mem`, 'is not taken'],
    [`${thp}=never`, 'is not taken'],
    [`${thp}/enabled/=never`, 'is not taken'],
    ['/sys/kernel/mm/hugepages/hugepages-2048kB/demote=1', 'is not taken'],
    ['vm.drop_caches=3', 'vm.drop_caches is an action and no setting'],
    ['vm/drop_caches=3', 'vm.drop_caches is an action and no setting'],
    ['/proc/sys/vm/compact_memory=1', 'vm.compact_memory is an action and no setting'],
    ['net.ipv4.route.flush=1', 'is an action and no setting'],
    ['net.ipv4.tcp_fastopen_key=00000000-00000000-00000000-00000000', 'holds a key'],
    ['net.ipv6.conf.eth0.stable_secret=::1', 'holds a key'],
    ['net/ipv6/conf/eth0.1/stable_secret=::1', 'holds a key'],
    ['vm.max_map_count=$(COUNT)', 'the variable COUNT in it was not replaced'],
    ['vm.${NAME}=1', 'the variable NAME in it was not replaced'],
    [
      'vm.swappiness={{ .Values.swappiness }}',
      "the template's {{ .Values.swappiness }} in it was not filled in",
    ],
  ])('not %j', (text, said) => {
    expect(() => parseSetting(text)).toThrow(said);
  });

  test('a key is not repeated in what is said of it', () => {
    expect(() => parseSetting('net.ipv4.tcp_fastopen_key=01234567-89abcdef')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('89abcdef') as string }) as Error,
    );
  });

  test('one setting under two names is given twice', () => {
    const texts = ['vm.swappiness=1', 'vm.max_map_count=2', 'vm/swappiness>=3'];
    const given = texts.map((text, index) => ({ text, origin: `argument ${index + 1}` }));
    const settings = texts.map((text): KernelSetting => parseSetting(text));
    expect(() => refuseDoubled(settings, given)).toThrow('argument 3: vm.swappiness is given twice');
    expect(refuseDoubled(settings.slice(0, 2), given)).toHaveLength(2);
  });
});
