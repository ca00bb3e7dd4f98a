import { withoutByteOrderMark } from '../../core/byte-order-mark.ts';
import type { Environment } from '../../core/context.ts';
import { withoutFinalDot } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { unusablePart } from '../../process/client-pair.ts';

/** How the other end is verified and what we show it. PEM texts. */
export interface TlsSettings {
  /** Authorities that are trusted instead of those that come with Node. */
  readonly authorities?: string;
  readonly certificate?: string;
  readonly key?: string;
  /** The name that the certificate must be for, where it is not the URL's host. */
  readonly serverName?: string;
  /** False trusts anybody. */
  readonly verify: boolean;
  /** Whatever name the certificate is for: its authority alone is looked at. */
  readonly anyName?: boolean;
  /** Knows no authorities at all: only what the other end shows is found. */
  readonly noAuthorities?: boolean;
}

/** What node:tls takes. */
export function tlsOptions(settings: TlsSettings): {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string | string[];
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly checkServerIdentity?: () => undefined;
} {
  return {
    rejectUnauthorized: settings.verify,
    ...(settings.authorities === undefined ? {} : { ca: settings.authorities }),
    ...(settings.noAuthorities === true ? { ca: [] } : {}),
    ...(settings.certificate === undefined ? {} : { cert: settings.certificate }),
    ...(settings.key === undefined ? {} : { key: settings.key }),
    ...(settings.serverName === undefined ? {} : { servername: withoutFinalDot(settings.serverName) }),
    ...(settings.anyName === true ? { checkServerIdentity: () => undefined } : {}),
  };
}

/** Whether any of these is reached by https, or by a proxy that is. */
export function usesHttps(
  urls: readonly Pick<URL, 'protocol'>[],
  { HTTP_PROXY = '', http_proxy: proxy = '' }: Environment,
): boolean {
  return urls.some(({ protocol }) => protocol === 'https:') || /^\s*https:/i.test(proxy || HTTP_PROXY);
}

/**
 * The authorities of a file that was named, else those of SSL_CERT_FILE, where Go's and OpenSSL's programs look. That
 * variable is the machine's, and its file may have 200 certificates: it is read where somebody may have to be verified.
 * @param verifies false where nothing can be reached by https
 * @throws UsageError where the file cannot be read
 */
export function readAuthorities(
  path: string | undefined,
  origin: string,
  environment: Environment,
  verifies = true,
): string | undefined {
  if (path !== undefined) return readPem(path, origin);
  const usual = environment['SSL_CERT_FILE'];
  if (verifies) return usual ? readPem(usual, 'SSL_CERT_FILE') : undefined;
  checkAuthorities(environment);
  return undefined;
}

/** @throws UsageError where SSL_CERT_FILE still holds a reference */
export function checkAuthorities(environment: Environment): void {
  refuseUnexpandedVariables({ SSL_CERT_FILE: 'path' }, environment);
}

/**
 * Makes sure that a client's certificate and key are ones before anything is asked: each attempt would fail by them.
 * @param origins name them, as `--cert-file` and `--key-file`
 * @throws UsageError that names the one that is not
 */
export function checkClientPair(
  { certificate, key }: Pick<TlsSettings, 'certificate' | 'key'>,
  origins: { readonly certificate: string; readonly key: string },
): void {
  if (certificate === undefined || key === undefined) return;
  switch (unusablePart({ certificate, key })) {
    case 'certificate':
      throw new UsageError(`${origins.certificate}: the file holds no certificate that can be read`);
    case 'key':
      throw new UsageError(
        `${origins.key}: the file holds no private key that can be read: PKCS#8, PKCS#1 or SEC1 in PEM format, not encrypted`,
      );
    case 'pair':
      throw new UsageError(
        `${origins.key}: this is not the key of the certificate (${origins.certificate}); was one of them renewed without the other?`,
      );
    case undefined:
  }
}

/** A file in PEM format. @throws UsageError where it cannot be read or is not one */
export function readPem(path: string, origin: string): string {
  refuseUnexpanded('path', path, origin);
  // OpenSSL knows a line that begins with it and nothing else.
  const text = withoutByteOrderMark(readNamedFile({ text: path, origin }).toString());
  if (!text.includes('-----BEGIN ')) throw new UsageError(`${origin}: the file ${path} is not in PEM format`);
  return text;
}
