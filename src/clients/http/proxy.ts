import net, { isIP, type BlockList } from 'node:net';

import type { Context, Environment } from '../../core/context.ts';
import { withoutFinalDot } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseBlank, refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { cutUserinfo, percentDecoded } from '../../core/userinfo.ts';
import { hasDoubledScheme, isBareAuthority } from '../../core/web-url.ts';
import { proxyAuthorization } from './agents.ts';

/**
 * The proxy for a URL; undefined where it is reached directly.
 * @throws UsageError where the proxy is of a kind that initbox does not speak to
 */
export type FindProxy = (url: URL) => URL | undefined;

/**
 * Reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY (the small spellings win) with the meaning they have for Go programs
 * (https://pkg.go.dev/golang.org/x/net/http/httpproxy): NO_PROXY knows networks (10.0.0.0/8), which Node's own does not,
 * and loopback is never proxied.
 * @param secret gets the proxy's password
 * @throws Error naming the variable that is malformed
 */
export function proxyFromEnvironment(environment: Environment, secret: (value: string) => void): FindProxy {
  const originOf = (name: string): string => (environment[name.toLowerCase()] ? name.toLowerCase() : name);
  const origins = { 'http:': originOf('HTTP_PROXY'), 'https:': originOf('HTTPS_PROXY') };
  const of = (origin: string): URL | undefined => {
    const text = environment[origin];
    return text ? parseProxy(text, origin, secret) : undefined;
  };
  // Under CGI, HTTP_PROXY would be a client's header "Proxy" (https://httpoxy.org).
  const proxies = {
    'http:': environment['REQUEST_METHOD'] === undefined ? of(origins['http:']) : undefined,
    'https:': of(origins['https:']),
  };
  if (proxies['http:'] === undefined && proxies['https:'] === undefined) return () => undefined;
  const except = environment['no_proxy'] ? 'no_proxy' : 'NO_PROXY';
  refuseUnexpandedVariables({ [except]: 'word' }, environment);
  const direct = exceptions(environment[except] ?? '');
  return (url) => {
    const proxy = proxies[url.protocol as keyof typeof proxies];
    if (proxy === undefined || direct(url)) return undefined;
    // Where NO_PROXY covers all that is asked, nobody is concerned.
    if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')
      throw new UsageError(
        `${origins[url.protocol as keyof typeof proxies]} names a proxy by ${proxy.protocol}//; http:// and https:// are accepted. If ${url.hostname} is reached without a proxy, list it in NO_PROXY`,
      );
    return proxy;
  };
}

/**
 * As proxyFromEnvironment.
 * @param urls what will be asked
 * @throws UsageError also where one of these has a proxy of another kind
 */
export function readProxies(
  { environment, redactor }: Pick<Context, 'environment' | 'redactor'>,
  urls: Iterable<URL> = [],
): FindProxy {
  let find: FindProxy;
  try {
    find = proxyFromEnvironment(environment, (value) => void redactor.secret(value));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  for (const url of urls) find(url);
  return find;
}

const accepted = 'write for example http://proxy.internal:3128';

function parseProxy(text: string, origin: string, secret: (value: string) => void): URL {
  refuseBlank(text, origin);
  const scheme = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  // None of these is shown: it may hold a password.
  if (
    hasDoubledScheme(text) ||
    (scheme === undefined ? !isBareAuthority(text) : /^[/\\]/.test(text.slice(scheme.length)))
  )
    throw new Error(`${origin} has a mistake in its scheme; ${accepted}`);
  const whole = scheme === undefined ? `http://${text}` : text;
  refuseUnexpanded('url', whole, origin);
  let url: URL;
  try {
    url = new URL(whole);
  } catch {
    throw new Error(`${origin} is not a URL; ${accepted}`);
  }
  if (`${url.pathname}${url.search}${url.hash}`.includes('@')) throw new Error(`${origin} ${cutUserinfo}`);
  if (url.password !== '') {
    secret(url.password);
    secret(percentDecoded(url.password).toString());
  }
  const { 'Proxy-Authorization': header } = proxyAuthorization(url);
  // `Basic PAIR`: what a proxy may quote.
  if (header !== undefined) secret(header.slice(header.indexOf(' ') + 1));
  return url;
}

interface Exception {
  /** A name with a dot before it. */
  readonly suffix: string;
  /** The name itself is meant too, not only what lies below it. */
  readonly exact: boolean;
  readonly port: string | undefined;
}

function exceptions(list: string): (url: URL) => boolean {
  /** Networks by the port that they are meant with; '' for every port. */
  const networks = new Map<string, BlockList>();
  const names: Exception[] = [];
  let everything = false;
  // curl takes blanks between them as well.
  for (const entry of list.split(/[\s,]+/).map((part) => part.toLowerCase())) {
    if (entry === '') continue;
    if (entry === '*') everything = true;
    const { name, port } = splitPort(entry);
    const [network = '', bits] = name.split('/');
    const address = network.replace(/^\[|\]$/g, '');
    const family = isIP(address);
    if (family !== 0) {
      const longest = family === 6 ? 128 : 32;
      const prefix = bits === undefined ? longest : Number(bits);
      if (!Number.isInteger(prefix) || prefix < 0 || prefix > longest) continue;
      const those = networks.get(port ?? '') ?? new net.BlockList();
      networks.set(port ?? '', those);
      those.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
      continue;
    }
    const wild = withoutFinalDot(name.replace(/^\*(?=\.)/, ''));
    // `.example.com` is what lies below it, `example.com` is itself as well.
    names.push({ suffix: wild.startsWith('.') ? wild : `.${wild}`, exact: !wild.startsWith('.'), port });
  }
  return (url) => {
    const host = withoutFinalDot(url.hostname.replace(/^\[|\]$/g, '').toLowerCase());
    const family = isIP(host);
    if (everything || host === 'localhost') return true;
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    if (family !== 0) {
      const type = family === 6 ? 'ipv6' : 'ipv4';
      return isLoopback(host) || ['', port].some((key) => networks.get(key)?.check(host, type) === true);
    }
    return names.some(
      (entry) =>
        (entry.port === undefined || entry.port === port) &&
        (host.endsWith(entry.suffix) || (entry.exact && host === entry.suffix.slice(1))),
    );
  };
}

/** `10.0.0.1:8080`, `[fd00::1]:8080`, `api:8080`; `fd00::1` and `fd00::/8` have no port. */
function splitPort(entry: string): { readonly name: string; readonly port: string | undefined } {
  const [, name, port] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  return name === undefined ? { name: entry, port: undefined } : { name, port };
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
