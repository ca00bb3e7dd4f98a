import { defineCommand, each } from '../../core/command.ts';
import { sysctlOptions } from './options.ts';
import { checkSysctl, runSysctl } from './run.ts';
import { parseSetting, refuseDoubled, sysctlExample } from './setting.ts';

const readEach = each('setting', parseSetting, { min: 1, example: sysctlExample });

export const sysctl = defineCommand({
  name: 'sysctl',
  summary: 'set parameters of the kernel, and transparent huge pages',
  description: `Sets parameters of the kernel (those of sysctl(8), and the files of huge pages below /sys). NAME=VALUE sets exactly that; NAME>=NUMBER raises a value that is lower, and never lowers one. All settings are looked at before the first is written; what is right already is not written; each is read back afterwards.

To write, it needs runAsUser: 0 and privileged: true: elsewhere a container's /proc/sys is read-only. To look, and where all is right already, it needs neither. What belongs to the pod alone (net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*) can stand in the pod's securityContext.sysctls instead.`,
  examples: [
    sysctlExample,
    "initbox sysctl 'vm.max_map_count>=262144' 'fs.file-max>=65536' vm.swappiness=1",
    'initbox sysctl /sys/kernel/mm/transparent_hugepage/enabled=never',
    "initbox sysctl 'vm.max_map_count>=262144' --check",
  ],
  positionals: {
    usage: 'NAME=VALUE…',
    name: 'settings',
    description:
      'NAME=VALUE for exactly that, NAME>=NUMBER for at least that; the name with dots or slashes, or the path of a file of huge pages below /sys',
    parse: (given, sink) => refuseDoubled(readEach(given, sink), given),
  },
  options: sysctlOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkSysctl,
  run: runSysctl,
});
