import { fetchAll } from '../../clients/sources/fetch.ts';
import { giveBack } from '../../clients/sources/give-back.ts';
import { readHttpSettings, readSourceTls } from '../../clients/sources/http-settings.ts';
import { openSources } from '../../clients/sources/open.ts';
import type { SourceOptions } from '../../clients/sources/options.ts';
import { fetchedFor, sharedReads } from '../../clients/sources/reads.ts';
import type { Fetched, FieldValue, SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { Failure, UsageError } from '../../core/outcome.ts';
import { certificatesIn, type Gathered } from './gather.ts';

/**
 * Reads certificates from servers: of Vault's answer every field that has some, such as `certificate` and `ca_chain` of a PKI
 * engine. A token that was made for it is given back at once.
 * @returns what each address gave
 * @throws UsageError where one has none, Failure where one cannot be read, or the signal's reason
 */
export async function certificatesFrom(
  addresses: readonly SourceAddress[],
  given: Omit<SourceOptions, 'secret' | 'public'>,
  context: Context,
): Promise<ReadonlyMap<SourceAddress, Gathered>> {
  const options = { ...given, secret: false, public: false };
  const body = { sha256: undefined, contentType: undefined, htmlExpected: false, decompress: false };
  const http = readHttpSettings(options, body, context);
  const reads = sharedReads(addresses);
  const tls = readSourceTls(reads.addresses, options, context);
  using sources = await openSources(reads.addresses, { options, http, tls, earlier: undefined }, context);
  try {
    const result = await fetchAll(reads.addresses, sources, options.interval, context);
    if (result.kind === 'failed') throw new Failure(result);
    const all = new Map<SourceAddress, Gathered>();
    for (const address of addresses)
      all.set(address, await gathered(address, fetchedFor(address, reads, result.found), context));
    return all;
  } finally {
    await giveBack(sources, false, context);
  }
}

async function gathered(
  address: SourceAddress,
  { content }: Fetched,
  { signal }: Pick<Context, 'signal'>,
): Promise<Gathered> {
  const values = content.kind === 'fields' ? [...content.fields.values()] : [content.value];
  const bytes = Buffer.concat(values.flatMap((value) => bytesOf(value, content.kind === 'fields')));
  const found = await certificatesIn(bytes, address.text, '--add', signal);
  if (found.certificates.length > 0) return found;
  throw new UsageError([`--add: ${address.text} holds no certificate`, ...found.warnings]);
}

/** Each on lines of its own. @param many whether others stand beside it, of which some are something else */
function bytesOf(value: FieldValue, many: boolean): readonly Uint8Array[] {
  if (Array.isArray(value)) return value.flatMap((one) => bytesOf(one, many));
  if (value instanceof Uint8Array) return [value];
  if (typeof value !== 'string') return [];
  return many && !value.includes('-----BEGIN ') ? [] : [Buffer.from(`${value}\n`)];
}
