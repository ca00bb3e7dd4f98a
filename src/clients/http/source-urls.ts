import type { SourceAddress } from '../../config/source.ts';

/** The URLs of the http and https sources among these. */
export function webUrls(addresses: readonly SourceAddress[]): URL[] {
  return addresses.filter(({ scheme }) => scheme === 'http' || scheme === 'https').map(sourceUrl);
}

/** The URL of an http or https source. */
export function sourceUrl({ scheme, path }: SourceAddress): URL {
  return new URL(`${scheme}:${path}`);
}
