import { pickField, pickFromBytes } from '../../config/fields.ts';
import type { Fetched, SourceAddress } from '../../config/source.ts';
import { Failure, failed } from '../../core/outcome.ts';

/** What has to be asked for, once each, and which of it each address is about. */
export interface Reads {
  readonly addresses: readonly SourceAddress[];
  readonly of: ReadonlyMap<SourceAddress, SourceAddress>;
}

/**
 * Several fields of one secret are one read: a second one of `database/creds/app` would make another user, whose
 * password does not go with the first one's name.
 */
export function sharedReads(addresses: readonly SourceAddress[]): Reads {
  const groups = Map.groupBy(addresses, identityOf);
  const of = new Map<SourceAddress, SourceAddress>();
  const reads: SourceAddress[] = [];
  for (const group of groups.values()) {
    const [first] = group as [SourceAddress];
    const common = group.every(({ field }) => field === first.field)
      ? first
      : { ...withoutField(first), wanted: group.flatMap(({ field }) => field ?? []) };
    // Who needs it needs it, whatever others do without.
    const read = first.optional ? { ...common, optional: group.every(({ optional }) => optional) } : common;
    reads.push(read);
    for (const address of group) of.set(address, read);
  }
  return { addresses: reads, of };
}

function identityOf({ scheme, path, options, userinfo, public: content }: SourceAddress): string {
  const sorted = [...options].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([scheme, path, sorted, userinfo, content]);
}

function withoutField({ field, text, ...rest }: SourceAddress): SourceAddress {
  const tail = field === undefined ? '' : `#${field}`;
  return {
    ...rest,
    field: undefined,
    text: text.endsWith(tail) ? text.slice(0, text.length - tail.length) : text,
  };
}

/**
 * What was read for an address, with the field that it names.
 * @throws Failure where there is no such field
 */
export function fetchedFor(
  address: SourceAddress,
  reads: Reads,
  found: ReadonlyMap<SourceAddress, Fetched>,
): Fetched {
  const read = reads.of.get(address);
  const fetched = read && found.get(read);
  if (!read || !fetched) throw new Error(`${address.text} was not read`);
  // Of what is absent no field is missing.
  if (read.field === address.field || address.field === undefined || fetched.absent !== undefined)
    return fetched;
  const { content } = fetched;
  const picked =
    content.kind === 'fields'
      ? pickField(content.fields, address.field)
      : pickFromBytes(bytesOf(content.value), address.field);
  if ('state' in picked) {
    throw new Failure(failed(picked.status, `${address.text} ${picked.reason}`, { hint: picked.hint }));
  }
  return { ...fetched, content: picked };
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}
