import { signingValues, type SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { connectionHeaders, readHeaders } from '../http/headers.ts';
import type { HttpSourceSettings } from '../http/source.ts';
import type { SourceOptions } from './options.ts';

/** Headers that are ours to set, or the connection's. */
export const reservedHeaders: ReadonlySet<string> = new Set([
  ...connectionHeaders,
  'host',
  'if-none-match',
  'range',
  'if-range',
]);

/**
 * What the flags say about http and https sources.
 * @param body what must be true of each body
 * @throws UsageError where a file or a header is wrong
 */
export function readHttpSettings(
  options: SourceOptions,
  body: Pick<HttpSourceSettings, 'sha256' | 'contentType' | 'htmlExpected'>,
  context: Pick<Context, 'environment' | 'redactor'>,
): HttpSourceSettings {
  return {
    headers: readHeaders(options, reservedHeaders, context),
    identified: options['cert-file'] !== undefined,
    maxSize: options['max-size'],
    redirects: options.redirects,
    crossOrigin: options['cross-origin'],
    ...body,
  };
}

/** Is what this source gives a secret, as far as can be told before it is read? Plain http(s) is content. */
export function isSecretSource(address: SourceAddress, http: HttpSourceSettings): boolean {
  if (address.scheme !== 'http' && address.scheme !== 'https') return true;
  return (
    http.identified ||
    address.userinfo !== undefined ||
    Object.keys(http.headers).length > 0 ||
    signingValues(address.path).length > 0
  );
}

/** Credentials are for one place: with sources at several hosts they would go to all of them. */
export function checkOneOrigin(
  addresses: readonly SourceAddress[],
  http: Pick<HttpSourceSettings, 'headers' | 'identified'>,
): void {
  if (Object.keys(http.headers).length === 0 && !http.identified) return;
  const origins = new Set(
    addresses
      .filter(({ scheme }) => scheme === 'http' || scheme === 'https')
      .map(({ scheme, path }) => new URL(`${scheme}:${path}`).origin),
  );
  if (origins.size > 1) {
    throw new UsageError(
      `headers or a certificate are given for sources at ${origins.size} hosts (${[...origins].join(', ')}); they would go to all of them: fetch these in steps of their own`,
    );
  }
}
