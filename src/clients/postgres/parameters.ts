import type { Environment } from '../../core/context.ts';
import { quotedHostPort } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { cutUserinfo } from '../../core/userinfo.ts';

/** One connection parameter by its libpq name, and where it was said. */
export interface Parameter {
  readonly text: string;
  /** As it stands in a URL, percent-encoded. */
  readonly raw?: string;
  readonly origin: string;
}

export type Parameters = ReadonlyMap<string, Parameter>;

/** libpq's environment variables (https://www.postgresql.org/docs/current/libpq-envars.html). */
const variables: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGPASSFILE: 'passfile',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGAPPNAME: 'application_name',
  PGOPTIONS: 'options',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGCHANNELBINDING: 'channel_binding',
  PGGSSENCMODE: 'gssencmode',
  PGREQUIREAUTH: 'require_auth',
  PGREQUIRESSL: 'requiressl',
  PGSERVICE: 'service',
  PGSSLCRL: 'sslcrl',
  PGSSLCRLDIR: 'sslcrldir',
  PGREQUIREPEER: 'requirepeer',
  PGSSLMINPROTOCOLVERSION: 'ssl_min_protocol_version',
  PGSSLMAXPROTOCOLVERSION: 'ssl_max_protocol_version',
  PGSSLCERTMODE: 'sslcertmode',
  PGSSLSNI: 'sslsni',
  PGMINPROTOCOLVERSION: 'min_protocol_version',
  PGMAXPROTOCOLVERSION: 'max_protocol_version',
};

/**
 * libpq's variables for settings of the session, which it sends at login (EnvironmentOptions in fe-connect.c). Nothing in
 * a URL stands for them.
 */
const settingVariables: Readonly<Record<string, string>> = {
  PGDATESTYLE: 'datestyle',
  PGTZ: 'timezone',
  PGGEQO: 'geqo',
};

/** As libpq sends them: an empty one too, and none that is `default`. */
export function settingsFromEnvironment(environment: Environment): Parameters {
  const found = new Map<string, Parameter>();
  for (const [variable, name] of Object.entries(settingVariables)) {
    const text = environment[variable];
    if (text !== undefined && text.toLowerCase() !== 'default') found.set(name, { text, origin: variable });
  }
  return found;
}

/**
 * libpq's parameters that we do not have, each with the values that ask for nothing. Any other value is refused: most of
 * them make a connection safer, and whoever sets one relies on it.
 */
export const missing: Readonly<Record<string, readonly string[]>> = {
  gssencmode: ['disable', 'prefer'],
  // Version 3.0 is what we speak.
  min_protocol_version: ['3.0'],
  max_protocol_version: ['3.0', '3.2', 'latest'],
  oauth_client_id: [],
  oauth_client_secret: [],
  oauth_issuer: [],
  oauth_scope: [],
  replication: ['false', 'off', 'no', '0'],
  require_auth: [],
  requirepeer: [],
  scram_client_key: [],
  scram_server_key: [],
  servicefile: [],
  ssl_max_protocol_version: [],
  ssl_min_protocol_version: [],
  sslcertmode: ['allow'],
  sslcrl: [],
  sslcrldir: [],
  sslkeylogfile: [],
  sslpassword: [],
  sslsni: ['1'],
};

/** Parameters that are obeyed or refused. */
const known: ReadonlySet<string> = new Set([...Object.values(variables), ...Object.keys(missing)]);

const wholeNumber = /^\s*[+-]?\d+\s*$/;

/**
 * libpq's parameters that change nothing here, or nothing that a lock or a check depends on, each with the values that
 * libpq takes.
 */
const harmless: Readonly<Record<string, RegExp>> = {
  client_encoding: /^/,
  fallback_application_name: /^/,
  keepalives: wholeNumber,
  keepalives_idle: wholeNumber,
  keepalives_interval: wholeNumber,
  keepalives_count: wholeNumber,
  tcp_user_timeout: wholeNumber,
  krbsrvname: /^/,
  gsslib: /^/,
  gssdelegation: /^/,
  sslcompression: /^/,
  load_balance_hosts: /^(disable|random)$/,
};

/** Parameters of which an empty variable is not a value: libpq refuses it there, and takes it for unset elsewhere. */
const neverEmpty: ReadonlySet<string> = new Set([
  'sslmode',
  'sslnegotiation',
  'target_session_attrs',
  'channel_binding',
  'connect_timeout',
  'gssencmode',
  'sslcertmode',
  'min_protocol_version',
  'max_protocol_version',
  'service',
]);

/** What the PG* variables say. An empty one counts as unset where it does in libpq. */
export function parametersFromEnvironment(environment: Environment): Parameters {
  const found = new Map<string, Parameter>();
  for (const [variable, name] of Object.entries(variables)) {
    const text = environment[variable];
    if (text !== undefined && (text !== '' || neverEmpty.has(name)))
      found.set(name, { text, origin: variable });
  }
  const required = found.get('requiressl');
  found.delete('requiressl');
  if (required && isRequired(required.text, required.origin) && !found.has('sslmode'))
    found.set('sslmode', { text: 'require', origin: required.origin });
  return found;
}

export interface ParsedUrl {
  /** Those of the query, too, which come after the others and replace them, as in libpq. */
  readonly parameters: Parameters;
  /** Parameters of other programs, which have no effect here. */
  readonly ignored: readonly string[];
}

const accepted = 'write postgres://USER:PASSWORD@HOST:PORT/DATABASE';

/**
 * Reads a connection URL as libpq does (https://www.postgresql.org/docs/current/libpq-connect.html), but strictly:
 * what libpq would take for something else is an error. No message holds any part of the userinfo.
 * @throws UsageError naming the origin and what is accepted
 */
export function parseUrl(text: string, origin: string): ParsedUrl {
  const fail = (what: string): never => {
    throw new UsageError(`${origin} ${what}`);
  };
  if (text === '') fail(`is empty; ${accepted}`);
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    fail(
      /[\r\n]/.test(text)
        ? `holds a line break; ${accepted}, in one line`
        : `holds a control character; ${accepted}`,
    );
  }
  if (/^\s|\s$/.test(text)) fail('begins or ends with a space');
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.:-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (scheme === undefined) fail(notAUrl(text));
  if (scheme !== 'postgres' && scheme !== 'postgresql') fail(wrongScheme(scheme ?? ''));

  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const at = authority.indexOf('@');
  // An @ may stand in a parameter's value, where what comes before is plainly hosts and ports.
  if (at < 0 && rest.includes('@') && !/^[^:?#@]*(:\d*)?(,[^:?#@]*(:\d*)?)*\?\w+=/.test(rest)) {
    fail(cutUserinfo);
  }
  if (at !== authority.lastIndexOf('@'))
    fail('has more than one @ before its path; write one in a password as %40');
  if (/\s/.test(text)) fail('has a space; write one in a password or a name as %20');
  if (/#/.test(rest)) fail('has a #; write one in a password or a name as %23');
  const parameters = new Map<string, Parameter>();
  const put = (name: string, raw: string, what: string): void => {
    parameters.set(name, { text: decode(raw, what, origin), raw, origin: `${what} in ${origin}` });
  };
  const hosts = parseHosts(authority.slice(at + 1), origin);
  if (hosts.length > 0) {
    // A list as in the parameters, where ports stand beside the hosts even if all of them are left out.
    const names = hosts.map(({ host }) => host).join(',');
    const ports = hosts.map(({ port }) => port).join(',');
    const raw = authority.slice(at + 1);
    if (names !== '') parameters.set('host', { text: names, raw, origin: `the host in ${origin}` });
    if (ports !== '') parameters.set('port', { text: ports, origin: `the port in ${origin}` });
  }
  if (at >= 0) {
    const [user = '', ...more] = authority.slice(0, at).split(':');
    if (more.length > 1) fail('has more than one : in its user and password; write one in a password as %3A');
    if (user !== '') put('user', user, 'the user');
    if (more[0] !== undefined && more[0] !== '') put('password', more[0], 'the password');
  }
  const [path = '', ...queries] = rest.slice(authority.length).split('?');
  if (queries.length > 1) fail('has more than one ?; write one in a value as %3F');
  if (path.length > 1) {
    if (path.indexOf('/', 1) >= 0)
      fail('has more than one / in its path, which is the database; write one in a name as %2F');
    put('dbname', path.slice(1), 'the database');
  }
  const ignored: string[] = [];
  const query = (queries[0] ?? '').replace(/&$/, '');
  let begin = 0;
  for (const pair of query === '' ? [] : query.split('&')) {
    if (pair === '') fail('has an empty parameter; remove the & beside it');
    // The name of a parameter of another program is shown, and may be a part of a password: `app:12?se=cret@db`.
    if (at < 0 && begin < query.lastIndexOf('@') && !isOurs(pair.replace(/=.*$/s, ''))) fail(cutUserinfo);
    begin += pair.length + 1;
    readPair(pair, origin, put, ignored);
  }
  return { parameters, ignored };
}

function isOurs(name: string): boolean {
  return known.has(name) || Object.hasOwn(harmless, name) || name === 'ssl' || name === 'requiressl';
}

function readPair(
  pair: string,
  origin: string,
  put: (name: string, raw: string, what: string) => void,
  ignored: string[],
): void {
  const equals = pair.indexOf('=');
  const name = decode(equals < 0 ? pair : pair.slice(0, equals), 'a parameter', origin);
  const raw = equals < 0 ? '' : pair.slice(equals + 1);
  const libpqs = known.has(name) || Object.hasOwn(harmless, name);
  if (libpqs && equals < 0) throw new UsageError(`${name} in ${origin} has no value; write ${name}=…`);
  if (libpqs && raw.includes('='))
    throw new UsageError(`${name} in ${origin} has a second =; write one in a value as %3D`);
  if (!/^[\w.-]{1,64}$/.test(name)) throw new UsageError(`${origin} has a parameter whose name is not one`);
  if (name === 'ssl') {
    // JDBC's spelling, which libpq takes too.
    if (raw !== 'true')
      throw new UsageError(`ssl in ${origin} is neither true nor left out; write sslmode=…`);
    put('sslmode', 'require', 'ssl');
  } else if (name === 'requiressl') {
    put('sslmode', isRequired(raw, `requiressl in ${origin}`) ? 'require' : 'prefer', 'requiressl');
  } else if (known.has(name)) {
    put(name, raw, name);
  } else if (harmless[name] !== undefined && libpqs) {
    if (!harmless[name].test(decode(raw, name, origin)))
      throw new UsageError(`${name} in ${origin} has a value that libpq does not take; remove it`);
  } else {
    refuseMistyped(name, origin);
    ignored.push(name);
  }
}

/** The old spelling of sslmode, for which libpq takes whatever does not begin with a 1 for no. */
function isRequired(text: string, origin: string): boolean {
  if (text !== '0' && text !== '1')
    throw new UsageError(`${origin} is neither 0 nor 1; write sslmode=require`);
  return text === '1';
}

/**
 * A parameter of another program is passed over. One that asks for TLS, or is nearly one of libpq's, is refused: passed
 * over, it could let a password out that its writer meant to protect.
 */
function refuseMistyped(name: string, origin: string): void {
  const plain = plainName(name);
  const meant = [...known].find((other) => isNear(plain, plainName(other)));
  if (meant !== undefined)
    throw new UsageError(`${name} in ${origin} is not a parameter of libpq; did you mean ${meant}?`);
  if (plain.startsWith('ssl'))
    throw new UsageError(
      `${name} in ${origin} is not a parameter of libpq, and TLS is not left to a guess; write it as sslmode=… and sslrootcert=…`,
    );
}

/** Whether the names differ in one place alone. Short ones are near to each other by chance: `pool` and `port`. */
function isNear(name: string, other: string): boolean {
  let head = 0;
  while (head < name.length && name[head] === other[head]) head++;
  let tail = 0;
  while (tail < Math.min(name.length, other.length) - head && name.at(-1 - tail) === other.at(-1 - tail))
    tail++;
  return Math.max(name.length, other.length) - head - tail <= (other.length < 6 ? 1 : 2);
}

/** `sslMode` and `ssl-mode` mean sslmode to other drivers. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z\d]/g, '');
}

function notAUrl(text: string): string {
  if (/^jdbc:/i.test(text)) return `is a JDBC URL; ${accepted}`;
  if (/^postgres(ql)?:/i.test(text)) return `lacks the // after its scheme; ${accepted}`;
  if (/^\s*\w+\s*=/.test(text))
    return `is a list of keywords, not a URL; ${accepted}, or set PGHOST, PGUSER and the others`;
  return `is not a URL; ${accepted}`;
}

function wrongScheme(scheme: string): string {
  if (/^jdbc:/i.test(scheme)) return `is a JDBC URL; ${accepted}`;
  if (/^postgres(ql)?\+/i.test(scheme)) {
    return `names a driver in its scheme (${scheme}:), which only SQLAlchemy reads; ${accepted}`;
  }
  if (/^postgres(ql)?$/i.test(scheme)) return `has its scheme in capitals; write ${scheme.toLowerCase()}://`;
  return `is a ${scheme}: URL; only postgres: and postgresql: are known; ${accepted}`;
}

function decode(raw: string, what: string, origin: string): string {
  let text: string;
  try {
    text = decodeURIComponent(raw);
  } catch {
    throw new UsageError(`${what} in ${origin} is not valid percent-encoding; write a % as %25`);
  }
  if (text.includes('\0')) throw new UsageError(`${what} in ${origin} holds a zero byte`);
  return text;
}

/** The hosts of the authority, each with the port as it was written. */
function parseHosts(text: string, origin: string): { readonly host: string; readonly port: string }[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(part);
    if (!match) {
      throw new UsageError(
        `the host ${quotedHostPort(part)}in ${origin} is not HOST:PORT; an IPv6 address stands in brackets, and the @ behind a password is written as it is`,
      );
    }
    return { host: match[1] ?? decode(match[2] ?? '', 'the host', origin), port: match[3] ?? '' };
  });
}
