import type { UrlSource } from '../../clients/postgres/connection-string.ts';
import { parseUrl } from '../../clients/postgres/parameters.ts';
import { Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/**
 * Takes a URL from a command line. It is read as a whole later on, with the PG* variables.
 * @param secret gets its password
 * @throws UsageError that says what is accepted, without any part of the user and password
 */
export function parseUrlArgument(text: string, secret: (value: string) => void): UrlSource {
  refuseUnexpanded('url', text, 'the URL');
  const password = parseUrl(text, 'the URL').parameters.get('password')?.text;
  if (password !== undefined) secret(password);
  return { url: new Secret(text), origin: 'the URL' };
}
