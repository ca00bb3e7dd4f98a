import type { Clock } from '../../core/clock.ts';
import { notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { HttpAnswer } from '../http/transport.ts';
import { objectsIn, objectIn, textAt, type ApiObject, type Json } from './api-object.ts';
import type { ApiClient } from './client.ts';
import { BrokenLine, JsonLines } from './json-lines.ts';
import { refusalOf, type Forbidden } from './refusal.ts';
import { groupPath, type ApiResource } from './resource.ts';

/** Which objects are watched. */
export interface WatchedObjects {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** Labels, where there is no name. */
  readonly selector: string | undefined;
  /** Only metadata is asked for: what a Secret holds then never gets here. */
  readonly metadataOnly: boolean;
}

export interface WatchSettings<T> {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Milliseconds that one watch lasts at most. */
  readonly watchFor: number;
  /** What is kept of an object: whole objects of many pods would not fit into the memory of an init container. */
  keep(object: ApiObject): T;
  /** Called after each change of what is known. */
  changed(known: ReadonlyMap<string, T>): void;
  /** Called before an object is gone, with how it was last. */
  deleting(known: ReadonlyMap<string, T>): void;
  /** Called when a watch has ended, and the next look should be soon. */
  ended(): void;
}

/** Objects for one page of a list: even large ones fit into the memory of an init container. */
const page = '50';

/** Kinds of events that tell of an object; after any other, a list tells how things are. */
const events: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/** Milliseconds between two watches that may begin at once after the end of one. */
const hurry = 1000;

/**
 * Objects as the API server has them: listed once, then watched from that version on
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). It neither loops nor
 * sleeps: `look` makes one try to see them, and once a watch runs, it answers from what that has told.
 */
export class ObjectWatch<T> implements Disposable {
  readonly #what: WatchedObjects;
  readonly #settings: WatchSettings<T>;
  #known = new Map<string, T>();
  /** The version to go on from; undefined before the first list, and where the server has forgotten it (410). */
  #version: string | undefined;
  /** The watch that runs. */
  #live: AbortController | undefined;
  /** Those that begin. */
  readonly #begun = new Set<AbortController>();
  #hurried = Number.NEGATIVE_INFINITY;

  constructor(what: WatchedObjects, settings: WatchSettings<T>) {
    this.#what = what;
    this.#settings = settings;
  }

  /**
   * @param enough whether nothing more need be known: a watch is then not begun
   * @returns what there is, or why that is not known
   */
  async look(
    probe: Probe,
    enough: (known: ReadonlyMap<string, T>) => boolean,
  ): Promise<ReadonlyMap<string, T> | NotYet | Never | Forbidden> {
    if (this.#live !== undefined) return this.#known;
    if (this.#version === undefined) {
      const failure = await this.#list(probe);
      if (failure !== undefined) return failure;
      if (enough(this.#known)) return this.#known;
    }
    return (await this.#watch(probe)) ?? this.#known;
  }

  [Symbol.dispose](): void {
    this.#live?.abort();
    for (const begun of this.#begun) begun.abort();
  }

  /** @returns why it failed */
  async #list(probe: Probe): Promise<NotYet | Never | Forbidden | undefined> {
    const { client, keep, changed } = this.#settings;
    const known = new Map<string, T>();
    for (let next = ''; ;) {
      const answer = await client.send(
        {
          path: this.#path(),
          query: { ...this.#selection(), limit: page, ...(next === '' ? {} : { continue: next }) },
          accept: this.#accept('List'),
        },
        probe,
      );
      // Another look was faster.
      if (this.#live !== undefined) return undefined;
      if (answer.state !== 'response') return answer;
      // The rest of a list can be too old as well: the next look begins anew.
      if (answer.status === 410) return notYet('the list has expired on the API server (410)');
      if (answer.status !== 200) return this.#refusal(answer, 'list');
      let list: ApiObject;
      try {
        list = JSON.parse(answer.body.toString()) as ApiObject;
      } catch {
        return notYet('what answers there is not an API server: its answer is not JSON');
      }
      const version = textAt(list, 'metadata', 'resourceVersion');
      if (version === '')
        return notYet('what answers there is not an API server: its answer is not a list of objects');
      for (const object of objectsIn(list, 'items'))
        if (this.#isMeant(object)) known.set(keyOf(object), keep(object));
      next = textAt(list, 'metadata', 'continue');
      if (next !== '') continue;
      this.#known = known;
      this.#version = version;
      changed(known);
      return undefined;
    }
  }

  /** @returns why it did not begin */
  #watch(probe: Probe): Promise<NotYet | Never | Forbidden | undefined> {
    const { client, watchFor } = this.#settings;
    const controller = new AbortController();
    this.#begun.add(controller);
    return new Promise((resolve) => {
      const giveUp = (): void => controller.abort();
      probe.signal.addEventListener('abort', giveUp, { once: true });
      if (probe.signal.aborted) giveUp();
      const begun = (): void => {
        probe.signal.removeEventListener('abort', giveUp);
        this.#begun.delete(controller);
      };
      const lines = new JsonLines((value) => this.#take(value as Json, controller));
      const request = {
        path: this.#path(),
        query: {
          ...this.#selection(),
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: this.#version ?? '',
          timeoutSeconds: String(Math.ceil(watchFor / 1000)),
        },
        accept: this.#accept(''),
        sink: {
          start: () => {
            begun();
            if (this.#live !== undefined) return controller.abort();
            this.#live = controller;
            resolve(undefined);
          },
          write: (chunk: Uint8Array) => {
            if (this.#live !== controller) return undefined;
            lines.add(chunk);
            // The server waits until all of it is taken.
            return this.#takeSome(lines, controller) ? this.#takeRest(lines, controller) : undefined;
          },
        },
      };
      void client.send(request, { ...probe, signal: controller.signal }).then((answer) => {
        begun();
        const ran = this.#live === controller;
        if (ran) this.#live = undefined;
        resolve(this.#live === undefined ? this.#endOf(answer) : undefined);
        if (ran) this.#hurry();
      });
    });
  }

  /** @returns whether there is more to take */
  #takeSome(lines: JsonLines, watch: AbortController): boolean {
    if (this.#live !== watch || watch.signal.aborted) return false;
    try {
      return lines.takeSome();
    } catch (error) {
      if (!(error instanceof BrokenLine)) throw error;
      // What came before it is known: the next watch goes on from there.
      watch.abort();
      return false;
    }
  }

  /** With a turn for deadlines and signals in between. */
  async #takeRest(lines: JsonLines, watch: AbortController): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#takeSome(lines, watch));
  }

  /** What the end of a watch says that may not have begun. */
  #endOf(answer: HttpAnswer): NotYet | Never | Forbidden | undefined {
    if (answer.state !== 'response') return answer;
    if (answer.status === 200) return undefined;
    if (answer.status === 410) {
      this.#version = undefined;
      this.#hurry();
      return notYet('what was known is too old for the API server (410); it is listed anew');
    }
    return this.#refusal(answer, 'watch');
  }

  /** Takes one event (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/watch-event-v1-meta/). */
  #take(event: Json, watch: AbortController): void {
    // What comes after an end is not looked at.
    if (watch.signal.aborted) return;
    const type = textAt(event, 'type');
    const object = objectIn(event, 'object');
    const version = textAt(object, 'metadata', 'resourceVersion');
    if (!events.has(type) || version === '') {
      // ERROR, most often 410, Gone. Whatever it is, a list tells how things are.
      this.#version = undefined;
      return watch.abort();
    }
    this.#version = version;
    if (type === 'BOOKMARK' || !this.#isMeant(object)) return;
    if (type === 'DELETED') {
      this.#settings.deleting(new Map(this.#known).set(keyOf(object), this.#settings.keep(object)));
      this.#known.delete(keyOf(object));
    } else this.#known.set(keyOf(object), this.#settings.keep(object));
    this.#settings.changed(this.#known);
  }

  /** Whether it is of the namespace that was asked for: what answers may stand in between, and mix up answers. */
  #isMeant(object: ApiObject): boolean {
    const { namespace } = this.#what;
    const found = textAt(object, 'metadata', 'namespace');
    return namespace === undefined || found === '' || found === namespace;
  }

  /** The next look is to come at once, unless the last one has hurried as well. */
  #hurry(): void {
    const now = this.#settings.clock.now();
    if (now - this.#hurried < hurry) return;
    this.#hurried = now;
    this.#settings.ended();
  }

  #refusal(answer: HttpAnswer & { readonly state: 'response' }, verb: 'list' | 'watch') {
    return refusalOf(answer, { ...this.#what, verb }, this.#settings.client.access);
  }

  #path(): string {
    const { resource, namespace } = this.#what;
    const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
    return `${groupPath(resource)}${within}/${resource.plural}`;
  }

  /** A name is asked for by field: RBAC then needs no more than that name (resourceNames). */
  #selection(): Readonly<Record<string, string>> {
    const { name, selector } = this.#what;
    return {
      ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
      ...(selector === undefined ? {} : { labelSelector: selector }),
    };
  }

  #accept(suffix: 'List' | ''): string {
    if (!this.#what.metadataOnly) return 'application/json';
    return `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1,application/json`;
  }
}

function keyOf(object: ApiObject): string {
  return textAt(object, 'metadata', 'name');
}
