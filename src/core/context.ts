import type { Clock } from './clock.ts';
import type { CommandList } from './command.ts';
import type { Host } from './host.ts';
import type { Log } from './log.ts';
import type { Redactor } from './redaction/redactor.ts';
import type { Terminal } from './terminal.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a pod keeps what a command reads without being asked to. Tests hand in their own. */
export interface Paths {
  readonly resolvConf: string;
  readonly hosts: string;
  /** The folder with `token`, `ca.crt` and `namespace` of the pod's service account. */
  readonly serviceAccount: string;
  /** The folder with `tcp` and `tcp6`, the sockets of this network namespace (proc(5)). */
  readonly network: string;
}

export const podPaths: Paths = {
  resolvConf: '/etc/resolv.conf',
  hosts: '/etc/hosts',
  serviceAccount: '/var/run/secrets/kubernetes.io/serviceaccount',
  network: '/proc/net',
};

/** All that a command needs and that is not one of its arguments. */
export interface Context {
  /** Aborted when the whole command must end; its reason is DeadlinePassed or SignalReceived. */
  readonly signal: AbortSignal;
  /** The clock's reading at which the signal is aborted by the deadline. */
  readonly deadline: number | undefined;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly redactor: Redactor;
  readonly environment: Environment;
  readonly paths: Paths;
  /** For what was asked for: reports as JSON. All else goes to the log. */
  readonly stdout: (text: string) => void;
  readonly host: Host;
  /** For progress; undefined where lines of the log are what is wanted. */
  readonly terminal?: Terminal | undefined;
  /** All commands: for the one that runs others, which therefore imports none. */
  readonly commands: CommandList;
}
