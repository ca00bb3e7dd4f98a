// Settings are written in a network namespace or another of the test's own: nothing of this machine changes.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  canMount,
  killGroup,
  liveDescendants,
  mounting,
  underStrace,
  waitUntil,
} from '../../support/faults.ts';
import { canUseNetns, createNetns, type Netns } from '../../support/netns.ts';
import {
  canRunAsPid1,
  runAsPid1,
  runInitbox,
  startInitbox,
  type RunningProgram,
  terminationLog,
  type ProgramOptions,
} from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const read = (path: string): string => readFileSync(path, 'utf8').trim();
const count = read('/proc/sys/vm/max_map_count');
const thp = '/sys/kernel/mm/transparent_hugepage/enabled';
const nobody = { uid: 65532, gid: 65532 };

const sysctl = (words: readonly string[], options: ProgramOptions = {}) =>
  runInitbox(['sysctl', ...words], options);

/** What a namespace has now. */
const inside = (network: Netns, path: string): string => network.run('cat', `/proc/sys/${path}`).trim();
const change = (network: Netns, path: string, value: string): void =>
  void network.run('/bin/sh', '-c', `echo ${value} > /proc/sys/${path}`);

const noNetwork = requireOrSkip('settings of a network namespace', canUseNetns());
const noMounts = requireOrSkip('a read-only /proc/sys', canMount());
const noHugePages = requireOrSkip(
  'transparent huge pages',
  existsSync(thp) ? undefined : 'this kernel has none',
);
const rootless = requireOrSkip('another user', process.getuid?.() === 0 ? undefined : 'it needs root');

describe('what is right already', () => {
  test('is not written: anybody finds it so, and a larger value stays', async () => {
    const least = String(BigInt(count) - 1n);
    const result = await sysctl([`vm.max_map_count>=${least}`, 'kernel.ostype=Linux']);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toContain(
      `vm.max_map_count is ${count}, at least ${least}; kernel.ostype is Linux already: nothing was written`,
    );
  });

  test.skipIf(rootless)('also without any right, and as a number in hexadecimal', async () => {
    const { status, stderr } = await sysctl([`vm.max_map_count=0x${BigInt(count).toString(16)}`], {
      user: nobody,
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain(`vm.max_map_count is ${count} already: nothing was written`);
  });

  test.skipIf(noHugePages)('the present one of several choices is the one in brackets', async () => {
    const [, present = ''] = /\[(.+)\]/.exec(read(thp)) ?? [];
    const { status, stderr } = await sysctl([`${thp}=${present}`, '--check']);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain(`${thp} is ${present} already`);
  });

  test('what follows -- takes over', async () => {
    const { status, stdout } = await sysctl([
      `vm.max_map_count=${count}`,
      '--check',
      '--',
      'echo',
      'started',
    ]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'started\n' });
  });

  test('the outcome is one event of the log, and the termination message', async () => {
    const log = terminationLog();
    const words = [`vm.max_map_count=${count}`, '--log-format', 'json', '--termination-log', log.path];
    const { stderr } = await sysctl(words);
    expect(JSON.parse(stderr)).toMatchObject({
      level: 'info',
      command: 'sysctl',
      msg: `vm.max_map_count is ${count} already: nothing was written`,
    });
    expect(log.read()).toBe(`initbox sysctl: vm.max_map_count is ${count} already: nothing was written`);
  });
});

describe('--check', () => {
  test('fails where something differs, with the line to run on the node', async () => {
    const log = terminationLog();
    const { status, stderr } = await sysctl([
      `vm.max_map_count>=${BigInt(count) + 1n}`,
      '--check',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(1);
    expect(log.read()).toBe(
      `initbox sysctl: vm.max_map_count is ${count}, and not at least ${BigInt(count) + 1n}\nhint: on the node, as root: sysctl -w vm.max_map_count=${BigInt(count) + 1n}`,
    );
    expect(stderr).toContain('hint: on the node, as root: sysctl -w vm.max_map_count=');
    expect(read('/proc/sys/vm/max_map_count')).toBe(count);
  });

  test.skipIf(noHugePages)('several, in one line, with a file below /sys', async () => {
    const [, present = ''] = /\[(.+)\]/.exec(read(thp)) ?? [];
    const other = present === 'never' ? 'always' : 'never';
    const { status, stderr } = await sysctl([
      `vm.max_map_count=1`,
      `${thp}=${other}`,
      'kernel.ostype=Linux',
      '--check',
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain('2 of 3 settings are not as they should be');
    expect(stderr).toContain(`vm.max_map_count is ${count}, and not 1`);
    expect(stderr).toContain(`on the node, as root: sysctl -w vm.max_map_count=1 && echo ${other} > ${thp}`);
    expect(read(thp)).toContain(`[${present}]`);
  });

  test('not together with --dry-run, which prints the same as JSON', async () => {
    const words = [`vm.max_map_count>=${BigInt(count) + 1n}`, 'kernel.no_such_thing=1', '--if-exists'];
    const { status, stderr } = await sysctl([...words, '--check', '--dry-run']);
    expect({ status, stderr }).toMatchObject({ status: 2 });
    const { stdout, status: printed } = await sysctl([...words, '--dry-run', '--', 'echo', 'started']);
    expect(printed).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      settings: [
        {
          name: 'vm.max_map_count',
          path: '/proc/sys/vm/max_map_count',
          atLeast: `${BigInt(count) + 1n}`,
          present: count,
          missing: false,
          toChange: true,
          namespace: null,
          safe: false,
        },
        {
          name: 'kernel.no_such_thing',
          path: '/proc/sys/kernel/no_such_thing',
          value: '1',
          present: null,
          missing: true,
          toChange: false,
          namespace: null,
          safe: false,
        },
      ],
      onNode: `sysctl -w vm.max_map_count=${BigInt(count) + 1n}`,
    });
    expect(read('/proc/sys/vm/max_map_count')).toBe(count);
  });
});

describe('what cannot be asked for', () => {
  test.each([
    [
      'vm.max_map_cuont=1',
      /vm\.max_map_cuont does not exist: there is no \/proc\/sys\/vm\/max_map_cuont; did you mean max_map_count\?.*--if-exists leaves it out/,
    ],
    ['nothing.at_all=1', /there is no \/proc\/sys\/nothing\/at_all/],
    ['vm=1', /vm is a folder of settings; name one of them/],
    ['vm.max_map_count.x=1', /vm\.max_map_count\.x does not exist/],
    ['kernel.printk>=4', /has 4 values \(.*\), of which none can be compared/],
    ['kernel.printk=4', /has 4 values \(.*\), and 1 was given/],
    [`vm.max_map_count=${count} ${count}`, /has 1 value \(\d+\), and 2 were given/],
    ['kernel.core_pattern>=4', /which is not a whole number that could be compared/],
    [
      `${thp}=sometimes`,
      noHugePages
        ? /does not exist/
        : /cannot be "sometimes" on this kernel; it takes always, madvise, never/,
    ],
    ['/proc/sysrq-trigger=b', /is not taken/],
    ['vm/../../sysrq-trigger=b', /is not the name of a setting/],
    ['vm.drop_caches=3', /is an action and no setting/],
  ])('%s: status 2, and nothing is done', async (word, said) => {
    // Before and after it, and all of them are told.
    const { status, stderr } = await sysctl([word, 'vm.swapiness=1']);
    expect(stderr).toMatch(said);
    expect(status).toBe(2);
  });

  test('every one that is wrong is told', async () => {
    const { stderr, status } = await sysctl(['vm.swapiness=1', 'kernel.printk=4']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/vm\.swapiness does not exist[\s\S]*kernel\.printk has 4 values/);
  });

  test('a file that can only be written is an action, whatever it is called', async () => {
    const file = 'net.ipv6.route.flush';
    expect(await sysctl([`${file}=1`])).toMatchObject({ status: 2 });
  });

  test.skipIf(noMounts)(
    'what somebody mounted there is not the kernel’s, and no link is followed',
    async () => {
      const other = temporaryDirectory('other').path;
      writeFileSync(join(other, 'file'), '1\n');
      const prefix = (script: string) => ({
        prefix: mounting(`mount -t tmpfs tmpfs /proc/sys/vm; ${script}`),
      });
      const mounted = await sysctl(['vm.max_map_count=2'], prefix('echo 1 > /proc/sys/vm/max_map_count'));
      expect(mounted.stderr).toContain(
        "vm.max_map_count is not the kernel's own file: something else is mounted in its place",
      );
      expect(mounted.status).toBe(2);
      for (const link of [
        `ln -s ${other}/file /proc/sys/vm/max_map_count`,
        'ln -s /proc/sys/kernel/pid_max /proc/sys/vm/max_map_count',
      ]) {
        const linked = await sysctl(['vm.max_map_count=2'], prefix(link));
        expect(linked.stderr).toMatch(/vm\.max_map_count is not a file|is a symbolic link/);
        expect(linked.status).toBe(2);
      }
      const above = await sysctl(['vm.x.y=2'], prefix(`ln -s ${other} /proc/sys/vm/x`));
      expect(above.stderr).toContain('is a symbolic link');
      expect(above.status).toBe(2);
      expect(read(join(other, 'file'))).toBe('1');
    },
  );
});

describe.skipIf(noNetwork)('in a network namespace', () => {
  test('raises what is lower, leaves what is higher, and the next run writes nothing', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const low = await sysctl(['net.core.somaxconn>=2000'], { prefix: network.prefix });
    expect(low.stderr).toContain('net.core.somaxconn set to 2000 (it was 1000)');
    expect(low.stderr).toContain(
      "net.core.somaxconn was set for this pod alone, not for the node: the pod's securityContext.sysctls can set it without a privileged container, where the kubelet allows it (--allowed-unsafe-sysctls)",
    );
    expect(low.status).toBe(0);
    expect(inside(network, 'net/core/somaxconn')).toBe('2000');
    for (const least of ['1500', '2000']) {
      const again = await sysctl([`net.core.somaxconn>=${least}`], { prefix: network.prefix });
      expect(again.stderr).toContain('nothing was written');
      expect(again.stderr).not.toContain('securityContext');
      expect(inside(network, 'net/core/somaxconn')).toBe('2000');
    }
  });

  test('of several that raise it in one moment, the highest value stays', async () => {
    using network = createNetns();
    for (let round = 0; round < 3; round++) {
      change(network, 'net/core/somaxconn', '1000');
      const results = await Promise.all(
        ['2000', '3000', '2500'].map((least) =>
          sysctl([`net.core.somaxconn>=${least}`], { prefix: network.prefix }),
        ),
      );
      expect(results.map(({ status, stderr }) => ({ status, stderr }))).toMatchObject([
        { status: 0 },
        { status: 0 },
        { status: 0 },
      ]);
      expect(inside(network, 'net/core/somaxconn')).toBe('3000');
    }
  });

  test('an exact value lowers as well, and says so of a limit', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '4096');
    const { status, stderr } = await sysctl(['net.core.somaxconn=128', 'net.ipv4.tcp_fin_timeout=30'], {
      prefix: network.prefix,
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('net.core.somaxconn was lowered from 4096 to 128');
    expect(stderr).not.toContain('tcp_fin_timeout was lowered');
    expect(stderr).toContain('net.ipv4.tcp_fin_timeout was set for this pod alone');
    expect(stderr).toContain('as a safe one');
    expect(inside(network, 'net/core/somaxconn')).toBe('128');
    expect(inside(network, 'net/ipv4/tcp_fin_timeout')).toBe('30');
  });

  test('several values, lists that the kernel writes otherwise, and names with dots', async () => {
    using network = createNetns();
    network.run('ip', 'link', 'add', 'eth0.100', 'type', 'veth', 'peer', 'name', 'other');
    const words = [
      'net.ipv4.ip_local_port_range=1024 65000',
      'net.ipv4.ip_local_reserved_ports=9000,8080,8081',
      'net.ipv4.conf.eth0/100.rp_filter=2',
    ];
    const first = await sysctl(words, { prefix: network.prefix });
    expect({ status: first.status, stderr: first.stderr }).toMatchObject({ status: 0 });
    expect(inside(network, 'net/ipv4/ip_local_port_range')).toBe('1024\t65000');
    expect(inside(network, 'net/ipv4/ip_local_reserved_ports')).toBe('8080-8081,9000');
    expect(inside(network, 'net/ipv4/conf/eth0.100/rp_filter')).toBe('2');
    const again = await sysctl(words.with(2, 'net/ipv4/conf/eth0.100/rp_filter=2'), {
      prefix: network.prefix,
    });
    expect(again.stderr).toContain('net/ipv4/conf/eth0.100/rp_filter is 2 already: nothing was written');
  });

  test('nothing is written where a later one cannot be: not there, of another form, or read-only', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    for (const [word, expected, said] of [
      ['net.core.nothing=1', 2, /net\.core\.nothing does not exist/],
      ['net.ipv4.ip_local_port_range=1024', 2, /has 2 values/],
      [
        'net.ipv4.tcp_available_congestion_control=none',
        1,
        /tcp_available_congestion_control cannot be set \(EACCES\).*nothing was changed\n.*the kernel only shows it, and nobody can set it/,
      ],
    ] as const) {
      const { status, stderr } = await sysctl(['net.core.somaxconn>=2000', word], { prefix: network.prefix });
      expect(stderr).toMatch(said);
      expect(status).toBe(expected);
      expect(inside(network, 'net/core/somaxconn')).toBe('1000');
    }
  });

  test('a setting of the node’s own network namespace is said to be one', async () => {
    using network = createNetns();
    const { status, stderr } = await sysctl(['net.core.netdev_max_backlog>=5000'], {
      prefix: network.prefix,
    });
    expect(stderr).toMatch(/net\.core\.netdev_max_backlog does not exist.*hostNetwork: true/);
    expect(status).toBe(2);
    const left = await sysctl(['net.core.netdev_max_backlog>=5000', '--if-exists'], {
      prefix: network.prefix,
    });
    expect(left.stderr).toContain('net.core.netdev_max_backlog is left out');
    expect(left.status).toBe(0);
  });

  test('--check tells what to write into the pod, since the node’s line would not reach it', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const { status, stderr } = await sysctl(['net.core.somaxconn>=2000', '--check'], {
      prefix: network.prefix,
      user: nobody,
    });
    expect(stderr).toContain(
      'in the pod, without this container: securityContext: { sysctls: [{ name: net.core.somaxconn, value: "2000" }] }, where the kubelet has --allowed-unsafe-sysctls=net.core.somaxconn',
    );
    expect(stderr).not.toContain('on the node');
    expect(status).toBe(1);
    expect(inside(network, 'net/core/somaxconn')).toBe('1000');
  });

  test('what the kernel refuses: what was set before stays, and is told; the rest is not tried', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const words = [
      'net.core.somaxconn=2000',
      'net.ipv4.ip_local_port_range=5 1',
      'net.ipv4.tcp_fin_timeout=31',
    ];
    const { status, stderr } = await sysctl(words, { prefix: network.prefix });
    expect(stderr).toMatch(
      /the kernel refuses to set net\.ipv4\.ip_local_port_range to 5 1 \(EINVAL\); it is \d+ \d+/,
    );
    expect(stderr).toContain('net.core.somaxconn set to 2000 (it was 1000)');
    expect(stderr).toContain('not tried: net.ipv4.tcp_fin_timeout');
    expect(stderr).toContain('hint: it is out of the range that the kernel takes');
    expect(status).toBe(1);
    expect(inside(network, 'net/core/somaxconn')).toBe('2000');
    const unknown = await sysctl(['net.ipv4.tcp_congestion_control=nothing'], { prefix: network.prefix });
    expect(unknown.stderr).toMatch(/\(ENOENT\)[\s\S]*the kernel has nothing of that name/);
    expect(unknown.status).toBe(1);
  });

  test('what another one of them changed is not taken for right', async () => {
    using network = createNetns();
    // The one sets the other (networking/ip-sysctl).
    const words = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.forwarding=0'];
    change(network, 'net/ipv4/ip_forward', '0');
    const { status, stderr } = await sysctl(words, { prefix: network.prefix });
    expect(stderr).toContain('net.ipv4.conf.all.forwarding is 1 once all are set, and not 0');
    expect(stderr).toContain('net.ipv4.ip_forward set to 1 (it was 0)');
    expect(stderr).toContain('another of these settings changes it as well');
    expect(status).toBe(1);
  });

  test.skipIf(noMounts)('a read-only /proc/sys, as every container’s that is not privileged', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const prefix = [
      ...network.prefix,
      ...mounting('mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys'),
    ];
    const { status, stderr } = await sysctl(
      ['net.core.somaxconn>=2000', `vm.max_map_count=${BigInt(count) + 1n}`],
      {
        prefix,
      },
    );
    expect(stderr).toContain(
      'net.core.somaxconn cannot be set (EROFS): it is 1000, and should be at least 2000; nothing was changed',
    );
    expect(stderr).toContain('/proc/sys and /sys are read-only in a container that is not privileged');
    expect(stderr).toContain(`on the node, as root: sysctl -w vm.max_map_count=${BigInt(count) + 1n}`);
    expect(stderr).toContain('in the pod, without this container: securityContext: { sysctls:');
    expect(status).toBe(1);
    const right = await sysctl(['net.core.somaxconn>=1000'], { prefix });
    expect({ status: right.status, stderr: right.stderr }).toMatchObject({ status: 0 });
  });

  const ipv4 = '/proc/sys/net/ipv4';

  test.skipIf(noMounts).each([
    [`mount --bind ${ipv4}/tcp_keepalive_time ${ipv4}/tcp_fin_timeout`, 'tcp_fin_timeout=777'],
    [`mount --bind /proc/$$/coredump_filter ${ipv4}/tcp_fin_timeout`, 'tcp_fin_timeout=33'],
    [`mount --bind /proc/$$ ${ipv4}/neigh`, 'neigh.coredump_filter=33'],
    [`mount --bind ${ipv4}/neigh ${ipv4}/conf`, 'conf.lo.mcast_solicit=4'],
    [`mount --bind ${ipv4}/neigh ${ipv4}/conf`, 'conf.lo.rp_filter=4'],
    [`mount --bind ${ipv4}/neigh ${ipv4}/conf`, 'conf.lo.rp_filter.x=4'],
    [`mount -t sysfs sysfs ${ipv4}/conf`, 'conf.kernel.uevent_seqnum=4'],
    [`mount -t tmpfs tmpfs ${ipv4}/conf`, 'conf.lo.rp_filter=4'],
    [`mount -t proc proc ${ipv4}`, 'tcp_fin_timeout=44'],
    [`mount --bind /proc/sys/net ${ipv4}`, 'core.somaxconn=44'],
  ])('%s: what is in its place is not written, nor is it missing', async (mount, setting) => {
    using network = createNetns();
    const all = (): string[] =>
      ['tcp_keepalive_time', 'tcp_fin_timeout', 'neigh/lo/mcast_solicit'].map((name) =>
        inside(network, `net/ipv4/${name}`),
      );
    const before = all();
    const prefix = [...network.prefix, ...mounting(mount)];
    for (const flags of [[], ['--check'], ['--if-exists']]) {
      const { status, stderr } = await sysctl([`net.ipv4.${setting}`, ...flags], { prefix });
      expect({ status, stderr }).toMatchObject({ status: 2 });
      expect(stderr).toMatch(/is not (the kernel's|its) own file: .* is mounted in its place/);
    }
    expect(all()).toEqual(before);
  });

  test.skipIf(noMounts).each([
    'mount --bind /proc/sys /proc/sys',
    // As LXC leaves a container its own network settings.
    'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; mount --bind /proc/sys/net /proc/sys/net; mount -o remount,bind,rw /proc/sys/net',
    `mount --bind ${ipv4}/tcp_fin_timeout ${ipv4}/tcp_fin_timeout`,
    'mount -t proc proc /proc',
    'mount -t proc proc /mnt; mount --bind /mnt/sys/net /proc/sys/net; umount -l /mnt',
  ])('%s: the setting itself is in its place, and is set', async (mount) => {
    using network = createNetns();
    const prefix = [...network.prefix, ...mounting(mount)];
    const { status, stderr } = await sysctl(['net.ipv4.tcp_fin_timeout=33'], { prefix });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(inside(network, 'net/ipv4/tcp_fin_timeout')).toBe('33');
  });

  test('what the node alone allows is told apart from what is locked', async () => {
    using network = createNetns();
    const words = (name: string): string[] => inside(network, `net/ipv4/${name}`).split(/\s+/);
    const allowed = words('tcp_allowed_congestion_control');
    const other = words('tcp_available_congestion_control').find((name) => !allowed.includes(name));
    // Where the node allows all that it has, nothing is refused.
    if (other === undefined) return;
    const { status, stderr } = await sysctl([`net.ipv4.tcp_congestion_control=${other}`], {
      prefix: network.prefix,
    });
    expect(stderr).toContain(`the kernel refuses to set net.ipv4.tcp_congestion_control to ${other} (EPERM)`);
    expect(stderr).toContain('takes only those that net.ipv4.tcp_allowed_congestion_control lists');
    expect(stderr).not.toContain('locked until');
    expect(status).toBe(1);
  });

  test('another user than root', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const { status, stderr } = await sysctl(['net.core.somaxconn>=2000'], {
      prefix: network.prefix,
      user: nobody,
    });
    expect(stderr).toContain('net.core.somaxconn cannot be set (EACCES)');
    expect(stderr).toContain('user 65532 may not: this container needs securityContext: { privileged: true');
    expect(status).toBe(1);
    expect(inside(network, 'net/core/somaxconn')).toBe('1000');
  });

  test('root needs no capability', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const { status, stderr } = await sysctl(['net.core.somaxconn>=2000'], {
      prefix: network.prefix,
      user: { uid: 0, gid: 0 },
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(inside(network, 'net/core/somaxconn')).toBe('2000');
  });

  test.skipIf(requireOrSkip('PID 1', canRunAsPid1()))('as PID 1, and as a step of a plan', async () => {
    using network = createNetns();
    change(network, 'net/core/somaxconn', '1000');
    const first = await runAsPid1(['sysctl', 'net.core.somaxconn>=2000'], { prefix: network.prefix });
    expect({ status: first.status, stderr: first.stderr }).toMatchObject({ status: 0 });
    const plan = {
      steps: [
        {
          name: 'kernel',
          uses: 'sysctl',
          settings: ['net.core.somaxconn>=3000', `vm.max_map_count=${count}`],
        },
        { name: 'after', uses: 'sysctl', settings: 'net.core.somaxconn>=3000', check: true, needs: 'kernel' },
      ],
    };
    const env = { INITBOX_PLAN: JSON.stringify(plan) };
    const run = await runAsPid1(['run'], { prefix: network.prefix, env });
    expect({ status: run.status, stderr: run.stderr }).toMatchObject({ status: 0 });
    expect(inside(network, 'net/core/somaxconn')).toBe('3000');
  });

  describe.skipIf(requireOrSkip('a write that takes long', whyMissing('strace', 'strace')))(
    'a write that does not come to its end',
    () => {
      const slow = (network: Netns) => [
        ...network.prefix,
        ...underStrace('trace=write', 'inject=write:delay_enter=300000000').toSpliced(
          1,
          0,
          '-P',
          '/proc/sys/net/core/somaxconn',
        ),
      ];

      /** strace keeps the thread that it delays, and with it the end from being seen: the kernel tells the status. */
      async function endOf(running: RunningProgram, pid: number): Promise<number> {
        const status = await waitUntil(() => statusOfZombie(pid), { timeout: 60_000, what: 'its end' });
        killGroup(running.child.pid ?? 0);
        await running.exit;
        return status;
      }

      const words = ['sysctl', 'net.ipv4.tcp_fin_timeout=31', 'net.core.somaxconn=2000'];

      async function start(network: Netns, more: readonly string[] = []) {
        change(network, 'net/core/somaxconn', '1000');
        change(network, 'net/ipv4/tcp_fin_timeout', '60');
        const running = await startInitbox([...words, ...more], { prefix: slow(network) });
        await waitUntil(() => inside(network, 'net/ipv4/tcp_fin_timeout') === '31' || undefined, {
          timeout: 60_000,
          what: 'the setting before it',
        });
        const [own] = liveDescendants(running.child.pid ?? 0);
        if (own === undefined) throw new Error('it is not there any more');
        return { running, pid: own.pid };
      }

      test('the deadline', async () => {
        using network = createNetns();
        const { running, pid } = await start(network, ['--timeout', '8s']);
        expect(await endOf(running, pid)).toBe(124);
        expect(running.stderr).toContain(
          'gave up after 8s (--timeout), while net.core.somaxconn was to be set',
        );
        expect(running.stderr).toContain('net.ipv4.tcp_fin_timeout set to 31 (it was 60)');
      });

      test('SIGTERM', async () => {
        using network = createNetns();
        const { running, pid } = await start(network);
        process.kill(pid, 'SIGTERM');
        await within(
          promptly,
          running.waitForStderr(/ended by SIGTERM while net\.core\.somaxconn was to be set/),
        );
        expect(await endOf(running, pid)).toBe(143);
      });
    },
  );
});

/** The exit status of a process that has ended and is not waited for (exit_code of proc_pid_stat(5)); undefined before. */
function statusOfZombie(pid: number): number | undefined {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
  return fields[0] === 'Z' ? Number(fields.at(-1)) >> 8 : undefined;
}

/** Of root itself it would be the node's: then the kernel would let it set anything. */
const inUserNamespace = [
  'setpriv',
  `--reuid=${nobody.uid}`,
  `--regid=${nobody.gid}`,
  '--clear-groups',
  'unshare',
  '--user',
  '--map-root-user',
  '--',
];

function whyNoUserNamespace(): string | undefined {
  try {
    execFileSync('setpriv', [...inUserNamespace.slice(1), 'true'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return String(error);
  }
}

describe.skipIf(rootless)('other namespaces', () => {
  test('what the kernel made of it is read back: a host name that was cut', async () => {
    const name = 'x'.repeat(100);
    const { status, stderr } = await sysctl([`kernel.hostname=${name}`], {
      prefix: ['unshare', '--uts', '--'],
    });
    expect(stderr).toContain(`kernel.hostname was set to ${name}, and the kernel made it ${'x'.repeat(64)}`);
    expect(status).toBe(1);
  });

  test('kernel.sem, of an IPC namespace', async () => {
    const prefix = ['unshare', '--ipc', '--'];
    const words = ['kernel.sem=250 32000 100 4096', 'kernel.shmmax>=68719476736'];
    const { status, stderr } = await sysctl(words, { prefix });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('kernel.sem set to 250 32000 100 4096');
    expect(stderr).toContain('kernel.sem was set for this pod alone');
    expect(stderr).toMatch(/kernel\.shmmax is \d{18,}, at least 68719476736/);
  });

  test.skipIf(requireOrSkip('a user namespace of an ordinary user', whyNoUserNamespace()))(
    'root of a user namespace is not the node’s',
    async () => {
      const { status, stderr } = await sysctl([`vm.max_map_count=${BigInt(count) + 1n}`], {
        prefix: inUserNamespace,
      });
      expect(stderr).toContain('vm.max_map_count cannot be set (EACCES)');
      expect(stderr).toContain('root is not the node’s root in this user namespace');
      expect(stderr).toContain('on the node, as root: sysctl -w');
      expect(status).toBe(1);
      expect(read('/proc/sys/vm/max_map_count')).toBe(count);
    },
  );
});
