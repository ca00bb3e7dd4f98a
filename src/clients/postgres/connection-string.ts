import { existsSync } from 'node:fs';
import { isIP } from 'node:net';

import type { Environment } from '../../core/context.ts';
import { portIn, quotedHostPort } from '../../core/host-port.ts';
import { quoted, quotedValue } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor, Secret } from '../../core/redaction/redactor.ts';
import { serviceLinkIn } from '../../core/service-link.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import {
  missing,
  parametersFromEnvironment,
  parseUrl,
  settingsFromEnvironment,
  type Parameter,
  type Parameters,
} from './parameters.ts';
import { passwordFromFile } from './password-file.ts';
import { refuseUnexpandedParameters } from './unexpanded.ts';

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

export const sessionAttributes = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type SessionAttributes = (typeof sessionAttributes)[number];

/** Whether a login by SCRAM is tied to the server's certificate (https://www.postgresql.org/docs/current/sasl-authentication.html). */
export const channelBindings = ['disable', 'prefer', 'require'] as const;
export type ChannelBinding = (typeof channelBindings)[number];

/** One of the servers to try. */
export interface PostgresHost {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  /** The address to connect to, where it was given apart from the name (libpq's hostaddr). */
  readonly address: string | undefined;
  readonly port: number;
  readonly password: Secret | undefined;
}

export interface PostgresTls {
  readonly mode: SslMode;
  /** PEM of the authorities to trust, or `system` for the system’s; undefined where nothing is verified. */
  readonly authorities: string | undefined;
  readonly certificate: string | undefined;
  readonly key: Secret | undefined;
  /** TLS from the first byte on (sslnegotiation=direct). */
  readonly direct: boolean;
}

/** Everything that says how to connect, read once at the edge. */
export interface ConnectionSettings {
  /** In the order in which to try them. */
  readonly hosts: readonly PostgresHost[];
  readonly user: string;
  readonly database: string;
  readonly tls: PostgresTls;
  readonly channelBinding: ChannelBinding;
  readonly attributes: SessionAttributes;
  /** Milliseconds for one connection to one address, login included. */
  readonly connectTimeout: number;
  /** Whether that was asked for. */
  readonly connectTimeoutGiven: boolean;
  readonly applicationName: string | undefined;
  /** Command-line options for the backend (libpq's options). */
  readonly options: string | undefined;
  /** The user's settings for statements of theirs (PGDATESTYLE, PGTZ, PGGEQO); connections for our own go without. */
  readonly statementSettings: Readonly<Record<string, string>>;
  /** Settings of the session that are sent at login. */
  readonly startup?: Readonly<Record<string, string>>;
  /** Where the settings came from, for people: `DATABASE_URL`. */
  readonly origin: string;
  /** Things worth telling that are no error. */
  readonly warnings: readonly string[];
}

/** For a connection on which the user's own statements run. */
export function forStatements(settings: ConnectionSettings): ConnectionSettings {
  return { ...settings, startup: settings.statementSettings };
}

/** What stands for what is not said. */
export interface Otherwise {
  readonly user?: string;
}

/** Where a URL was found. */
export interface UrlSource {
  readonly url: Secret;
  readonly origin: string;
}

/** Milliseconds; libpq waits forever by default, but one server of several must not. */
const defaultConnectTimeout = 10_000;

/** What a URL and the variables say by themselves. */
interface Said extends Pick<
  ConnectionSettings,
  'user' | 'database' | 'channelBinding' | 'attributes' | 'connectTimeout' | 'connectTimeoutGiven' | 'origin'
> {
  readonly all: Parameters;
  /** For statements of the user. */
  readonly settings: Parameters;
  readonly hosts: readonly Omit<PostgresHost, 'password'>[];
  readonly password: Secret | undefined;
  readonly tls: Pick<PostgresTls, 'mode' | 'direct'>;
  /** Parameters of other programs. */
  readonly ignored: readonly string[];
}

/**
 * Checks a URL and the PG* variables as far as they tell without a file.
 * @throws UsageError, as readConnection does for the same
 */
export function checkConnection(
  source: UrlSource | undefined,
  environment: Environment,
  redactor: Redactor,
  otherwise: Otherwise = {},
): Said {
  const variables = parametersFromEnvironment(environment);
  if (source) refuseUnexpanded('url', source.url.reveal(), source.origin);
  const url = source && parseUrl(source.url.reveal(), source.origin);
  const origin = source?.origin ?? 'PG* variables';
  const all: Parameters = new Map([...variables, ...(url?.parameters ?? [])]);
  const settings = settingsFromEnvironment(environment);
  for (const given of [all, settings]) {
    refuseUnexpandedParameters(given);
    refuseLineEnds(given);
  }
  const password = all.get('password');
  const secret = password?.text ? redactor.secret(password.text) : undefined;
  refuseUnsupported(all);

  // An empty value is one: it keeps out what the variables say, and libpq then takes its default.
  const user = all.get('user')?.text || otherwise.user;
  if (!user) throw new UsageError(`no user is named in ${origin}; add one, or set PGUSER`);
  const database = all.get('dbname')?.text || user;
  return {
    all,
    settings,
    hosts: readHosts(all, origin),
    password: secret,
    user,
    database,
    tls: tlsMode(all),
    channelBinding: choice(all.get('channel_binding'), channelBindings) ?? 'prefer',
    attributes: choice(all.get('target_session_attrs'), sessionAttributes) ?? 'any',
    connectTimeout: readTimeout(all.get('connect_timeout')),
    connectTimeoutGiven: Number(all.get('connect_timeout')?.text ?? 0) > 0,
    origin,
    ignored: url?.ignored ?? [],
  };
}

/** @throws UsageError naming the variable that ends in a line end, which a server would take for a part of it */
function refuseLineEnds(all: Parameters): void {
  for (const { text, origin } of all.values())
    if (/[\r\n]$/.test(text))
      throw new UsageError(
        `${origin} ends with a line end; make the Secret without one (printf '%s' VALUE in place of echo)`,
      );
}

/**
 * Reads a URL, with the PG* variables for what it does not say, or the variables alone, and the files that they name.
 * @throws UsageError that says what is wrong and where it came from, never the password
 */
export function readConnection(
  source: UrlSource | undefined,
  environment: Environment,
  redactor: Redactor,
  otherwise: Otherwise = {},
): ConnectionSettings {
  const said = checkConnection(source, environment, redactor, otherwise);
  const { all, user, database, origin, channelBinding, attributes, connectTimeout, connectTimeoutGiven } =
    said;
  const hosts = said.hosts.map((host) => ({
    ...host,
    password: said.password ?? filePassword({ ...host, database, user }, all, environment, redactor),
  }));
  const warnings = said.ignored.map((name) => `the parameter ${name} in ${origin} has no effect here`);
  const passwords = all.get('passfile');
  if (passwords?.text && said.password === undefined && hosts.every((host) => host.password === undefined)) {
    const why = canRead(passwords.text) ? `holds no line for ${user} on this server` : 'cannot be read';
    warnings.push(`the password file ${passwords.text} (${passwords.origin}) ${why}`);
  }
  return {
    hosts,
    user,
    database,
    tls: readTls(said, environment, redactor),
    channelBinding,
    attributes,
    connectTimeout,
    connectTimeoutGiven,
    applicationName: all.get('application_name')?.text,
    options: all.get('options')?.text,
    statementSettings: Object.fromEntries([...said.settings].map(([name, { text }]) => [name, text])),
    origin,
    warnings,
  };
}

/** True where the PG* variables name a server by themselves. */
export function namesServer(environment: Environment): boolean {
  const variables = parametersFromEnvironment(environment);
  return variables.has('host') || variables.has('hostaddr') || variables.has('service');
}

function refuseUnsupported(all: Parameters): void {
  const service = all.get('service');
  if (service?.text === '') throw new UsageError(`${service.origin} is empty; remove it`);
  if (service)
    throw new UsageError(`${service.origin} names a service file, which is not read here; use a URL`);
  for (const [name, idle] of Object.entries(missing)) {
    const given = all.get(name);
    if (given === undefined || idle.includes(given.text)) continue;
    // The others may hold a secret.
    throw new UsageError(
      idle.length > 0
        ? `${given.origin}: ${name}=${given.text} is not supported here; write ${idle.join(' or ')}, or remove it`
        : `${given.origin} is not supported here; remove it`,
    );
  }
}

/** The servers to try: libpq's lists of hosts, addresses and ports, which belong together by their places. */
function readHosts(all: Parameters, origin: string): Omit<PostgresHost, 'password'>[] {
  const listOf = (name: string): string[] => all.get(name)?.text.split(',') ?? [];
  const addresses = all.get('hostaddr')?.text ? listOf('hostaddr') : [];
  const names = all.get('host')?.text ? listOf('host') : [];
  const ports = listOf('port');
  const hostOrigin = all.get('host')?.origin ?? origin;
  const portOrigin = all.get('port')?.origin ?? origin;
  const count = Math.max(names.length, addresses.length);
  if (count === 0) throw noHost(origin);
  if (ports.length > 1 && ports.length !== count)
    throw new UsageError(`${portOrigin} gives ${ports.length} ports for ${count} hosts`);
  if (addresses.length > 0 && names.length > 0 && addresses.length !== names.length)
    throw new UsageError(`hostaddr gives ${addresses.length} addresses for ${names.length} hosts`);
  return Array.from({ length: count }, (_, index) => {
    const address = addresses[index];
    const host = names[index] || address;
    if (!host) throw noHost(origin);
    if (address && !isIP(address))
      throw new UsageError(`hostaddr ${quotedHostPort(address)}is not an IP address`);
    if (address && host.startsWith('/'))
      throw new UsageError(
        `${hostOrigin} is the folder of a Unix socket, and hostaddr is an address; give one of them`,
      );
    if (
      !host.startsWith('/') &&
      (/[\s/@?#%\\]/.test(host) ||
        (host.includes(':') && !isIP(host)) ||
        (/[\u0080-\u{10ffff}]/u.test(host) && !URL.canParse(`http://${host}`)))
    )
      throw new UsageError(`${hostOrigin} is not a name, an address or a folder`);
    return { host, address, port: readPort(ports[ports.length > 1 ? index : 0] ?? '', portOrigin) };
  });
}

function noHost(origin: string): UsageError {
  return new UsageError(
    `${origin} names no host; add one, set PGHOST, or write host=/var/run/postgresql for a Unix socket`,
  );
}

function readPort(text: string, origin: string): number {
  if (text === '') return 5432;
  const link = serviceLinkIn(text);
  if (link !== undefined) throw new UsageError(`the port in ${origin} is not a number: ${link}`);
  const number = portIn(text.replace(/^\+(?=\d)/, ''));
  if (number !== undefined) return number;
  // Other than digits, it may be a password whose `@` was lost.
  const shown = /^[+-]?\d+$/.test(text) ? quoted(text) : 'the port';
  throw new UsageError(`${origin}: ${shown} is not a whole number from 1 to 65535`);
}

/** libpq's connect_timeout is in seconds; 0 and less mean none, which here is the default. */
function readTimeout(given: Parameter | undefined): number {
  if (given === undefined) return defaultConnectTimeout;
  if (!/^\s*[+-]?\d+\s*$/.test(given.text))
    throw new UsageError(`${given.origin} is not a whole number of seconds`);
  const seconds = Number(given.text);
  return seconds > 0 ? seconds * 1000 : defaultConnectTimeout;
}

function choice<const C extends readonly string[]>(
  given: Parameter | undefined,
  choices: C,
): C[number] | undefined {
  if (given === undefined) return undefined;
  if (!choices.includes(given.text))
    throw new UsageError(`${given.origin}: ${quotedValue(given.text)} is not one of ${choices.join(', ')}`);
  return given.text;
}

/** @throws UsageError where the parameters about TLS do not fit together */
function tlsMode(all: Parameters): Said['tls'] {
  const root = fileOf(all, 'sslrootcert');
  const given = choice(all.get('sslmode'), sslModes);
  const direct = isDirect(all);
  if (root?.text === 'system') {
    // As libpq: what the system trusts signs anybody's certificate, so that only the name tells.
    if (given !== undefined && given !== 'verify-full')
      throw new UsageError(`${root.origin}: sslrootcert=system needs sslmode=verify-full, not ${given}`);
    return { mode: 'verify-full', direct };
  }
  const mode = given ?? 'prefer';
  const binding = all.get('channel_binding');
  if (mode === 'disable' && binding?.text === 'require')
    throw new UsageError(`${binding.origin}: channel_binding=require needs TLS, and sslmode is disable`);
  if (direct && !['require', 'verify-ca', 'verify-full'].includes(mode))
    throw new UsageError(`sslnegotiation=direct needs sslmode=require or stricter, not ${mode}`);
  return { mode, direct };
}

function readTls(
  { all, tls: { mode, direct } }: Said,
  environment: Environment,
  redactor: Redactor,
): PostgresTls {
  const home = environment['HOME'];
  const inHome = (name: string): string | undefined => home && `${home}/.postgresql/${name}`;
  const root = fileOf(all, 'sslrootcert');
  if (root?.text === 'system')
    return { ...clientCertificate(all, inHome, redactor), mode, authorities: 'system', direct };
  const authorities = mode === 'disable' ? undefined : readAuthorities(root, inHome('root.crt'));
  // libpq obeys a list of revoked certificates in its own place too, where it verifies.
  const revoked = inHome('root.crl');
  if (authorities !== undefined && revoked !== undefined && existsSync(revoked))
    throw new UsageError(`${revoked} lists revoked certificates, which is not supported here; remove it`);
  if (authorities === undefined && mode.startsWith('verify')) {
    throw new UsageError(
      `${all.get('sslmode')?.origin ?? 'sslmode'}=${mode} needs the authorities to trust; set sslrootcert or PGSSLROOTCERT to a PEM file, or to system`,
    );
  }
  if (mode === 'disable') return { mode, authorities, certificate: undefined, key: undefined, direct };
  return { ...clientCertificate(all, inHome, redactor), mode, authorities, direct };
}

/** As in libpq, an empty name of a file means the default. */
function fileOf(all: Parameters, name: string): Parameter | undefined {
  const given = all.get(name);
  return given?.text === '' ? undefined : given;
}

function isDirect(all: Parameters): boolean {
  return choice(all.get('sslnegotiation'), ['postgres', 'direct'] as const) === 'direct';
}

function readAuthorities(root: Parameter | undefined, fallback: string | undefined): string | undefined {
  if (root !== undefined) return readPem(root.text, root.origin);
  return fallback === undefined ? undefined : readIfThere(fallback);
}

function clientCertificate(
  all: Parameters,
  inHome: (name: string) => string | undefined,
  redactor: Redactor,
): Pick<PostgresTls, 'certificate' | 'key'> {
  const given = fileOf(all, 'sslcert');
  const fallback = inHome('postgresql.crt');
  const certificate = given ? readPem(given.text, given.origin) : fallback && readIfThere(fallback);
  if (!certificate) return { certificate: undefined, key: undefined };
  const keyGiven = fileOf(all, 'sslkey');
  const keyPath = keyGiven?.text ?? inHome('postgresql.key');
  if (keyPath === undefined)
    throw new UsageError(`${given?.origin ?? 'sslcert'} is given without its key; set sslkey or PGSSLKEY`);
  return { certificate, key: redactor.secret(readPem(keyPath, keyGiven?.origin ?? 'sslkey')) };
}

function readPem(path: string, origin: string): string {
  const text = readNamedFile({ text: path, origin }).toString('latin1');
  if (!text.includes('-----BEGIN ')) throw new UsageError(`${origin}: the file ${path} is not in PEM form`);
  return text;
}

function canRead(path: string): boolean {
  return readIfThere(path) !== undefined;
}

function readIfThere(path: string): string | undefined {
  try {
    return readNamedFile({ text: path, origin: '' }).toString('latin1');
  } catch {
    return undefined;
  }
}

function filePassword(
  question: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
  },
  all: Parameters,
  environment: Environment,
  redactor: Redactor,
): Secret | undefined {
  const home = environment['HOME'];
  const path = all.get('passfile')?.text || (home && `${home}/.pgpass`);
  const found = path ? passwordFromFile(path, question) : undefined;
  return found === undefined || found === '' ? undefined : redactor.secret(found);
}
