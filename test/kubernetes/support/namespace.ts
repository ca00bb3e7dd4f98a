import { randomBytes } from 'node:crypto';

import { waitUntil } from '../../support/wait-until.ts';
import { apply, get, kubectl, PodWatch, type Thing } from './kubectl.ts';

interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  state: {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt: string };
    terminated?: Terminated;
  };
  lastState: { terminated?: Terminated };
}

export interface Terminated {
  exitCode: number;
  reason?: string;
  message?: string;
  startedAt: string;
  finishedAt: string;
}

export interface Pod extends Thing {
  metadata: { name: string; namespace: string; uid: string; deletionTimestamp?: string };
  status: {
    phase: string;
    podIP?: string;
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
    conditions?: { type: string; status: string; lastTransitionTime: string }[];
  };
}

export type Level = 'restricted' | 'baseline' | 'privileged';

/** A namespace that enforces a Pod Security profile and is deleted at the end of the scope. */
export class Namespace implements AsyncDisposable {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** The name is a new one each time: the last one's may take a while to go. */
  static async create(label: string, level: Level = 'restricted'): Promise<Namespace> {
    return Namespace.#make(`initbox-test-${label}-${randomBytes(3).toString('hex')}`, level);
  }

  static async named(name: string, level: Level): Promise<Namespace> {
    // What an interrupted run left would be taken for this one's.
    await kubectl('delete', 'namespace', name, '--ignore-not-found', '--timeout=60s');
    return Namespace.#make(name, level);
  }

  static async #make(name: string, level: Level): Promise<Namespace> {
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]);
    // Pods are refused until there is one.
    await waitUntil(() => kubectl('get', 'serviceaccount', 'default', '-n', name).catch(() => ''), {
      what: 'the default service account',
    });
    return new Namespace(name);
  }

  apply(things: readonly Thing[], ...flags: readonly string[]): Promise<string> {
    return apply(things, '-n', this.name, ...flags);
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl('-n', this.name, ...args);
  }

  /** @param going also those that are being deleted */
  async pods(selector = '', going = false): Promise<Pod[]> {
    const words = selector === '' ? [] : ['-l', selector];
    const { items } = await get<{ items: Pod[] }>('pods', '-n', this.name, ...words);
    return items.filter(({ metadata }) => going || metadata.deletionTimestamp === undefined);
  }

  async pod(selector: string, going = false): Promise<Pod> {
    const [pod] = await this.pods(selector, going);
    if (pod === undefined) throw new Error(`no pod has ${selector}`);
    return pod;
  }

  watch(selector = ''): PodWatch {
    return new PodWatch(this.name, selector);
  }

  /** Waits until a rollout is over; throws with what the pods say. */
  async rolledOut(what: string, timeout = 120): Promise<void> {
    try {
      await this.kubectl('rollout', 'status', what, `--timeout=${timeout}s`);
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.story()}`, { cause: error });
    }
  }

  /**
   * What a container has said, its present run and the one before it: the kubelet may start it again, and with that a
   * new log, between any two looks.
   */
  async logs(pod: string, container: string): Promise<string> {
    // The present run first: what became the run before it between the two requests is then read twice, not never.
    const present = await this.kubectl('logs', pod, '-c', container);
    return (await this.kubectl('logs', pod, '-c', container, '--previous').catch(() => '')) + present;
  }

  /** Pods as kubectl shows them, and all logs: for a failure's message. */
  async story(): Promise<string> {
    const pods = await this.kubectl('describe', 'pods').catch(String);
    const names = (await this.kubectl('get', 'pods', '-o', 'name').catch(() => '')).split('\n');
    const logs = await Promise.all(
      names.flatMap((name) =>
        [[], ['--previous']].map((which) =>
          this.kubectl('logs', name, '--all-containers', '--prefix', '--tail=20', ...which).catch(String),
        ),
      ),
    );
    return [pods, ...logs].join('\n');
  }

  /** Runs a command in a container of the application; what it printed. */
  exec(workload: string, container: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl('exec', workload, '-c', container, '--', ...command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kubectl('delete', 'namespace', this.name, '--wait=false', '--ignore-not-found');
  }
}

/** The status of one init container. */
export function initStatus(pod: Pod, name: string): ContainerStatus {
  const found = pod.status.initContainerStatuses?.find((status) => status.name === name);
  if (found === undefined) throw new Error(`${pod.metadata.name} has no init container ${name}`);
  return found;
}

/** How an init container ended, the last time it did. */
export function ended(pod: Pod, name: string): Terminated {
  const { state, lastState } = initStatus(pod, name);
  const found = state.terminated ?? lastState.terminated;
  if (found === undefined) throw new Error(`${name} of ${pod.metadata.name} has not ended yet`);
  return found;
}
