import { createHash } from 'node:crypto';

import type { ListedObject, ObjectFolder } from '../../../clients/http/object-folder.ts';
import type { SourceSink } from '../../../clients/http/source.ts';
import type { FetchAnswer, SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import type { Patience } from '../../../core/deadline.ts';
import type { Outcome } from '../../../core/outcome.ts';
import { satisfied, type Target } from '../../../wait/attempt.ts';
import { waitFor } from '../../../wait/loop.ts';
import { waitOutcome } from '../../../wait/outcome.ts';
import { fixed, proportional } from '../../../wait/schedule.ts';
import { once } from '../../../wait/target-state.ts';
import { entryPathOf, quotedEntry, Refused } from './entry-names.ts';
import type { UnpackedTree } from './tree.ts';

/** Objects up to here are read several at once, and kept in memory for a moment; in bytes. */
const small = 1 << 18;
/** Of these, so many at once, and so many bytes of them together. */
const mostAtOnce = 64;
const mostBytes = 4 << 20;

/** How a folder of objects is asked for: what fails for good ends it. */
export interface ObjectWork {
  readonly folder: ObjectFolder;
  readonly interval: number | undefined;
  readonly context: Context;
  readonly patience: Patience;
  /** For an outcome in words. */
  readonly failed: (outcome: Outcome) => Error;
}

/** Waits for something. @throws what `failed` makes of its failure */
async function waitForAll(targets: readonly Target[], work: ObjectWork): Promise<void> {
  if (targets.length === 0) return;
  const { interval, context, failed } = work;
  const schedule = interval === undefined ? proportional(targets.length) : fixed(interval);
  const report = await waitFor(targets, { schedule, policy: once, overlap: 1, patient: true }, context);
  const outcome = waitOutcome(report);
  if (outcome.kind === 'failed') throw failed(outcome);
}

/** Logs in, and lists what is there. @throws Refused where a name is not one of a file below a folder */
export async function listObjects(
  address: SourceAddress,
  logins: readonly Target[],
  work: ObjectWork,
): Promise<readonly ListedObject[]> {
  await waitForAll(logins, work);
  let objects: readonly ListedObject[] = [];
  const target: Target = {
    name: address.text,
    async attempt(probe) {
      const answer = await work.folder.list(probe);
      if (answer.state !== 'listed') return answer;
      ({ objects } = answer);
      return satisfied(`${objects.length} objects`);
    },
  };
  await waitForAll([target], work);
  for (const { name, size } of objects) checkName(name, size);
  return objects;
}

/** Before anything is asked by that name: in a URL, dots would be steps. @throws Refused */
function checkName(name: string, size: number): void {
  entryPathOf(rawOf(name), 0);
  const parts = name.split('/');
  const refuse = (why: string): never => {
    throw new Refused(`has the object ${quotedEntry(rawOf(name))}, which ${why}`);
  };
  // JSON can write half of a character, which no URL and no file's name can have.
  if (!name.isWellFormed()) refuse('is not text');
  if (parts.includes('.')) refuse('has the path segment "."');
  if (parts.slice(0, -1).includes('')) refuse('has an empty path segment');
  if (parts.at(-1) === '' && size > 0) refuse('is named as a folder, and has content');
}

function rawOf(name: string): string {
  return Buffer.from(name).toString('latin1');
}

/** The same for the same objects. */
export function sumOfObjects(address: SourceAddress, objects: readonly ListedObject[]): string {
  const hash = createHash('sha256').update(address.text);
  for (const { name, etag, size, time } of objects) hash.update(JSON.stringify([name, etag, size, time]));
  return hash.digest('hex');
}

/** Copies objects into a tree that nobody sees yet. @throws Refused, what `failed` makes, or the system's error */
export async function copyObjects(
  objects: readonly ListedObject[],
  tree: UnpackedTree,
  work: ObjectWork,
): Promise<void> {
  for (let at = 0; at < objects.length;) {
    const [first] = objects.slice(at, at + 1) as [ListedObject];
    if (first.size > small) {
      await copyLarge(first, tree, work);
      at++;
      continue;
    }
    const batch: ListedObject[] = [];
    for (let bytes = 0; at < objects.length && batch.length < mostAtOnce; at++) {
      const next = objects[at] as ListedObject;
      bytes += next.size;
      if (next.size > small || (bytes > mostBytes && batch.length > 0)) break;
      batch.push(next);
    }
    await copySmall(batch, tree, work);
  }
}

async function copySmall(
  batch: readonly ListedObject[],
  tree: UnpackedTree,
  work: ObjectWork,
): Promise<void> {
  const bodies = new Map<ListedObject, Uint8Array>();
  const files = batch.filter(({ size }) => size > 0);
  if (files.length > 0)
    await waitForAll(
      files.map((object) =>
        targetOf(object, work, undefined, (body) => {
          work.patience.renew();
          bodies.set(object, body);
        }),
      ),
      work,
    );
  for (const object of batch) {
    const body = bodies.get(object) ?? new Uint8Array(0);
    checkSize(object, body.length);
    await begin(object, tree);
    if (body.length > 0) await tree.data(body);
    await tree.end();
  }
}

async function copyLarge(object: ListedObject, tree: UnpackedTree, work: ObjectWork): Promise<void> {
  await begin(object, tree);
  const sink = new TreeSink(tree, work.patience);
  try {
    await waitForAll([targetOf(object, work, sink, () => {})], work);
  } catch (error) {
    // What the tree refused, in its own words.
    throw sink.failure?.error ?? error;
  }
  checkSize(object, sink.size);
  await tree.end();
}

/** @throws Refused where another length came than was listed */
function checkSize({ name, size }: ListedObject, came: number): void {
  if (came !== size)
    throw new Refused(
      `has the object ${quotedEntry(rawOf(name))}, which has changed since it was listed`,
      'run it again',
    );
}

async function begin({ name, size, time }: ListedObject, tree: UnpackedTree): Promise<void> {
  const kind = name.endsWith('/') ? 'directory' : 'file';
  await tree.begin({ name: rawOf(name), kind, size, mode: undefined, time });
}

function targetOf(
  object: ListedObject,
  { folder }: ObjectWork,
  sink: SourceSink | undefined,
  take: (body: Uint8Array) => void,
): Target {
  const read = folder.reader(object, sink, Math.max(object.size, 1));
  return {
    name: folder.addressOf(object).text,
    async attempt(probe) {
      const answer: FetchAnswer = await read(probe);
      if (answer.state !== 'fetched') return answer;
      const { content } = answer.fetched;
      if (content.kind === 'value' && content.value instanceof Uint8Array) take(content.value);
      return satisfied('read');
    },
  };
}

/** Puts an object into a tree as it comes. It goes on where a connection ends inside it, and never begins anew. */
class TreeSink implements SourceSink {
  readonly limit = 'what the list says of it';
  readonly anyEncoding = true;
  readonly #tree: UnpackedTree;
  readonly #patience: Patience;
  #busy: Promise<void> | undefined;
  size = 0;
  failure: { readonly error: unknown } | undefined;

  constructor(tree: UnpackedTree, patience: Patience) {
    this.#tree = tree;
    this.#patience = patience;
  }

  start(): void {
    if (this.size > 0)
      this.#fail(new Refused('has an object that cannot be gone on with: the server began anew'));
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#patience.renew();
    this.size += bytes.length;
    const copy = Buffer.from(bytes);
    const take = (): void | Promise<void> => {
      try {
        return this.#tree.data(copy);
      } catch (error) {
        return this.#fail(error);
      }
    };
    const taken = this.#busy === undefined ? take() : this.#busy.then(take);
    if (taken === undefined) return undefined;
    const mine = taken.then(
      () => {
        if (this.#busy === mine) this.#busy = undefined;
      },
      (error: unknown) => this.#fail(error),
    );
    this.#busy = mine;
    return mine;
  }

  sum(): string {
    throw new Error('no sum was made');
  }

  kept(): undefined {
    return undefined;
  }

  #fail(error: unknown): never {
    this.failure ??= { error };
    throw error;
  }
}
