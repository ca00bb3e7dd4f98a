import { BlockList, isIP } from 'node:net';

import type { Context, Environment } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { hasDoubledScheme, isBareAuthority } from '../../core/web-url.ts';
import { proxyAuthorization } from './agents.ts';

/** The proxy for a URL; undefined where it is reached directly. */
export type FindProxy = (url: URL) => URL | undefined;

/**
 * Reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY (the small spellings win) with the meaning they have for Go programs
 * (https://pkg.go.dev/golang.org/x/net/http/httpproxy): NO_PROXY knows networks (10.0.0.0/8), which Node's own does not,
 * and loopback is never proxied.
 * @param secret gets the proxy's password
 * @throws Error naming the variable that is malformed
 */
export function proxyFromEnvironment(environment: Environment, secret: (value: string) => void): FindProxy {
  const of = (name: string): URL | undefined => {
    const origin = environment[name.toLowerCase()] ? name.toLowerCase() : name;
    const text = environment[origin];
    return text ? parseProxy(text, origin, secret) : undefined;
  };
  // Under CGI, HTTP_PROXY would be a client's header "Proxy" (https://httpoxy.org).
  const proxies = {
    'http:': environment['REQUEST_METHOD'] === undefined ? of('HTTP_PROXY') : undefined,
    'https:': of('HTTPS_PROXY'),
  };
  if (proxies['http:'] === undefined && proxies['https:'] === undefined) return () => undefined;
  const except = environment['no_proxy'] ? 'no_proxy' : 'NO_PROXY';
  refuseUnexpanded('word', environment[except] ?? '', except);
  const direct = exceptions(environment[except] ?? '');
  return (url) => {
    const proxy = proxies[url.protocol as keyof typeof proxies];
    return proxy === undefined || direct(url) ? undefined : proxy;
  };
}

/** As proxyFromEnvironment. @throws UsageError */
export function readProxies({ environment, redactor }: Pick<Context, 'environment' | 'redactor'>): FindProxy {
  try {
    return proxyFromEnvironment(environment, (value) => void redactor.secret(value));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const accepted = 'write for example http://proxy.internal:3128';

function parseProxy(text: string, origin: string, secret: (value: string) => void): URL {
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
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new Error(`${origin} names a proxy by ${url.protocol}//; http:// and https:// are accepted`);
  }
  if (`${url.pathname}${url.search}${url.hash}`.includes('@'))
    throw new Error(
      `${origin} has an @ behind its host; encode a /, ? or # in its user or password as %2F, %3F, %23`,
    );
  if (url.password !== '') secret(url.password);
  try {
    if (url.password !== '') secret(decodeURIComponent(url.password));
    const { 'Proxy-Authorization': header } = proxyAuthorization(url);
    // `Basic PAIR`: what a proxy may quote.
    if (header !== undefined) secret(header.slice(header.indexOf(' ') + 1));
  } catch {
    throw new Error(`${origin} has a % in its user or password that is not an escape; write %25 for it`);
  }
  return url;
}

function exceptions(list: string): (url: URL) => boolean {
  const networks = new BlockList();
  const names: { readonly suffix: string; readonly exact: boolean; readonly port: string | undefined }[] = [];
  let everything = false;
  for (const entry of list.split(',').map((part) => part.trim().toLowerCase())) {
    if (entry === '') continue;
    if (entry === '*') everything = true;
    const [network = '', bits] = entry.split('/');
    const family = isIP(network.replace(/^\[|\]$/g, ''));
    if (family !== 0) {
      const address = network.replace(/^\[|\]$/g, '');
      const longest = family === 6 ? 128 : 32;
      const prefix = bits === undefined ? longest : Number(bits);
      if (Number.isInteger(prefix) && prefix >= 0 && prefix <= longest) {
        networks.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
      }
      continue;
    }
    const [, name = '', port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    const wild = name.replace(/^\*(?=\.)/, '');
    // `.example.com` is what lies below it, `example.com` is itself as well.
    names.push({ suffix: wild.startsWith('.') ? wild : `.${wild}`, exact: !wild.startsWith('.'), port });
  }
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
    const family = isIP(host);
    if (everything || host === 'localhost') return true;
    if (family !== 0) return isLoopback(host) || networks.check(host, family === 6 ? 'ipv6' : 'ipv4');
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return names.some(
      (entry) =>
        (entry.port === undefined || entry.port === port) &&
        (host.endsWith(entry.suffix) || (entry.exact && host === entry.suffix.slice(1))),
    );
  };
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
