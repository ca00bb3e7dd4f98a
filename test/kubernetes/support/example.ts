import { basename } from 'node:path';

import { expect, inject } from 'vitest';

import type { PodWatch, Thing } from './kubectl.ts';
import { localised, podSpecOf, readExample } from './manifests.ts';
import { Namespace, type Level, type Pod } from './namespace.ts';

/** For describe.skipIf; the set-up has said why there is none, or failed where everything is required. */
export const noCluster = inject('cluster') === undefined;

/** An example's after.yaml, in a namespace of its own. */
export class Example implements AsyncDisposable {
  readonly name: string;
  readonly namespace: Namespace;
  /** What is applied: the manifest, with images that are here. */
  readonly things: Thing[];
  #watch: PodWatch | undefined;

  private constructor(name: string, namespace: Namespace) {
    this.name = name;
    this.namespace = namespace;
    this.things = localised(readExample(name, 'after.yaml'));
  }

  /** @param file of the test, which is named as the example is */
  static async create(file: string, level: Level = 'restricted'): Promise<Example> {
    const name = basename(file, '.test.ts');
    return new Example(name, await Namespace.create(name, level));
  }

  /** Applies the manifest, or a part of it first, and watches the workload's pods from then on. */
  async apply(things: readonly Thing[] = this.things): Promise<void> {
    this.#watch ??= this.namespace.watch(this.selector);
    await this.namespace.apply(things);
  }

  get watch(): PodWatch {
    if (this.#watch === undefined) throw new Error('the example is not applied yet');
    return this.#watch;
  }

  /** The workload whose pods run the application. */
  get workload(): Thing {
    const found = this.things.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    if (found === undefined) throw new Error(`${this.name} has no workload`);
    return found;
  }

  get workloadName(): string {
    return `${this.workload.kind.toLowerCase()}/${this.workload.metadata.name}`;
  }

  get selector(): string {
    const { matchLabels } = (this.workload['spec'] as { selector: { matchLabels: Record<string, string> } })
      .selector;
    return Object.entries(matchLabels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
  }

  /**
   * Waits until everything is ready and checks what holds for every example: the pods went through their phases in
   * order, and no container was started twice.
   */
  async becomesReady(): Promise<Pod[]> {
    await this.namespace.rolledOut(this.workloadName);
    const count = podSpecOf(this.workload)?.initContainers?.length ?? 0;
    const pods = await this.namespace.pods(this.selector);
    expect(pods.length).toBeGreaterThan(0);
    for (const pod of pods) {
      const seen = this.watch.phases().get(pod.metadata.name) ?? [];
      await this.tellOnFailure(() => expectInOrder(seen, count));
      const statuses = [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
      expect(statuses.filter(({ restartCount }) => restartCount > 0)).toEqual([]);
    }
    return pods;
  }

  /** What the pods say is gone with the namespace. */
  private async tellOnFailure(check: () => void): Promise<void> {
    try {
      check();
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.namespace.story()}`, { cause: error });
    }
  }

  /** Runs a command in the application's container. */
  exec(...command: readonly string[]): Promise<string> {
    const container = podSpecOf(this.workload)?.containers[0]?.name ?? '';
    return this.namespace.exec(this.workloadName, container, ...command);
  }

  /** The log of the present run of an init container of some pod. */
  logs(container: string): Promise<string> {
    return this.namespace.kubectl('logs', this.workloadName, '-c', container);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    await this.namespace[Symbol.asyncDispose]();
  }
}

/** The STATUS column went forward only, began in the init phase, and came to Running. */
export function expectInOrder(seen: readonly string[], count: number): void {
  const order = [
    'Pending',
    'ContainerCreating',
    ...Array.from({ length: count }, (_, index) => `Init:${index}/${count}`),
    'PodInitializing',
    'Running',
  ];
  const places = seen.map((status) => order.indexOf(status));
  expect(places, seen.join(' → ')).toEqual(places.toSorted((a, b) => a - b));
  expect(places, seen.join(' → ')).not.toContain(-1);
  expect(seen).toContain(`Init:0/${count}`);
  expect(seen.at(-1)).toBe('Running');
}
