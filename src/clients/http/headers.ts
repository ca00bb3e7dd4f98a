import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { basic } from './netrc.ts';

/** RFC 9110's token, and what may stand in a header's value. */
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

/** Headers that say how the message itself is sent. */
export const connectionHeaders: readonly string[] = ['content-length', 'transfer-encoding', 'connection'];

/** Headers whose values give no access: masked in every line, they would hide what went wrong. */
const harmless: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'cache-control',
  'content-type',
  'host',
  'user-agent',
]);

/** False where a header's value may be a credential. */
export function isHarmless(name: string): boolean {
  return harmless.has(name.toLowerCase());
}

/** A header whose value is in a variable. */
export interface HeaderVariable {
  readonly name: string;
  readonly variable: string;
}

/**
 * Reads the headers to send, and registers the values of all but harmless ones as secrets.
 * @param reserved names, in small letters, that may not be set
 * @throws UsageError naming the file and line, or the variable; never a value
 */
export function readHeaders(
  given: {
    readonly 'header-file': readonly string[];
    readonly 'header-env': readonly HeaderVariable[];
    readonly user: Secret | undefined;
  },
  reserved: ReadonlySet<string>,
  { environment, redactor }: Pick<Context, 'environment' | 'redactor'>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  const take = (name: string, value: string, origin: string): void => {
    if (name.toLowerCase() === 'proxy-authorization') {
      throw new UsageError(
        `${origin}: the header ${name} would be sent to the server, not only to a proxy; write the proxy's user and password into HTTPS_PROXY or HTTP_PROXY`,
      );
    }
    if (reserved.has(name.toLowerCase()))
      throw new UsageError(`${origin}: the header ${name} is set by initbox itself`);
    if (name.toLowerCase() === 'host') refuseUnexpanded('word', value, origin);
    // `Bearer $(TOKEN)` is no more of a token than `$(TOKEN)` is.
    refuseUnexpanded('secret', value.replace(/^[\w-]+ +/, ''), origin);
    headers[name] = value;
    if (isHarmless(name)) return;
    redactor.secret(value);
    // `Bearer TOKEN`: the token alone is as secret.
    const word = value.split(' ').at(-1) ?? '';
    if (word.length >= 8) redactor.secret(word);
  };
  for (const path of given['header-file']) {
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
  for (const { name, variable } of given['header-env']) {
    const value = environment[variable];
    if (!value)
      throw new UsageError(
        `--header-env: the variable ${variable} is ${value === undefined ? 'not set' : 'empty'}`,
      );
    if (!headerLine.test(`${name}: ${value}`)) {
      throw new UsageError(
        `--header-env: ${variable} holds a character that no header can have, or ${name} is not a valid header name`,
      );
    }
    take(name, value, `--header-env: ${variable}`);
  }
  if (given.user === undefined) return headers;
  if (hasAuthorization(headers))
    throw new UsageError('--user-file cannot be combined with the header Authorization, which it sets');
  const [user, password] = userOf(given.user.reveal());
  refuseUnexpanded('secret', password, '--user-file');
  redactor.secret(password);
  take('Authorization', basic(user, password), '--user-file');
  return headers;
}

/** Whether one of the headers is Authorization. */
export function hasAuthorization(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
}

/** RFC 7617: a user has no colon in it, and no control character is in either. */
function userOf(text: string): readonly [user: string, password: string] {
  const colon = text.indexOf(':');
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (colon < 0 || /[\u0000-\u001f\u007f]/.test(text))
    throw new UsageError(
      '--user-file: the file must hold USER:PASSWORD on one line, as curl --user takes it',
    );
  return [text.slice(0, colon), text.slice(colon + 1)];
}

/** @throws Error that says what is accepted */
export function parseHeaderVariable(given: string): HeaderVariable {
  const [, name = '', variable = ''] = /^([^=:\s]+)=([A-Za-z_][A-Za-z0-9_]*)$/.exec(given) ?? [];
  // Not shown: it may be a header with its value.
  if (name === '')
    throw new Error(
      'write a header and the name of the variable with its value: Authorization=API_AUTHORIZATION',
    );
  return { name, variable };
}
