import type { SourceAddress } from '../../config/source.ts';

/** The URLs of the sources among these that are reached by http or https. */
export function webUrls(addresses: readonly SourceAddress[]): URL[] {
  return addresses.filter(isWeb).map(sourceUrl);
}

/** Whether a source is reached by http or https. */
export function isWeb({ scheme }: Pick<SourceAddress, 'scheme'>): boolean {
  return /^(?:git\+)?https?$/.test(scheme);
}

/** The URL of such a source. */
export function sourceUrl({ scheme, path }: Pick<SourceAddress, 'scheme' | 'path'>): URL {
  return new URL(`${scheme.replace(/^git\+/, '')}:${path}`);
}
