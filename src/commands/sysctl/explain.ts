import { readFileSync } from 'node:fs';

import { isSafe, namespaceOf, usesNodeNetwork } from './scope.ts';
import type { KernelSetting } from './setting.ts';

const privileged = 'securityContext: { privileged: true, runAsUser: 0, runAsNonRoot: false }';

/** What stands behind a refusal to open a setting; undefined for other codes. */
export function whyDenied(code: string, uid: number): string | undefined {
  if (code === 'EROFS')
    return `/proc/sys and /sys are read-only in a container that is not privileged: this one needs ${privileged}`;
  if (code !== 'EACCES' && code !== 'EPERM') return undefined;
  if (uid !== 0) return `user ${uid} may not: this container needs ${privileged}`;
  if (isUserNamespace())
    return 'root is not the node’s root in this user namespace (hostUsers: false, or a node without root), and may set nothing of the whole node';
  return 'a security module (SELinux, AppArmor) forbids it, or the kernel wants a capability for it, which privileged: true gives';
}

/** What the kernel means by an error on a write; undefined where its code says it. */
export function whyNotTaken(code: string, { name }: KernelSetting): string | undefined {
  switch (code) {
    case 'EINVAL':
    case 'ERANGE':
      return 'it is out of the range that the kernel takes, or of another form: most settings are numbers without a unit';
    case 'ENOENT':
      return 'the kernel has nothing of that name, or its module is not loaded';
    case 'EPERM':
      // tcp_set_default_congestion_control in net/ipv4/tcp_cong.c.
      if (name.endsWith('tcp_congestion_control'))
        return 'outside of the node’s network namespace the kernel takes only those that net.ipv4.tcp_allowed_congestion_control lists, which is set on the node';
      return 'it was locked until the next boot, or the kernel wants a capability for it, which privileged: true gives';
    case 'EBUSY':
      return 'something uses it now';
    case 'ENOMEM':
      return /hugepages/.test(name) ? fragmented : 'the kernel has no memory for it';
    default:
      return undefined;
  }
}

/** Why the kernel may have another value after a write. */
export function whyOther({ name }: KernelSetting): string | undefined {
  return /nr_hugepages/.test(name) ? fragmented : undefined;
}

const fragmented =
  'memory is too full or too fragmented for so many huge pages: reserve them early, at the boot of the node (hugepages=)';

/** How to set these without a privileged container: on the node, and in the pod what is the pod's. */
export function hintsFor(settings: readonly KernelSetting[]): string[] {
  const ofPod = settings.filter(({ name }) => isOfPod(name));
  const ofNode = settings.filter((setting) => !ofPod.includes(setting));
  const unsafe = ofPod.filter(({ name }) => !isSafe(name));
  return [
    ...(ofNode.length === 0 ? [] : [`on the node, as root: ${nodeLine(ofNode)}`]),
    ...(ofPod.length === 0
      ? []
      : [
          `in the pod, without this container: securityContext: { sysctls: [${ofPod
            .map(({ name, value }) => `{ name: ${name}, value: ${JSON.stringify(value)} }`)
            .join(', ')}] }${
            unsafe.length === 0
              ? ''
              : `, where the kubelet has --allowed-unsafe-sysctls=${unsafe.map(({ name }) => name).join(',')}`
          }`,
        ]),
  ];
}

/** Whether setting it here changes this pod alone. */
export function isOfPod(name: string): boolean {
  const namespace = namespaceOf(name);
  return namespace !== undefined && !(namespace === 'net' && usesNodeNetwork());
}

/** One line for a shell. */
export function nodeLine(settings: readonly KernelSetting[]): string {
  const parameters = settings.filter(({ name }) => !name.startsWith('/'));
  const files = settings.filter(({ name }) => name.startsWith('/'));
  return [
    ...(parameters.length === 0
      ? []
      : [`sysctl -w ${parameters.map(({ name, value }) => inShell(`${name}=${value}`)).join(' ')}`]),
    ...files.map(({ path, value }) => `echo ${inShell(value)} > ${path}`),
  ].join(' && ');
}

function inShell(word: string): string {
  return /^[\w./:=,+@%-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Whether user 0 here is another user of the node (user_namespaces(7)). */
function isUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return false;
  }
}
