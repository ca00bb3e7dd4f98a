import type { Context, Environment } from '../../core/context.ts';
import type { Log } from '../../core/log.ts';
import { list, parseText, secret, text, type Values } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import { parseHeaderVariable, readHeaders } from './headers.ts';
import { checkAuthorities, checkClientPair, readAuthorities, readPem, type TlsSettings } from './tls.ts';

/** What every command that speaks HTTP takes for its requests. */
export const requestOptions = {
  'header-file': list({
    description: 'a file of header lines ("Name: value") to send',
    placeholder: 'PATH',
    parse: parseText,
  }),
  'header-env': list({
    description: 'a header to send whose value is in a variable',
    placeholder: 'HEADER=VARIABLE',
    parse: parseHeaderVariable,
  }),
  user: secret({
    description: 'a file with USER:PASSWORD to send (Basic authentication)',
  }),
  'netrc-file': text({
    description: 'a file of users and passwords by host, as curl reads .netrc, each sent to its host alone',
    placeholder: 'PATH',
  }),
  'ca-file': text({
    description: 'a PEM file of the authorities (CAs) to trust for https, instead of the usual ones',
    placeholder: 'PATH',
  }),
  'cert-file': text({ description: 'the certificate to show to https servers', placeholder: 'PATH' }),
  'key-file': text({ description: 'the key of --cert-file', placeholder: 'PATH' }),
  'tls-server-name': text({
    description: 'the name that the certificate must be for, where it is not the URL’s',
    placeholder: 'NAME',
  }),
};

type TlsValues = Pick<
  Values<typeof requestOptions>,
  'ca-file' | 'cert-file' | 'key-file' | 'tls-server-name'
>;

/**
 * Checks what requests are sent with, as far as it can be told without a file.
 * @returns the headers that come from variables
 * @throws UsageError
 */
export function checkRequests(
  options: Values<typeof requestOptions>,
  reserved: ReadonlySet<string>,
  around: Pick<Context, 'environment' | 'redactor'>,
): Record<string, string> {
  if (options['ca-file'] === undefined) checkAuthorities(around.environment);
  return readHeaders({ ...options, 'header-file': [], user: undefined }, reserved, around);
}

/** @throws UsageError where a certificate is given without its key, or a key without its certificate */
export function checkPair({
  'cert-file': certificate,
  'key-file': key,
}: Pick<TlsValues, 'cert-file' | 'key-file'>): void {
  if ((certificate === undefined) === (key === undefined)) return;
  throw new UsageError(
    certificate === undefined
      ? '--key-file needs --cert-file beside it'
      : '--cert-file needs --key-file beside it',
  );
}

/**
 * How https servers are verified.
 * @param verifies as readAuthorities takes it
 * @throws UsageError where a file cannot be read
 */
export function readTlsSettings(
  options: TlsValues,
  environment: Environment,
  verify = true,
  verifies = true,
): TlsSettings {
  const certificate = options['cert-file'];
  const key = options['key-file'];
  checkPair(options);
  const authorities = readAuthorities(options['ca-file'], '--ca-file', environment, verifies);
  const serverName = options['tls-server-name'];
  const pair = {
    ...(certificate === undefined ? {} : { certificate: readPem(certificate, '--cert-file') }),
    ...(key === undefined ? {} : { key: readPem(key, '--key-file') }),
  };
  checkClientPair(pair, { certificate: '--cert-file', key: '--key-file' });
  return {
    verify,
    ...(authorities === undefined ? {} : { authorities }),
    ...pair,
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** The options that say something about https alone. */
const onlyTls = ['ca-file', 'cert-file', 'key-file', 'tls-server-name', 'insecure'] as const;

/** Warns of options that have no effect, as their user believes that something is verified or shown. */
export function warnOfUnused(
  options: Readonly<Partial<Record<(typeof onlyTls)[number] | 'cross-origin', unknown>>> & {
    readonly redirects: number;
  },
  uses: { readonly https: boolean },
  log: Pick<Log, 'warn'>,
): void {
  if (options['cross-origin'] === true && options.redirects === 0)
    log.warn('--cross-origin has no effect without --redirects 1 or more');
  // A redirect may lead to https.
  if (uses.https || options.redirects > 0) return;
  for (const name of onlyTls)
    if (options[name] !== undefined && options[name] !== false)
      log.warn(`--${name} has no effect: nothing here is reached by https`);
}
