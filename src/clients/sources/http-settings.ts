import type { HttpSourceSettings } from '../http/source.ts';
import { readAuthorities, readPem, type TlsSettings } from '../http/tls.ts';
import type { Context } from '../../kernel/context.ts';
import { UsageError } from '../../kernel/outcome.ts';
import { readSecretFile } from '../../kernel/options/resolve.ts';
import { signingValues, type SourceAddress } from '../../kernel/source.ts';
import type { SourceOptions } from './options.ts';

/** RFC 9110's token, and what may stand in a header's value. */
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

/** Headers that are ours to set, or the connection's. */
const reserved: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'if-none-match',
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
    headers: readHeaders(options, context),
    identified: options['cert-file'] !== undefined,
    maxSize: options['max-size'],
    redirects: options.redirects,
    crossOrigin: options['cross-origin'],
    ...body,
  };
}

/** How servers of https sources are verified. @throws UsageError where a file cannot be read */
export function readTlsSettings(
  options: SourceOptions,
  { environment }: Pick<Context, 'environment'>,
): TlsSettings {
  const certificate = options['cert-file'];
  const key = options['key-file'];
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError(
      `${certificate === undefined ? '--key-file' : '--cert-file'} needs ${certificate === undefined ? '--cert-file' : '--key-file'} beside it`,
    );
  }
  const authorities = readAuthorities(options['ca-file'], '--ca-file', environment);
  const serverName = options['tls-server-name'];
  return {
    verify: true,
    ...(authorities === undefined ? {} : { authorities }),
    ...(certificate === undefined ? {} : { certificate: readPem(certificate, '--cert-file') }),
    ...(key === undefined ? {} : { key: readPem(key, '--key-file') }),
    ...(serverName === undefined ? {} : { serverName }),
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
export function checkOneOrigin(addresses: readonly SourceAddress[], http: HttpSourceSettings): void {
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

function readHeaders(
  options: SourceOptions,
  { environment, redactor }: Pick<Context, 'environment' | 'redactor'>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  const take = (name: string, value: string, origin: string): void => {
    if (reserved.has(name.toLowerCase()))
      throw new UsageError(`${origin}: the header ${name} is not for you to set`);
    redactor.secret(value);
    // `Bearer TOKEN`: the token alone is as secret.
    const word = value.split(' ').at(-1) ?? '';
    if (word.length >= 8) redactor.secret(word);
    headers[name] = value;
  };
  for (const path of options['header-file']) {
    const lines = readSecretFile({ text: path, origin: '--header-file' }).split(/\r?\n/);
    for (const [index, line] of lines.entries()) {
      if (line.trim() === '') continue;
      const [, name, value] = headerLine.exec(line) ?? [];
      if (name === undefined || value === undefined) {
        throw new UsageError(
          `--header-file: line ${index + 1} of ${path} is not a header; write Name: value`,
        );
      }
      take(name, value, `${path}:${index + 1}`);
    }
  }
  for (const { name, variable } of options['header-env']) {
    const value = environment[variable];
    if (!value)
      throw new UsageError(
        `--header-env: the variable ${variable} is ${value === undefined ? 'not set' : 'empty'}`,
      );
    if (!headerLine.test(`${name}: ${value}`)) {
      throw new UsageError(
        `--header-env: ${variable} holds what no header may hold, or ${name} is no header's name`,
      );
    }
    take(name, value, '--header-env');
  }
  return headers;
}
