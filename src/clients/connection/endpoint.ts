import { isIPv4 } from 'node:net';

import { portIn, quotedHostPort, shownHostPort, splitHostPort } from '../../core/host-port.ts';
import { quoted, quotedValue } from '../../core/misplaced-secret.ts';
import { serviceLinkIn } from '../../core/service-link.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { asciiName } from '../dns/ascii-name.ts';
import { isIP } from '../dns/ip-address.ts';

/** Where something may listen. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Ports by URL scheme: IANA's registry, and what the servers' own documentation names. */
const knownPorts: Readonly<Record<string, number>> = {
  amqp: 5672,
  amqps: 5671,
  clickhouse: 9000,
  ftp: 21,
  grpc: 443,
  http: 80,
  https: 443,
  imap: 143,
  imaps: 993,
  kafka: 9092,
  ldap: 389,
  ldaps: 636,
  mariadb: 3306,
  memcached: 11211,
  mongodb: 27017,
  mqtt: 1883,
  mqtts: 8883,
  mssql: 1433,
  mysql: 3306,
  mysql2: 3306,
  mysqlx: 33060,
  nats: 4222,
  postgres: 5432,
  postgresql: 5432,
  pulsar: 6650,
  redis: 6379,
  rediss: 6379,
  sftp: 22,
  smtp: 25,
  smtps: 465,
  sqlserver: 1433,
  ssh: 22,
  ws: 80,
  wss: 443,
};

const accepted = 'write host:port, [IPv6]:port, a URL, or unix:/path';

/**
 * Reads a target: `host:port`, `[IPv6]:port`, `unix:/path`, or a URL of which only host and port count.
 * @param secret gets whatever must never be printed
 * @param examplePort the port that a message proposes where none is written
 * @throws Error that says what is accepted
 */
export function parseEndpoint(text: string, secret: (value: string) => void, examplePort = 5432): Endpoint {
  if (text === '') throw new Error(`the target is empty; ${accepted}`);
  if (text.startsWith('unix:')) {
    refuseUnexpanded('path', text.replace(/^unix:(\/\/(?=\/))?/, ''), quoted(text));
    return parseUnix(text);
  }
  const url = text.includes('://') ? /^(jdbc:)?([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) : null;
  if (url) return parseUrl(url[2] ?? '', url[3] ?? '', url[1] === undefined, secret);
  if (text.startsWith('-')) throw new Error(`${quotedHostPort(text) || 'that '}is not a target; ${accepted}`);
  const link = serviceLinkIn(text.slice(text.indexOf(':') + 1));
  if (link !== undefined) throw new Error(`the port in the target is not a number: ${link}`);
  const at = text.lastIndexOf('@');
  if (at >= 0) {
    registerUserinfo(text.slice(0, at), secret);
    // As ssh has it. With a password it is a connection string, of which host and port count.
    if (!text.slice(0, at).includes(':') && isHostPortAlone(text.slice(at + 1)))
      throw new Error(`the target has a user before the @; write ${text.slice(at + 1)}`);
  }
  // Connection strings that are no URLs have passwords too: shown is only what looks like host:port.
  const where = quotedHostPort(text).trim() || 'the target';
  const written = text.slice(at + 1);
  refuseUnexpanded('url', `//${text}`, where);
  refuseUnexpanded('word', written, where);
  return parseHostPort(written, undefined, where, examplePort);
}

function isHostPortAlone(text: string): boolean {
  return /^(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?$/i.test(text);
}

function parseUnix(text: string): Endpoint {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (!path.startsWith('/'))
    throw new Error('the unix: target names no absolute path; write unix:/run/app.sock');
  // sun_path of unix(7) has 108 bytes, the last one a NUL.
  if (Buffer.byteLength(path) > 107)
    throw new Error(`the socket path ${quoted(path)} is longer than the 107 bytes that Linux takes`);
  return { kind: 'unix', path };
}

/** Own, not `new URL`: a password with a `#`, a `/` or a `%` must neither fail nor end up in a message. */
function parseUrl(
  scheme: string,
  rest: string,
  isLibpqs: boolean,
  secret: (value: string) => void,
): Endpoint {
  const name = scheme.toLowerCase();
  const where = `the ${name} URL`;
  const at = endOfUserinfo(rest);
  refuseUnexpandedUrl(name, rest, at, where);
  if (at >= 0) registerUserinfo(rest.slice(0, at), secret);
  if (at >= 0 && isHostPort(rest))
    throw new Error(
      `${where} has an @ behind a /, ? or #; write %2F, %3F or %23 for one in a password, %40 for an @ after the host, or give host:port alone`,
    );
  const written = rest.slice(at + 1).replace(/[/?#;].*$/s, '');
  // What is written counts: of what was percent-encoded, each character is meant.
  refuseUnexpanded('word', written, where);
  const replaced =
    isLibpqs && /^postgres(ql)?(\+|$)/.test(name)
      ? inLibpqsQuery(rest.slice(at + 1), written, where)
      : undefined;
  if (replaced?.startsWith('/')) return parseUnix(`unix:${replaced}`);
  const authority = replaced ?? written;
  if (name.endsWith('+srv'))
    throw new Error(
      `${where} names its hosts by SRV records; give a host:port, or the URL to initbox wait, which asks for them`,
    );
  if (authority === '') throw new Error(`${where} has no host; ${accepted}`);
  if (authority.includes(',')) throw severalHosts(where);
  const known = knownPorts[name.split('+')[0] ?? name];
  return parseHostPort(authority, known, where, known);
}

/**
 * Refuses a reference in any part of a URL: where one was not replaced, what counts here was hardly meant either.
 * @param at where the user and password end; none where it is -1
 */
function refuseUnexpandedUrl(scheme: string, rest: string, at: number, where: string): void {
  // After `;` come the properties of JDBC, a password maybe among them.
  const properties = /^[^/?#;]*(;.*)$/s.exec(rest.slice(at + 1))?.[1] ?? '';
  const address = rest.slice(0, rest.length - properties.length);
  refuseUnexpanded('url', `${scheme}://${address}`, where);
  // A raw `/` in a password hides what comes after it.
  refuseUnexpanded('url', `${scheme}://${address.slice(at + 1)}`, where);
  for (const property of properties.split(';')) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(property) ?? [];
    refuseUnexpanded(/password|secret/i.test(name) ? 'secret' : 'name', value, where);
  }
}

/**
 * Where libpq goes for a URL whose query names a host, hostaddr or port: they replace what stands before them, the last
 * of each name counts (https://www.postgresql.org/docs/current/libpq-connect.html).
 * @returns `host:port`, the socket's path, or undefined where neither the query nor a socket's folder asks for it
 */
function inLibpqsQuery(rest: string, authority: string, where: string): string | undefined {
  const given = new Map<string, string>();
  for (const pair of rest.replace(/^[^?]*\??/s, '').split('&')) {
    const [name = '', value = ''] = pair.split('=');
    if (!/^(host|hostaddr|port)$/.test(name)) continue;
    refuseUnexpanded(value.startsWith('/') ? 'path' : 'word', value, where);
    given.set(name, decoded(value, where));
  }
  const isFolder = /^%2f/i.test(authority);
  if (given.size === 0 && !isFolder && !/:\+\d+$/.test(authority)) return undefined;
  const several = authority.includes(',');
  const {
    literal,
    host: before,
    port = '',
  } = several
    ? { literal: undefined, host: authority }
    : (splitHostPort(authority) ?? { literal: undefined, host: '' });
  const name = given.get('host') ?? literal ?? decoded(before, where);
  const address = given.get('hostaddr') ?? '';
  if (name.includes(',') || address.includes(',')) throw severalHosts(where);
  const to = (given.get('port') ?? port).replace(/^\+(?=\d)/, '') || '5432';
  if (to.includes(',') || (several && given.get('port') === undefined && authority.includes(':')))
    throw new Error(`${where} gives several ports for one host; give one`);
  if (address !== '') {
    refuseUnexpanded('word', address, where);
    if (!isIP(address))
      throw new Error(`hostaddr ${quotedHostPort(address)}in ${where} is not an IP address`);
    if (name.startsWith('/'))
      throw new Error(
        `the host in ${where} is the folder of a Unix socket, and hostaddr is an address; give one of them`,
      );
  }
  // An address is where the connection goes, and the name then is what its certificate is checked for.
  const host = address || name;
  if (host.startsWith('/')) {
    refuseUnexpanded('word', to, where);
    return `${host}/.s.PGSQL.${parsePort(to, where)}`;
  }
  return shownHostPort(host, to);
}

function severalHosts(where: string): Error {
  return new Error(
    `${where} names several hosts; give each as a target of its own, with --any if one is enough`,
  );
}

function decoded(text: string, where: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`${where} has a % that begins no percent-encoding; write a % as %25`);
  }
}

/** The last `@` before the path; where a raw `/`, `?` or `#` stands in the password, the last one before the host. */
function endOfUserinfo(rest: string): number {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const inside = authority.lastIndexOf('@');
  if (inside >= 0) return inside;
  const later = /^[^@]*:[^@]*@(?=(\[[0-9a-f:.%]+\]|[\w.-]+)(:\d+)?([/?#]|$))/i.exec(rest);
  return later ? later[0].length - 1 : -1;
}

/** True where the first `/`, `?` or `#` ends a host, or a host and its port, by the rules of URLs. */
function isHostPort(rest: string): boolean {
  return /^(\[[^\]]*\]|[^@:/?#]*)(:\d*)?[/?#]/.test(rest);
}

function registerUserinfo(userinfo: string, secret: (value: string) => void): void {
  const password = userinfo.includes(':') ? userinfo.slice(userinfo.indexOf(':') + 1) : '';
  if (password === '') return;
  secret(password);
  try {
    secret(decodeURIComponent(password));
  } catch {
    // Not percent-encoded: the raw form is all there is.
  }
}

/** @param where names it in messages: itself in quotes, or words where it may hold a password */
function parseHostPort(
  text: string,
  knownPort: number | undefined,
  where: string,
  examplePort = 5432,
): Endpoint {
  const address = text.replace(/:[^:]*$/, '');
  if (isIP(text) === 6 || isIP(address) === 6) {
    const shown = isIP(text) === 6 || /:\d*$/.test(text) ? quoted(text) : where;
    throw new Error(
      `${shown} is an IPv6 address without brackets; write ${bracketed(text, address, examplePort)}`,
    );
  }
  const parts = splitHostPort(text);
  if (!parts) throw new Error(`${where} is not host:port; ${accepted}`);
  const { literal, host, port: portText } = parts;
  if (literal !== undefined && isIP(literal) !== 6)
    throw new Error(`what stands in brackets in ${where} is not an IPv6 address; ${accepted}`);
  if (literal === undefined) checkHost(host, where);
  if (portText === undefined && knownPort === undefined) {
    throw new Error(
      `${where} has no port; write ${literal === undefined ? host || 'word' : `[${literal}]`}:${examplePort}, say`,
    );
  }
  const port = portText === undefined ? (knownPort ?? 0) : parsePort(portText, where);
  return { kind: 'tcp', host: literal ?? asciiName(host), port };
}

function bracketed(text: string, address: string, examplePort: number): string {
  const port = text.slice(address.length + 1);
  // `::1:5432` is an address as a whole as well; four or five digits at its end are most likely a port.
  if (isIP(address) && /^\d{4,5}$/.test(port)) return `[${address}]:${port}`;
  return `[${isIP(text) === 6 ? text : address}]:${examplePort}, say`;
}

function parsePort(text: string, where: string): number {
  const port = portIn(text);
  if (port === undefined) {
    const shown = where.startsWith('"') || /^-?\d+$/.test(text) || text === '' ? ` ${quoted(text)}` : '';
    throw new Error(`the port${shown} in ${where} is not a whole number from 1 to 65535`);
  }
  return port;
}

/** Characters of a name of DNS without the last dot (RFC 1035, 2.3.4). */
const longestName = 253;

function checkHost(host: string, where: string): void {
  if (host === '') throw new Error(`${where} has no host; ${accepted}`);
  const ascii = asciiName(host);
  if (!/^[\w.-]+$/.test(ascii)) throw new Error(`${where} is not host:port; ${accepted}`);
  if (/^[\d.]+$/.test(host) && !isIPv4(host)) throw new Error(`${host} in ${where} is not an IPv4 address`);
  if (
    ascii.length > longestName + 1 ||
    ascii
      .replace(/\.$/, '')
      .split('.')
      .some((label) => label === '' || label.length > 63)
  ) {
    throw new Error(
      `${quotedValue(host, longestName)} in ${where} is not a host name: labels have 1 to 63 characters, a name at most ${longestName}`,
    );
  }
}

/** A target as people write it. */
export function endpointName(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  return shownHostPort(endpoint.host, endpoint.port);
}
