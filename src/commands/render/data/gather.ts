import { fetchedFor, type Reads } from '../../../clients/sources/reads.ts';
import { registerValue } from '../../../config/fields.ts';
import { asObject, parseJson } from '../../../config/json.ts';
import type { Fetched, FieldValue, SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { quoted } from '../../../core/misplaced-secret.ts';
import { Failure, failed, UsageError } from '../../../core/outcome.ts';
import { isInMemory } from '../../../fs/publish/open-target.ts';
import { endingOf, parseData, decodeUtf8 } from './parse.ts';
import { readWhole } from './read-file.ts';
import type { DataRequest } from './request.ts';

/** One thing that templates can name, and where it came from, safe to print. */
export interface Entry {
  readonly value: FieldValue;
  readonly from: string;
}

export interface FileData {
  readonly request: DataRequest;
  readonly value: FieldValue;
  /** It lies in memory, as the volumes of Secrets do. */
  readonly secret: boolean;
}

/**
 * Reads the files among the data.
 * @param content where the user says that they hold no secret
 * @throws UsageError where one is missing or does not parse
 */
export async function readFiles(
  requests: readonly DataRequest[],
  largest: number,
  content: boolean,
  { redactor }: Pick<Context, 'redactor'>,
): Promise<readonly FileData[]> {
  const found: FileData[] = [];
  for (const request of requests) {
    if (request.from.kind !== 'file') continue;
    const { path, ending } = request.from;
    try {
      let secret = true;
      const bytes = readWhole(path, largest, (descriptor) => (secret = !content && isInMemory(descriptor)));
      const value = await parseData(bytes, ending);
      if (secret) registerValue(redactor, value);
      found.push({ request, value, secret });
    } catch (error) {
      throw new UsageError(`--data: ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
  return found;
}

/**
 * Takes what the sources among the data gave.
 * @throws Failure where one holds what it should not
 */
export async function valuesOfSources(
  requests: readonly DataRequest[],
  reads: Reads,
  found: ReadonlyMap<SourceAddress, Fetched>,
  context: Pick<Context, 'redactor'>,
): Promise<ReadonlyMap<DataRequest, FieldValue>> {
  const values = new Map<DataRequest, FieldValue>();
  for (const request of requests) {
    if (request.from.kind !== 'source') continue;
    const { address } = request.from;
    const { content, secret } = fetchedFor(address, reads, found);
    const value =
      content.kind === 'fields'
        ? Object.fromEntries(content.fields)
        : await valueOf(content.value, address, request);
    if (secret) registerValue(context.redactor, value);
    values.set(request, value);
  }
  return values;
}

/** A whole file or body is read by its ending; what has no name must have keys. */
async function valueOf(
  value: FieldValue,
  address: SourceAddress,
  { name, shown }: DataRequest,
): Promise<FieldValue> {
  if (!(value instanceof Uint8Array)) return value;
  const path = address.path.replace(/\?.*$/s, '');
  const ending = address.field === undefined ? endingOf(path) : undefined;
  try {
    if (ending !== undefined) return await parseData(value, ending);
    return name === undefined ? parseJson(decodeUtf8(value)) : decodeUtf8(value);
  } catch (error) {
    throw new Failure(failed(exitStatus.refused, `${shown}: ${(error as Error).message}`));
  }
}

/**
 * Everything under the names that templates use.
 * @throws UsageError where two have one name, or something without a name has no keys
 */
export function underNames(
  data: readonly { readonly request: DataRequest; readonly value: FieldValue }[],
  variables: readonly { readonly name: string; readonly value: string }[],
): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>();
  const add = (name: string, value: FieldValue, from: string): void => {
    const other = entries.get(name);
    if (other !== undefined)
      throw new UsageError(`two values for the name ${quoted(name)}: ${other.from} and ${from}`);
    entries.set(name, { value, from });
  };
  for (const { name, value } of variables) add(name, value, `--var ${name}`);
  for (const { request, value } of data) {
    const from = `--data ${request.shown}`;
    if (request.name !== undefined) {
      add(request.name, value, from);
      continue;
    }
    const object = asObject(value);
    if (object === undefined)
      throw new UsageError(`${from} has no keys to name its values by; give it a name: --data NAME=…`);
    for (const [name, inner] of Object.entries(object)) {
      if (name === 'env') throw new UsageError(`${from}: the name env is taken: it is the environment`);
      add(name, inner, from);
    }
  }
  return entries;
}

/** @throws UsageError where two requests have one name, before anything is fetched */
export function checkNames(
  requests: readonly DataRequest[],
  variables: readonly { readonly name: string }[],
): void {
  const seen = new Map<string, string>();
  const all = [
    ...variables.map(({ name }) => ({ name, from: `--var ${name}` })),
    ...requests.map(({ name, shown }) => ({ name, from: `--data ${shown}` })),
  ];
  for (const { name, from } of all) {
    if (name === undefined) continue;
    const other = seen.get(name);
    if (other !== undefined)
      throw new UsageError(`two values for the name ${quoted(name)}: ${other} and ${from}`);
    seen.set(name, from);
  }
}
