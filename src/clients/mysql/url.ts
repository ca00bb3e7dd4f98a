import type { Context, Environment } from '../../core/context.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import { flag, flagName, value, type Values } from '../../core/options/option.ts';
import type { ReadSecret } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { cutUserinfo, isCutUserinfo } from '../../core/userinfo.ts';
import {
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../connection/server-url.ts';
import { optionsGiven, resolveParameters, splitParameters } from '../connection/url-parameters.ts';
import type { MysqlServer } from './session.ts';

/** How far TLS is asked for, as mysql's own client has it. */
const modes = ['disabled', 'preferred', 'required', 'verify-ca', 'verify-identity'] as const;
type MysqlSslMode = (typeof modes)[number];

const { insecure: _, ...fileOptions } = tlsTargetOptions;

/** What a mysql URL takes behind its `?` for the connection itself. */
export const mysqlUrlOptions = {
  ...credentialOptions,
  'ssl-mode': value({
    description:
      'whether TLS is used and what is verified; unset, verify-identity where ca-file is given, else preferred',
    placeholder: modes.join('|'),
    parse: parseMode,
    choices: modes,
  }),
  ...fileOptions,
  'get-server-public-key': flag({
    description:
      'without TLS, send the password encrypted by the key that the server sends, which nobody has verified',
  }),
};
type MysqlUrlOptions = Values<typeof mysqlUrlOptions>;

/** mysql's own (https://mariadb.com/kb/en/mariadb-environment-variables/). */
const variables = { password: 'MYSQL_PWD' };

/** What a mysql URL says, checked as far as it can be without a file. */
export interface MysqlUrl {
  readonly endpoint: MysqlServer['endpoint'];
  readonly user: string;
  readonly database: string | undefined;
  /**
   * Reads the files, and the variables that hold a password.
   * @throws UsageError
   */
  open(context: Pick<Context, 'environment' | 'redactor'>): MysqlServer;
}

interface Around extends Pick<Context, 'redactor'> {
  /** Undefined where variables must not be looked at. */
  readonly environment: Environment | undefined;
}

/**
 * Reads a URL with its options.
 * @param origin names it: `DATABASE_URL`
 * @param readSecret undefined where files must not be read yet
 * @throws UsageError
 */
export function parseMysqlUrl(
  url: Secret,
  origin: string,
  around: Around,
  readSecret: ReadSecret | undefined,
): MysqlUrl {
  const text = url.reveal().trim();
  const rest = text.replace(/^[^/]*\/\//, '');
  if (isCutUserinfo(rest, false)) throw new UsageError(`${origin}: the mysql URL ${cutUserinfo}`);
  const names = Object.entries(mysqlUrlOptions).map(([name, option]) => flagName(name, option));
  const { address, parameters } = splitParameters(text, '?', () => false);
  const { given, unknown } = optionsGiven(mysqlUrlOptions, parameters, origin);
  if (unknown !== undefined) {
    const shown = /^[\w.-]{1,40}$/.test(unknown) ? ` ${unknown}` : '';
    throw new UsageError(`${origin}: unknown option${shown} behind the ?; it takes ${names.join(', ')}`);
  }
  const options = resolveParameters(mysqlUrlOptions, given, around.redactor, readSecret);
  const named = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      const lines = error instanceof UsageError ? error.lines : [(error as Error).message];
      // What is shared with the flags says `--ca-file`.
      throw new UsageError(
        lines.map((line) => (line.startsWith(origin) ? line : `${origin}: ${spelled(line, names)}`)),
      );
    }
  };
  const secret = (found: string): void => void around.redactor.secret(found);
  const read = named(() => readMysqlUrl(address, options, { ...around, secret }));
  return { ...read, open: (context) => named(() => read.open(context)) };
}

function spelled(line: string, names: readonly string[]): string {
  return line.replaceAll(/--([a-z][a-z-]*)/g, (flagged, name: string) =>
    names.includes(name) ? name : flagged,
  );
}

/**
 * Reads a URL whose options were taken off it.
 * @throws Error, or UsageError, that says what is accepted, and shows no password
 */
export function readMysqlUrl(
  address: string,
  options: MysqlUrlOptions,
  around: Around & { readonly secret: (value: string) => void },
): MysqlUrl {
  const url = readServerUrl(address, { port: 3306 }, around);
  if (url.path.includes('/') || url.path.includes('\0'))
    throw new Error(
      'what follows the host of a mysql URL is one database, as mysql://USER@HOST:3306/DATABASE',
    );
  const database = url.path === '' ? undefined : url.path;
  const [endpoint] = url.endpoints;
  const { user } = readCredentials(url, options, around, variables);
  if (user === undefined)
    throw new UsageError('the mysql URL names no user; write mysql://USER@HOST:PORT/DATABASE, or user');
  if (Buffer.byteLength(user) > 200 || user.includes('\0'))
    throw new UsageError('the user is not a valid name');
  checkMode(options);
  return {
    endpoint,
    user,
    database,
    open(context) {
      return {
        endpoint,
        tls: tlsOf(options, context.environment),
        tlsOptional: mysqlSslMode(options) === 'preferred',
        user,
        password: readCredentials(url, options, context, variables).password,
        database,
        fetchKey: options['get-server-public-key'],
      };
    },
  };
}

/** How far TLS is asked for. */
export function mysqlSslMode(options: MysqlUrlOptions): MysqlSslMode {
  return options['ssl-mode'] ?? (options['ca-file'] === undefined ? 'preferred' : 'verify-identity');
}

/** @throws UsageError where somebody may believe that something is verified or shown */
function checkMode(options: MysqlUrlOptions): void {
  const mode = mysqlSslMode(options);
  if (!mode.startsWith('verify'))
    for (const name of ['ca-file', 'tls-server-name'] as const)
      if (options[name] !== undefined)
        throw new UsageError(`${name} has no effect with ssl-mode=${mode}; write ssl-mode=verify-identity`);
  if ((options['cert-file'] === undefined) !== (options['key-file'] === undefined))
    throw new UsageError('cert-file and key-file need each other; give both');
  if (options['cert-file'] !== undefined && mode === 'disabled')
    throw new UsageError('cert-file has no effect with ssl-mode=disabled');
}

function tlsOf(options: MysqlUrlOptions, environment: Environment): MysqlServer['tls'] {
  const mode = mysqlSslMode(options);
  if (mode === 'disabled') return undefined;
  const read = readTls({ ...options, insecure: !mode.startsWith('verify') }, environment);
  return mode === 'verify-ca' ? { ...read, anyName: true } : read;
}

function parseMode(given: string): MysqlSslMode {
  // mysql's client writes VERIFY_IDENTITY.
  const mode = given.toLowerCase().replaceAll('_', '-');
  const found = modes.find((known) => known === mode);
  if (found === undefined) throw new Error(`${quotedValue(given)} is not one of ${modes.join(', ')}`);
  return found;
}
