import { registerQuery, signingValues } from '../../config/source.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { basicAuthorization, takeUserinfo } from '../../core/userinfo.ts';

/** Where a request goes. */
export interface HttpTarget {
  /** Safe to print: without user, password, and what signs a URL. */
  readonly name: string;
  readonly url: URL;
  readonly socketPath?: string;
  /** HTTP/2 without TLS. */
  readonly h2c?: boolean;
  /** The Authorization header that the URL's user and password make. */
  readonly authorization?: string;
}

const accepted =
  'write http://HOST:PORT/PATH, https://…, h2c://… for HTTP/2 without TLS, or unix:/SOCKET:/PATH';

/**
 * Reads a URL, also one of `h2c://`, or `unix:/run/app.sock:/healthz`.
 * @param secret gets whatever must never be printed
 * @param wanted how such a target is written, for people
 * @throws Error that says what is accepted
 */
export function parseTarget(
  text: string,
  secret: (value: string, sure?: boolean) => void,
  wanted = accepted,
): HttpTarget {
  if (text === '') throw new Error(`the URL is empty; ${accepted}`);
  if (!text.startsWith('unix:')) refuseUnexpanded('url', text, 'the URL');
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (/[\s\\\u0000-\u001f\u007f]/.test(text))
    throw new Error('the URL has a space, a backslash or a control character in it; encode it, as %20');
  if (text.startsWith('unix:')) return parseUnix(text, secret);
  const [, scheme = '', rest = ''] = /^(https?|h2c):\/\/(.*)$/i.exec(text) ?? [];
  if (scheme === '') throw new Error(wrongScheme(text));
  const { userinfo, bare } = takeUserinfo(rest, 'the URL', secret);
  if (bare.includes('#'))
    throw new Error('the URL has a # in it, and what follows one is never sent; write %23');
  const h2c = scheme.toLowerCase() === 'h2c';
  const whole = `${h2c ? 'http' : scheme}://${bare}`;
  if (/^[/?]|^$/.test(bare)) throw new Error(`the URL has no host; ${wanted}`);
  if (!URL.canParse(whole)) throw new Error(`the URL cannot be read; look at its host and port; ${wanted}`);
  const url = new URL(whole);
  if (url.port === '0') throw new Error('nothing can listen at port 0');
  return {
    name: `${h2c ? `h2c://${url.host}` : url.origin}${url.pathname}${shownQuery(url, secret)}`,
    url,
    ...(h2c ? { h2c } : {}),
    ...(userinfo === undefined ? {} : { authorization: basicAuthorization(userinfo) }),
  };
}

function wrongScheme(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme !== undefined) return `${scheme}:// is not supported here; ${accepted}`;
  // Not shown where it may hold a password.
  if (text.includes('@') || text.startsWith('-')) return `that is not a URL; ${accepted}`;
  const [, written, rest = ''] = /^(?:(https?|h2c):)?\/*(.*)$/is.exec(text) ?? [];
  // `user:PASSWORD%40host` is not shown, either.
  if (!/^(?:[\w.-]+|\[[\da-f:.]*\])(?::\d*)?(?:\/[\w./-]*)?$/i.test(rest))
    return `the URL does not begin with http://; ${accepted}`;
  if (written !== undefined) return `${quoted(text)} has no // after ${written}:; write ${written}://${rest}`;
  return `${quoted(text)} has no scheme; write http://${rest}`;
}

function parseUnix(text: string, secret: (value: string, sure?: boolean) => void): HttpTarget {
  const [, path = '', rest = '/'] = /^unix:(?:\/\/(?=\/))?(\/[^:]*)(?::(\/.*))?$/.exec(text) ?? [];
  if (path !== '') refuseUnexpanded('path', path, quoted(text));
  refuseUnexpanded('name', rest, 'the path');
  if (path === '')
    throw new Error(`the unix: URL is not a socket and a path; write unix:/run/app.sock:/healthz`);
  // sun_path of unix(7) has 108 bytes, the last one a NUL.
  if (Buffer.byteLength(path) > 107)
    throw new Error(`the socket path ${quoted(path)} is longer than the 107 bytes that Linux takes`);
  if (rest.includes('#'))
    throw new Error('the path has a # in it, and what follows one is never sent; write %23');
  const url = new URL(`http://localhost${rest}`);
  return { name: `unix:${path}:${url.pathname}${shownQuery(url, secret)}`, url, socketPath: path };
}

function shownQuery(url: URL, secret: (value: string, sure?: boolean) => void): string {
  registerQuery(url.href, secret);
  return url.search !== '' && signingValues(url.search).length > 0 ? '?…' : url.search;
}
