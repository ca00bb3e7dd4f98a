import { isStoredObject, signingValues, type SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { liesInConfigMap } from '../../fs/config-map.ts';
import { openInput } from '../../fs/input-file.ts';
import { ownAuthorization } from '../http/credentials.ts';
import { connectionHeaders, readHeaders } from '../http/headers.ts';
import { readNetrc } from '../http/netrc.ts';
import { readTlsSettings } from '../http/options.ts';
import { isWeb, sourceUrl, webUrls } from '../http/source-urls.ts';
import type { HttpSourceSettings } from '../http/source.ts';
import { usesHttps, type TlsSettings } from '../http/tls.ts';
import { verifiedSchemes } from './cloud-schemes.ts';
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
  body: Pick<HttpSourceSettings, 'sha256' | 'contentType' | 'htmlExpected' | 'decompress'>,
  context: Pick<Context, 'environment' | 'redactor'>,
): HttpSourceSettings {
  return {
    headers: readHeaders(options, reservedHeaders, context),
    netrc: options['netrc-file'] === undefined ? undefined : readNetrc(options['netrc-file'], context),
    identified: options['cert-file'] !== undefined,
    maxSize: options['max-size'],
    redirects: options.redirects,
    crossOrigin: options['cross-origin'],
    saidSecret: options.secret ? true : options.public ? false : undefined,
    ...body,
  };
}

/** How https servers are verified. @throws UsageError where a file cannot be read */
export function readSourceTls(
  addresses: readonly SourceAddress[],
  options: SourceOptions,
  { environment }: Pick<Context, 'environment'>,
): TlsSettings {
  const urls = webUrls(addresses);
  // A redirect may lead to https.
  const verifies =
    addresses.some(({ scheme }) => verifiedSchemes.includes(scheme)) ||
    (urls.length > 0 && (options.redirects > 0 || usesHttps(urls, environment)));
  return readTlsSettings(options, environment, true, verifies);
}

/** What stores nothing but secrets. */
const alwaysSecret: ReadonlySet<SourceAddress['scheme']> = new Set(['vault', 'aws-sm', 'gcp-sm', 'azure-kv']);

/** What any container of the pod may see. */
const shownToAll: ReadonlySet<SourceAddress['scheme']> = new Set(['dns', 'interface', 'ordinal', 'time']);

/**
 * Is what this source gives a secret, as far as can be told before it is read? What Vault, stores of secrets and Secrets of Kubernetes give always is. Of the others
 * the user may say it; unsaid, plain http(s), a ConfigMap and its files are content, and all else is a secret.
 * @throws UsageError where a secret is said to be none
 */
export function isSecretSource(address: SourceAddress, http: HttpSourceSettings): boolean {
  const said = address.public ? false : http.saidSecret;
  const ofCluster = address.scheme === 'kubernetes' && /^secrets?\//i.test(address.path);
  if (alwaysSecret.has(address.scheme) || ofCluster) {
    if (said === false)
      throw new UsageError(
        `${address.text} cannot be public: what Vault, stores of secrets (aws-sm:, gcp-sm:, azure-kv:) and Secrets of Kubernetes give is always a secret; fetch it in a run of its own, or write it to a disk by --allow-disk and --mode`,
      );
    return true;
  }
  if (said !== undefined) return said;
  if (address.scheme === 'kubernetes') return false;
  // Only its user knows what a parameter or an object holds, and whoever has no credentials does not get it.
  if (address.scheme === 'aws-ssm' || isStoredObject(address)) return true;
  if (address.scheme === 'file') return !isConfigMap(address.path);
  if (address.scheme === 'env' || address.scheme === 'git+ssh') return true;
  if (shownToAll.has(address.scheme)) return false;
  return (
    http.identified ||
    ownAuthorization(address, http) !== undefined ||
    Object.keys(http.headers).length > 0 ||
    signingValues(address.path).length > 0
  );
}

/** What cannot be opened yet may become anything. */
function isConfigMap(path: string): boolean {
  try {
    using input = openInput(path);
    return liesInConfigMap(input.descriptor);
  } catch {
    return false;
  }
}

/** Credentials are for one place: with sources at several hosts they would go to all of them. */
export function checkOneOrigin(
  addresses: readonly SourceAddress[],
  http: Pick<HttpSourceSettings, 'headers' | 'identified'>,
): void {
  if (Object.keys(http.headers).length === 0 && !http.identified) return;
  const origins = new Set(addresses.filter(isWeb).map((address) => sourceUrl(address).origin));
  if (origins.size > 1) {
    throw new UsageError(
      `headers or a certificate are given for sources at ${origins.size} hosts (${[...origins].join(', ')}); they would go to all of them: fetch these in steps of their own`,
    );
  }
}
