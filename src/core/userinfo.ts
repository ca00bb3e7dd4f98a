/** What is told of a secret: the redactor. */
export interface Hides {
  secret(value: string): unknown;
}

/** Words whose `a:b@c` has a meaning of its own, without a password in it. */
const harmlessWord =
  /^(?:vault|aws-sm|aws-ssm|gcp-sm|azure-kv|kubernetes|s3|gs|azure-blob|file|env|unix|mailto|npm):(?!\/\/)|^[./]|@sha\d+:/i;

/** What is wrong with an address whose user or password holds a character that ends them. */
export const cutUserinfo = 'has a /, ? or # in its user or password; write them as %2F, %3F and %23';

/** Hosts and ports with nothing in front of them that may be the beginning of a user and password. */
const onlyHosts = /^(?:(?:\[[^\]\s]*\]|[^:@[\]\s,]+)(?::\d*)?(?:,|$))+$/;

/**
 * Whether a user or password seems to be cut short by a raw `/`, `?` or `#`: what then looks like the host, the path and
 * the parameters are parts of a password, and must not be shown.
 * @param rest of an address, behind its `//`
 * @param isWeb its path may have an `@`, and so may all of its query
 */
export function isCutUserinfo(rest: string, isWeb: boolean): boolean {
  const [, authority = '', path = '', query = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? [];
  if (!`${path}${query}`.includes('@')) return false;
  if (!onlyHosts.test(authority.slice(authority.lastIndexOf('@') + 1))) return true;
  if (isWeb) return false;
  // An `@` may stand in a parameter's value.
  return path.includes('@') || (query.includes('@') && !/^[?#][\w.-]+=/.test(query));
}

/** What an address ends with behind its userinfo: a host, a port, a path. */
const hostAndRest = String.raw`@(?:\[[^\]\s]*\]|[\w.-]+)(?::\d*)?(?:[/?#]\S*)?$`;
const behindSlashes = new RegExp(String.raw`^[^\s@:/?#]*:(?!\d+[/?#])(\S*)${hostAndRest}`);
const bare = new RegExp(String.raw`^[^\s@:]*:(?!\d+[/?#])(\S*)${hostAndRest}`);

/**
 * The password in a text that is one address, also where its scheme is mistyped or missing (`http//user:pw@host`,
 * `user:pw@host`): what stands between the first colon and the last `@` before a host.
 */
export function passwordIn(text: string): string | undefined {
  if (!text.includes('@') || harmlessWord.test(text)) return undefined;
  const [scheme] = /^(?:[a-z][a-z0-9+.:-]*:)?\/\//i.exec(text) ?? [];
  const found = scheme === undefined ? bare.exec(text) : behindSlashes.exec(text.slice(scheme.length));
  return found?.[1] || undefined;
}

/** `://USER:PASSWORD@` anywhere in a text. */
const inUrls = /:\/\/[^:@/?#\s]*:([^\s/]+)@/g;

/** Registers the passwords of the URLs in a text, wherever somebody may have put one by mistake. */
export function hidePasswords(text: string, redactor: Hides): void {
  // Most words of a command line: no pattern need be compiled for them, at every start.
  if (!text.includes('@')) return;
  for (const [, password = ''] of text.matchAll(inUrls)) redactor.secret(password);
  const password = passwordIn(text);
  if (password === undefined) return;
  redactor.secret(password);
  // `http:user:pw@host`, `http:/user:pw@host`
  const behind = password.slice(password.indexOf(':') + 1);
  if (behind !== '' && behind !== password) redactor.secret(behind);
}

/**
 * A token in place of a user and password that has a raw `/` in it: what then looks like the host is one label with a capital
 * or a `_`, which no host of a URL is written with, and what stands behind an `@` later begins like a host. A path may have an
 * `@` (`//host/@scope/pkg`, `//host/a@b`), so that a token in small letters and digits alone is not told from a host.
 */
const tokenBefore = /^((?=[^/]*[A-Z_])[\w-]+\/[^?#]*)@[A-Za-z0-9[]/;

/** Characters of a user without a password from which on it is taken for a token. */
const shortestToken = 16;

/**
 * Takes the user and password off what follows the `//` of a URL: they end at the last `@` before the path.
 * @throws Error where they have a raw `/`, `?`, `#`, blank, backslash or control character
 */
export function takeUserinfo(
  rest: string,
  where: string,
  secret: (value: string, sure?: boolean) => void,
): { readonly bare: string; readonly userinfo?: string } {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const at = authority.lastIndexOf('@');
  if (at < 0) {
    // What looks like a host is the beginning of a password; `host:80/users/@me` is a host, its port and a path.
    const stray = behindSlashes.exec(rest)?.[1] ?? tokenBefore.exec(rest)?.[1];
    if (stray === undefined) return { bare: rest };
    secret(stray);
    throw new Error(`${where} ${cutUserinfo}`);
  }
  const userinfo = authority.slice(0, at);
  const password = userinfo.includes(':') ? userinfo.slice(userinfo.indexOf(':') + 1) : userinfo;
  // A name without a password is none, unless it is as long as a token.
  const sure = userinfo.includes(':') || userinfo.length >= shortestToken;
  if (password !== '') secret(password, sure);
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (/[\s\\\u0000-\u001f\u007f]/.test(userinfo))
    throw new Error(
      `${where} has a blank, a backslash or a control character in its user or password; encode it, a blank as %20`,
    );
  if (password !== '') secret(percentDecoded(password).toString(), sure);
  return { userinfo, bare: rest.slice(at + 1) };
}

/** The bytes of a user or password in a URL. A `%` that begins no escape is itself, as curl has it: `p%ss`. */
export function percentDecoded(text: string): Buffer {
  const bytes = Buffer.from(text).toString('latin1');
  const decoded = bytes.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(decoded, 'latin1');
}

/** The Authorization header that the user and password of a URL make (RFC 7617). */
export function basicAuthorization(userinfo: string): string {
  return `Basic ${percentDecoded(userinfo.includes(':') ? userinfo : `${userinfo}:`).toString('base64')}`;
}
