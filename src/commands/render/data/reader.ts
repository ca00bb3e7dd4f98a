import { fetchAll, versionWords } from '../../../clients/sources/fetch.ts';
import type { Sources } from '../../../clients/sources/open.ts';
import type { Fetched, SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import { Failure } from '../../../core/outcome.ts';

/** Reads sources for one run: each once, after one login. */
export interface SourceReader {
  /** @throws Failure where one cannot be read */
  readAll(addresses: readonly SourceAddress[]): Promise<ReadonlyMap<SourceAddress, Fetched>>;
  read(address: SourceAddress): Promise<Fetched>;
  /** Whether anything that was read is a secret. */
  readonly secret: boolean;
}

/** @param interval milliseconds between attempts; undefined for the usual pauses */
export function sourceReader(sources: Sources, interval: number | undefined, context: Context): SourceReader {
  const known = new Map<string, Fetched>();
  let loggedIn = false;
  let secret = false;

  const readAll = async (
    addresses: readonly SourceAddress[],
  ): Promise<ReadonlyMap<SourceAddress, Fetched>> => {
    const wanted = new Map(addresses.map((address) => [identityOf(address), address] as const));
    for (const identity of known.keys()) wanted.delete(identity);
    if (wanted.size > 0) {
      const left = loggedIn ? { ...sources, logins: [] } : sources;
      const result = await fetchAll([...wanted.values()], left, interval, context);
      if (result.kind === 'failed') throw new Failure(result);
      loggedIn = true;
      for (const [identity, address] of wanted) {
        const fetched = result.found.get(address);
        if (fetched === undefined) throw new Error(`${address.text} was not read`);
        const { provenance } = fetched;
        context.log.info(`${address.text}: read${versionWords(provenance)}`, { ...provenance });
        secret ||= fetched.secret;
        known.set(identity, fetched);
      }
    }
    return new Map(addresses.map((address) => [address, known.get(identityOf(address)) as Fetched]));
  };

  return {
    readAll,
    async read(address) {
      const found = await readAll([address]);
      return found.get(address) as Fetched;
    },
    get secret() {
      return secret;
    },
  };
}

/** All that says what is read, and how. */
function identityOf({ options, ...rest }: SourceAddress): string {
  return JSON.stringify([...[...options].toSorted(([one], [other]) => (one < other ? -1 : 1)), rest]);
}
