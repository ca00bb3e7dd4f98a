import { quoted, quotedValue, shownPath } from '../../core/misplaced-secret.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/** What one of the words asks for. */
export interface KernelSetting {
  /** As sysctl(8) writes it: with dots, or with slashes where a dot is part of it; a path below /sys as it is. */
  readonly name: string;
  /** Absolute, below /proc/sys or one of the files below /sys that are taken. */
  readonly path: string;
  readonly value: string;
  /** Whether a larger value is right as well, and stays. */
  readonly atLeast: boolean;
}

export const sysctlExample = "initbox sysctl 'vm.max_map_count>=262144'";

/** Characters of a setting's name. */
const longestName = 200;

const accepted =
  'write NAME=VALUE, or NAME>=NUMBER, which never lowers a value, such as vm.max_map_count>=262144';

const parameters = '/proc/sys';

/** The files below /sys that are taken: memory in huge pages. Nothing else there is a setting that pods need. */
const takenBelowSys: readonly RegExp[] = [
  /^\/sys\/kernel\/mm\/transparent_hugepage\/(enabled|defrag|shmem_enabled|use_zero_page|shrink_underused)$/,
  /^\/sys\/kernel\/mm\/transparent_hugepage\/khugepaged\/[a-z_]+$/,
  /^\/sys\/kernel\/mm\/transparent_hugepage\/hugepages-\d+kB\/(enabled|shmem_enabled)$/,
  /^\/sys\/(kernel\/mm|devices\/system\/node\/node\d+)\/hugepages\/hugepages-\d+kB\/(nr_hugepages|nr_overcommit_hugepages)$/,
];

/** What a write to them does is an action that may take long, and leaves no value (kernel's admin-guide/sysctl). */
const actions: ReadonlySet<string> = new Set([
  'vm/compact_memory',
  'vm/drop_caches',
  'vm/stat_refresh',
  'net/ipv4/route/flush',
  'net/ipv6/route/flush',
]);

/** They hold a key of the kernel's (networking/ip-sysctl). */
const secrets = /^net\/(ipv4\/tcp_fastopen_key|ipv6\/conf\/[^/]+\/stable_secret)$/;

/** Bytes that the kernel reads of one write: a page less its last byte (proc_dointvec, proc_dostring). */
const longestValue = 4095;

const largestNumber = 2n ** 64n - 1n;

/**
 * Reads `NAME=VALUE` or `NAME>=NUMBER`.
 * @throws Error that says what is accepted
 */
export function parseSetting(text: string): KernelSetting {
  refuseUnexpanded('word', text, 'the setting');
  const at = text.search(/[=<>]/);
  const written = (at < 0 ? text : text.slice(0, at)).trim();
  if (written === '')
    throw new Error(`${text === '' ? 'the setting is empty' : `${quoted(text)} has no name`}; ${accepted}`);
  if (at < 0)
    throw new Error(
      `${quoted(text)} has no value; ${accepted}; in a shell, put it between quotes, since > sends output to a file`,
    );
  const [, sign = '', value = ''] = /^(>=|=)(?![=<>])\s*(.*?)\s*$/s.exec(text.slice(at)) ?? [];
  if (sign === '')
    throw new Error(`${quoted(text)} has neither = nor >= between name and value; ${accepted}`);
  const { name, path } = nameAndPath(written);
  checkValue(name, value, sign === '>=');
  return { name, path, value: value.split(/[ \t]+/).join(' '), atLeast: sign === '>=' };
}

/** @throws UsageError where one setting is given twice, under whatever name */
export function refuseDoubled(
  settings: readonly KernelSetting[],
  given: readonly Given[],
): readonly KernelSetting[] {
  for (const [index, { name, path }] of settings.entries())
    if (settings.findIndex((other) => other.path === path) !== index)
      throw new UsageError(`${given[index]?.origin}: ${name} is given twice; write it once`);
  return settings;
}

/**
 * Finds the file of a name. The separator that comes first is the one: dots, and then a slash is a dot of the name, or
 * slashes (sysctl(8), sysctl.d(5)).
 */
function nameAndPath(written: string): Pick<KernelSetting, 'name' | 'path'> {
  if (written.startsWith('/') && !written.startsWith(`${parameters}/`)) {
    if (takenBelowSys.some((pattern) => pattern.test(written))) return { name: written, path: written };
    throw new Error(
      `${shownPath(written)} is not taken: only settings below ${parameters} are, and below /sys those of huge pages, such as /sys/kernel/mm/transparent_hugepage/enabled`,
    );
  }
  const relative = written.startsWith('/') ? written.slice(parameters.length + 1) : withSlashes(written);
  const parts = relative.split('/');
  for (const part of parts) {
    if (/[*?[\]]/.test(part))
      throw new Error(`${quotedValue(written, longestName)} is a pattern; write each setting by its name`);
    if (part === '' || part === '.' || part === '..' || !/^[\w.:@+-]+$/.test(part))
      throw new Error(
        `${quotedValue(written, longestName)} is not the name of a setting; write it as sysctl does, such as vm.max_map_count, or with slashes where a dot is part of it: net/ipv4/conf/eth0.100/rp_filter`,
      );
  }
  const name = parts.join(parts.some((part) => part.includes('.')) ? '/' : '.');
  if (actions.has(relative))
    throw new Error(
      `${name} is an action and no setting: writing it has the kernel do something, and leaves no value`,
    );
  if (secrets.test(relative))
    throw new Error(`${name} holds a key, and anybody on this machine can read a command line`);
  return { name, path: `${parameters}/${relative}` };
}

function withSlashes(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  if (first !== '.') return name;
  return name.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

function checkValue(name: string, value: string, atLeast: boolean): void {
  if (value === '') throw new Error(`${name} has no value; ${accepted}`);
  if (/^(["']).*\1$/s.test(value))
    throw new Error(`${name}: the quotes are part of the value ${value}; write it without them`);
  // oxlint-disable-next-line no-control-regex -- what no value has but a tab between numbers
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value))
    throw new Error(`${name}: the value has a line end or another control character`);
  if (Buffer.byteLength(value) > longestValue)
    throw new Error(`${name}: the value is longer than the ${longestValue} bytes that the kernel reads`);
  const octal = value.split(/[ \t]+/).find((word) => /^-?0\d+$/.test(word));
  if (octal !== undefined)
    throw new Error(`${name}: the kernel may read ${octal} as octal; write it without the leading 0`);
  if (!atLeast) return;
  if (!/^\d+$/.test(value))
    throw new Error(
      `${name}>=${value}: only one whole number can be a least value; other values are set exactly: ${name}=${value}`,
    );
  if (BigInt(value) > largestNumber)
    throw new Error(`${name}>=${value}: the largest number is ${largestNumber}, of 64 bits`);
}
