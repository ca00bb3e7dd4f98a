// Network faults made by the kernel: namespaces that can be cut off from each other, and dropped packets on loopback
// addresses. Everything made here is undone by remove(), by the end of this process, and at the latest by the next
// process that uses this module.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { findInPath, needTool, whyMissing } from './tools.ts';
import { quote, undoAtDeath, type Undo } from './undo.ts';

const mark = 'initbox-test';
const namespacePattern = /^ibt-(\d+)-/;

function ip(...words: string[]): string {
  return execFileSync(needTool('ip', 'iproute2'), words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function iptables(...words: string[]): string {
  // -w: two test files change the table at once, and iptables has one lock.
  return execFileSync(needTool('iptables', 'iptables'), ['-w', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function tryOut(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return (stderr !== undefined && stderr !== '' ? stderr : message).trim();
  }
}

let netnsReason: { reason: string | undefined } | undefined;

/** Why network namespaces cannot be used, or undefined: for requireOrSkip. */
export function canUseNetns(): string | undefined {
  netnsReason ??= { reason: whyNoNetns() };
  return netnsReason.reason;
}

function whyNoNetns(): string | undefined {
  const missing = whyMissing('ip', 'iproute2');
  if (missing !== undefined) return missing;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `ibt-${process.pid}-probe`;
  return tryOut(() => {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
  });
}

let iptablesReason: { reason: string | undefined } | undefined;

/** Why packets cannot be dropped, or undefined: for requireOrSkip. */
export function canUseIptables(): string | undefined {
  iptablesReason ??= { reason: whyNoIptables() };
  return iptablesReason.reason;
}

function whyNoIptables(): string | undefined {
  const missing = whyMissing('iptables', 'iptables');
  if (missing !== undefined) return missing;
  if (process.getuid?.() !== 0) return 'iptables needs root';
  return tryOut(() => void iptables('-S', 'INPUT'));
}

let leftoversRemoved = false;

/** Removes what killed test processes left behind: names and comments carry the id of their process. */
function removeLeftovers(): void {
  if (leftoversRemoved) return;
  leftoversRemoved = true;
  const dead = (pid: string | undefined) => pid !== undefined && !existsSync(`/proc/${pid}`);
  if (findInPath('ip') !== undefined) {
    for (const line of ip('netns', 'list').split('\n')) {
      const name = line.split(' ')[0] ?? '';
      if (dead(namespacePattern.exec(name)?.[1])) tryOut(() => void ip('netns', 'del', name));
    }
  }
  if (findInPath('iptables') !== undefined && canUseIptables() === undefined) {
    for (const line of iptables('-S').split('\n')) {
      if (!line.startsWith('-A ') || !dead(new RegExp(`--comment "?${mark}-(\\d+)"?`).exec(line)?.[1]))
        continue;
      const words = line.replaceAll('"', '').split(' ').slice(1);
      tryOut(() => void iptables('-D', ...words));
    }
  }
}

/** A network namespace, with nothing but a loopback interface of its own unless it is one of a pair. */
export interface Netns extends Disposable {
  readonly name: string;
  /** Command prefix that enters it and execs: for startPostgres, runInitbox, spawn. */
  readonly prefix: readonly string[];
  /** Runs a command in it and returns its output; throws when it fails. */
  run(...command: string[]): string;
  remove(): void;
}

let namespaces = 0;

/** Makes a namespace without any route: every address but its own loopback is unreachable. */
export function createNetns(label = 'n'): Netns {
  removeLeftovers();
  namespaces += 1;
  const name = `ibt-${process.pid}-${namespaces}${label}`;
  const undo = undoAtDeath(`ip netns del ${name}`);
  ip('netns', 'add', name);
  const prefix = [needTool('ip', 'iproute2'), 'netns', 'exec', name];
  let there = true;
  const remove = () => {
    if (!there) return;
    there = false;
    tryOut(() => void ip('netns', 'del', name));
    undo.forget();
  };
  const namespace: Netns = {
    name,
    prefix,
    run: (...command) =>
      execFileSync(prefix[0] as string, [...prefix.slice(1), ...command], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    remove,
    [Symbol.dispose]: remove,
  };
  namespace.run('ip', 'link', 'set', 'lo', 'up');
  return namespace;
}

export interface CableEnd extends Netns {
  readonly address: string;
}

/** Two namespaces with a router between them. */
export interface NetnsPair extends Disposable {
  readonly a: CableEnd;
  readonly b: CableEnd;
  /**
   * The router forwards nothing more and says nothing: no packet, no reset, no ICMP, and both ends keep their links
   * and routes. It is what a dead node, or a cut between zones, looks like from a pod.
   */
  partition(): void;
  heal(): void;
  remove(): void;
}

/**
 * Makes two namespaces, 10.111.1.2 (a) and 10.111.2.2 (b), and the router between them. An address of the own network
 * that nobody has (10.111.1.99 from a) gives EHOSTUNREACH after some seconds; one outside has no route at all.
 */
export function createNetnsPair(): NetnsPair {
  const made: Netns[] = [];
  const remove = () => {
    for (const namespace of made.splice(0)) namespace.remove();
  };
  const make = (label: string) => {
    const namespace = createNetns(label);
    made.push(namespace);
    return namespace;
  };
  try {
    const router = make('r');
    const forward = (value: 0 | 1) =>
      void router.run('/bin/sh', '-c', `echo ${value} >/proc/sys/net/ipv4/ip_forward`);
    const [a, b] = [1, 2].map((network): CableEnd => {
      const end = make(network === 1 ? 'a' : 'b');
      const port = `port${network}`;
      ip(
        'link',
        'add',
        'cable',
        'netns',
        end.name,
        'type',
        'veth',
        'peer',
        'name',
        port,
        'netns',
        router.name,
      );
      router.run('ip', 'addr', 'add', `10.111.${network}.1/24`, 'dev', port);
      router.run('ip', 'link', 'set', port, 'up');
      end.run('ip', 'addr', 'add', `10.111.${network}.2/24`, 'dev', 'cable');
      end.run('ip', 'link', 'set', 'cable', 'up');
      end.run('ip', 'route', 'add', '10.111.0.0/16', 'via', `10.111.${network}.1`);
      return Object.assign(end, { address: `10.111.${network}.2` });
    }) as [CableEnd, CableEnd];
    forward(1);
    return { a, b, partition: () => forward(0), heal: () => forward(1), remove, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

export interface BlockOptions {
  protocol?: 'tcp' | 'udp';
  /**
   * DROP answers nothing, as a dead host or most firewalls; `reset` and `unreachable` answer with a TCP reset and with
   * ICMP "administratively prohibited".
   */
  how?: 'DROP' | 'reset' | 'unreachable';
  /** Blocks what comes back from there too: a partition for connections that are open already. */
  bothWays?: boolean;
}

export interface Block extends Disposable {
  remove(): void;
}

/** Drops every packet to a loopback address and port (all ports when undefined) from now on, until remove(). */
export function dropTo(address: string, port?: number, options: BlockOptions = {}): Block {
  if (!/^127\.\d+\.\d+\.\d+$/.test(address))
    throw new Error(`only loopback addresses may be blocked, not ${address}`);
  removeLeftovers();
  const { protocol = 'tcp', how = 'DROP', bothWays = false } = options;
  const target = {
    DROP: ['DROP'],
    reset: ['REJECT', '--reject-with', 'tcp-reset'],
    unreachable: ['REJECT', '--reject-with', 'icmp-admin-prohibited'],
  }[how];
  const rule = (host: string, portFlag: string) => [
    'INPUT',
    host,
    address,
    '-p',
    protocol,
    ...(port === undefined ? [] : [portFlag, `${port}`]),
    '-m',
    'comment',
    '--comment',
    `${mark}-${process.pid}`,
    '-j',
    ...target,
  ];
  const rules = [rule('-d', '--dport'), ...(bothWays ? [rule('-s', '--sport')] : [])];
  const added: { words: string[]; undo: Undo }[] = [];
  const remove = () => {
    for (const { words, undo } of added.splice(0)) {
      tryOut(() => void iptables('-D', ...words));
      undo.forget();
    }
  };
  try {
    for (const words of rules) {
      const undo = undoAtDeath(['iptables', '-w', '-D', ...words].map(quote).join(' '));
      added.push({ words, undo });
      iptables('-I', ...words);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { remove, [Symbol.dispose]: remove };
}
