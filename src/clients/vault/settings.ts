import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Environment, Paths } from '../../core/context.ts';
import { quotedHostPort } from '../../core/host-port.ts';
import { quoted, quotedValue } from '../../core/misplaced-secret.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import { unreadSecret, type Redactor, type Secret } from '../../core/redaction/redactor.ts';
import { refuseUnsendable } from '../../core/sendable.ts';
import { refuseBlank, refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { cutUserinfo, hidePasswords } from '../../core/userinfo.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { namesInInput, readSecretFile, whyUnread } from '../../fs/input-file.ts';
import {
  checkAuthorities,
  readAuthorities as usualAuthorities,
  checkClientPair,
  readPem,
  usesHttps,
  type TlsSettings,
} from '../http/tls.ts';

export const vaultMethods = ['kubernetes', 'jwt', 'approle', 'userpass', 'cert', 'token'] as const;
export type VaultMethod = (typeof vaultMethods)[number];

/** What a command line says about Vault; the rest comes from VAULT_ variables. */
export interface VaultFlags {
  readonly address: string | undefined;
  readonly namespace: string | undefined;
  readonly method: VaultMethod | undefined;
  readonly mount: string | undefined;
  readonly role: string | undefined;
  readonly jwtFile: string | undefined;
  readonly token: Secret | undefined;
  readonly roleId: string | undefined;
  readonly secretId: Secret | undefined;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  /** The token or SecretID that is given is a wrapping token. */
  readonly unwrap: boolean;
}

/** How to get a token. */
export type VaultLogin =
  | {
      readonly method: 'kubernetes' | 'jwt';
      readonly mount: string;
      readonly role: string;
      readonly jwtFile: string;
    }
  | {
      readonly method: 'approle';
      readonly mount: string;
      readonly roleId: string;
      readonly secretId: Secret | undefined;
      readonly wrapped: boolean;
    }
  | { readonly method: 'userpass'; readonly mount: string; readonly user: string; readonly password: Secret }
  | { readonly method: 'cert'; readonly mount: string; readonly role: string | undefined }
  | { readonly method: 'token'; readonly token: Secret; readonly wrapped: boolean };

export interface VaultSettings {
  readonly address: URL;
  readonly namespace: string | undefined;
  readonly login: VaultLogin;
  readonly tls: TlsSettings;
}

/** Where the settings come from. */
export interface VaultSources {
  readonly flags: VaultFlags;
  readonly environment: Environment;
  readonly paths: Pick<Paths, 'serviceAccount'>;
  readonly redactor: Redactor;
}

/** What VAULT_ variables are read as. */
const variables = {
  VAULT_ADDR: 'url',
  VAULT_NAMESPACE: 'name',
  VAULT_CACERT: 'path',
  VAULT_CAPATH: 'path',
  VAULT_CLIENT_CERT: 'path',
  VAULT_CLIENT_KEY: 'path',
  VAULT_TLS_SERVER_NAME: 'word',
} as const;

/**
 * Puts flags and VAULT_ variables together, with the meaning that Vault's own client gives them
 * (https://developer.hashicorp.com/vault/docs/commands#environment-variables).
 * @throws UsageError naming the flag or variable that is wrong or missing
 */
export function readVaultSettings(sources: VaultSources): VaultSettings {
  const said = readSaid(sources);
  const { environment } = sources;
  const verifies = usesHttps([said.address], environment);
  return { ...said, login: readLogin(sources, leftToken), tls: readTls(environment, verifies) };
}

/** What needs no file. */
function readSaid(sources: VaultSources): Pick<VaultSettings, 'address' | 'namespace'> {
  const { flags, environment } = sources;
  // What a flag says is not looked for in its variable.
  const read = {
    ...environment,
    ...(flags.address === undefined ? {} : { VAULT_ADDR: undefined }),
    ...(flags.namespace === undefined ? {} : { VAULT_NAMESPACE: undefined }),
  };
  refuseUnexpandedVariables(variables, read);
  const said = {
    address: readAddress(flags.address, sources),
    namespace: readNamespace(flags.namespace, environment),
  };
  checkTls(environment);
  return said;
}

/**
 * Checks the same as far as it can be told without reading a file.
 * @throws UsageError
 */
export function checkVaultSettings(sources: VaultSources): void {
  everyOne(
    [
      () => void readSaid(sources),
      () => void readLogin(sources, tokenToCome),
      () => {
        const { environment } = sources;
        const { VAULT_CACERT_BYTES: bytes, VAULT_CACERT: file, VAULT_CAPATH: folder } = environment;
        if (!bytes && !file && !folder) checkAuthorities(environment);
      },
    ],
    (check) => check(),
  );
}

function readNamespace(flag: string | undefined, environment: Environment): string | undefined {
  const text = (flag ?? environment['VAULT_NAMESPACE'])?.replace(/^\/+|\/+$/g, '') || undefined;
  if (text !== undefined && /[^\x20-\x7e]/.test(text))
    throw new UsageError(
      `${flag === undefined ? 'VAULT_NAMESPACE' : '--vault-namespace'} has a character that no header can hold; write a path such as team/app`,
    );
  return text;
}

function readAddress(flag: string | undefined, { environment, redactor }: VaultSources): URL {
  const text = flag ?? environment['VAULT_ADDR'];
  const origin = flag === undefined ? 'VAULT_ADDR' : '--vault-addr';
  if (text === undefined || text === '') {
    throw new UsageError(
      text === undefined
        ? 'VAULT_ADDR is not set, and a vault: source needs it; for example https://vault.vault.svc:8200'
        : 'VAULT_ADDR is empty, and a vault: source needs it; for example https://vault.vault.svc:8200',
    );
  }
  const url = isWebUrl(text) ? new URL(text) : undefined;
  if (url === undefined) {
    hidePasswords(text, redactor);
    const shown = quotedHostPort(text.replace(/^[a-z]{1,5}:\/\//, ''));
    // `vault:8200`, as it is written; of anything else nothing is shown, since a password may stand where a host should.
    throw new UsageError(
      shown === ''
        ? `${origin} is not an http or https URL such as https://vault.vault.svc:8200`
        : `${origin} is ${quoted(text)}, not an http or https URL such as https://vault.vault.svc:8200`,
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    hidePasswords(text, redactor);
    throw new UsageError(`${origin} has more in it than scheme, host, port and path`);
  }
  // No path of Vault's has one: what looks like host, port and path is the beginning of a password.
  if (url.pathname.includes('@')) {
    hidePasswords(text, redactor);
    throw new UsageError(`${origin} ${cutUserinfo}`);
  }
  if (/\/v1\/*$/.test(url.pathname))
    throw new UsageError(
      `${origin} ends with /v1, which every request adds; write ${url.href.replace(/\/+v1\/*$/, '')}`,
    );
  return url;
}

/** @throws UsageError where variables about TLS do not fit together */
function checkTls(environment: Environment): void {
  const certificate = environment['VAULT_CLIENT_CERT'];
  if (Boolean(certificate) !== Boolean(environment['VAULT_CLIENT_KEY'])) {
    throw new UsageError(
      `${certificate ? 'VAULT_CLIENT_CERT' : 'VAULT_CLIENT_KEY'} is set, and ${certificate ? 'VAULT_CLIENT_KEY' : 'VAULT_CLIENT_CERT'} is not; both are needed`,
    );
  }
  parseGoBoolean(environment, 'VAULT_SKIP_VERIFY');
}

/** @param verifies as readAuthorities of http/tls.ts takes it */
function readTls(environment: Environment, verifies: boolean): TlsSettings {
  const certificate = environment['VAULT_CLIENT_CERT'];
  const key = environment['VAULT_CLIENT_KEY'];
  const authorities = readAuthorities(environment, verifies);
  const pair = {
    ...(certificate ? { certificate: readPem(certificate, 'VAULT_CLIENT_CERT') } : {}),
    ...(key ? { key: readPem(key, 'VAULT_CLIENT_KEY') } : {}),
  };
  checkClientPair(pair, { certificate: 'VAULT_CLIENT_CERT', key: 'VAULT_CLIENT_KEY' });
  return {
    verify: !parseGoBoolean(environment, 'VAULT_SKIP_VERIFY'),
    ...(authorities === undefined ? {} : { authorities }),
    ...pair,
    ...(environment['VAULT_TLS_SERVER_NAME'] ? { serverName: environment['VAULT_TLS_SERVER_NAME'] } : {}),
  };
}

/** The order in which Vault's client looks: bytes, file, folder. */
function readAuthorities(environment: Environment, verifies: boolean): string | undefined {
  if (environment['VAULT_CACERT_BYTES']) return environment['VAULT_CACERT_BYTES'];
  const file = environment['VAULT_CACERT'];
  if (file) return readPem(file, 'VAULT_CACERT');
  const folder = environment['VAULT_CAPATH'];
  if (!folder) return usualAuthorities(undefined, '', environment, verifies);
  let names: string[];
  try {
    names = namesInInput(folder);
  } catch (error) {
    throw new UsageError(`VAULT_CAPATH: the folder ${folder} ${whyUnread(error)}`, { cause: error });
  }
  // A file may have two names here: its own, and the hash by which OpenSSL looks it up (`9d66eef0.0`), often a link to it.
  const texts = names
    .filter((name) => /\.(pem|crt|cer)$|^[0-9a-f]{8}\.\d+$/.test(name))
    .map((name) => readPem(join(folder, name), 'VAULT_CAPATH'));
  if (texts.length === 0)
    throw new UsageError(
      `VAULT_CAPATH: the folder ${folder} holds no certificate: no file is named *.pem, *.crt, *.cer or by its hash (9d66eef0.0)`,
    );
  return [...new Set(texts)].join('\n');
}

/** Go's strconv.ParseBool, which Vault's client uses: anything else is an error, never "on". */
function parseGoBoolean(environment: Environment, name: string): boolean {
  const text = environment[name];
  if (text === undefined || text === '') return false;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new UsageError(`${name} is ${quotedValue(text)}, neither true nor false`);
}

/** Finds the token in the file that `vault login` leaves; undefined where there is none. */
type FindLeftToken = (sources: VaultSources) => Secret | undefined;

function readLogin(sources: VaultSources, left: FindLeftToken): VaultLogin {
  const { flags, paths } = sources;
  const method = flags.method ?? impliedMethod(sources, left);
  const mount = (flags.mount ?? method).replace(/^auth\//, '').replace(/^\/+|\/+$/g, '');
  if (mount === '' || /[?#\s]|(^|\/)\.{0,2}(\/|$)/.test(mount)) {
    throw new UsageError(
      `--vault-mount is ${JSON.stringify(flags.mount)}, not the path of an auth method such as kubernetes`,
    );
  }
  const need = <T>(value: T | undefined, flag: string): T => {
    if (value === undefined) throw new UsageError(`logging in to Vault by ${method} needs ${flag}`);
    return value;
  };
  if (flags.unwrap && method !== 'token' && method !== 'approle') {
    throw new UsageError(`--vault-unwrap is for a wrapped token or SecretID, not for ${method}`);
  }
  switch (method) {
    case 'kubernetes':
    case 'jwt': {
      const jwtFile = flags.jwtFile ?? join(paths.serviceAccount, 'token');
      return { method, mount, role: need(flags.role, '--vault-role'), jwtFile };
    }
    case 'approle':
      refuseUnexpanded(
        'token',
        flags.secretId?.reveal() ?? '',
        'the SecretID in the file of --vault-secret-id-file',
      );
      return {
        method,
        mount,
        roleId: need(flags.roleId, '--vault-role-id'),
        secretId: flags.secretId,
        wrapped: flags.unwrap,
      };
    case 'userpass':
      return {
        method,
        mount,
        user: need(flags.user, '--vault-user'),
        password: need(flags.password, '--vault-password-file'),
      };
    case 'cert':
      if (!sources.environment['VAULT_CLIENT_CERT']) {
        throw new UsageError('logging in to Vault by cert needs VAULT_CLIENT_CERT and VAULT_CLIENT_KEY');
      }
      return { method, mount, role: flags.role };
    case 'token':
    default:
      return {
        method,
        token: need(givenToken(sources, left), 'VAULT_TOKEN or --vault-token-file'),
        wrapped: flags.unwrap,
      };
  }
}

function impliedMethod(sources: VaultSources, left: FindLeftToken): VaultMethod {
  const { flags, environment } = sources;
  const given = [
    ['token', '--vault-token-file', flags.token],
    ['token', 'VAULT_TOKEN', environment['VAULT_TOKEN'] || undefined],
    ['approle', '--vault-role-id', flags.roleId],
    ['userpass', '--vault-user', flags.user],
    ['kubernetes', '--vault-role', flags.role],
  ] as const;
  const [first, ...others] = given.filter(([, , value]) => value !== undefined);
  // A token of the pod's own variables may have another's rights than the role: none is passed over in silence.
  const other = others.find(([method]) => method !== first?.[0]);
  if (first !== undefined && other !== undefined) {
    throw new UsageError(
      `${first[1]} and ${other[1]} are both given; each is a way to log in to Vault: leave one out, or say which with --vault-auth ${first[0]} or --vault-auth ${other[0]}`,
    );
  }
  if (first !== undefined) return first[0];
  if (givenToken(sources, left) !== undefined) return 'token';
  throw new UsageError(
    'nothing says how to log in to Vault: give --vault-role for the pod’s service account, or VAULT_TOKEN, or --vault-auth and what it needs',
  );
}

/** As Vault's client: the variable, then the file that `vault login` leaves. */
function givenToken(sources: VaultSources, left: FindLeftToken): Secret | undefined {
  const { flags, environment, redactor } = sources;
  if (flags.token === unreadSecret) return unreadSecret;
  if (flags.token !== undefined) {
    return checkedToken(flags.token.reveal(), 'the token in the file of --vault-token-file', redactor);
  }
  const variable = environment['VAULT_TOKEN'];
  return variable ? checkedToken(variable, 'VAULT_TOKEN', redactor) : left(sources);
}

function leftToken({ environment, redactor }: VaultSources): Secret | undefined {
  const path = pathOfLeftToken(environment);
  if (path === undefined) return undefined;
  let left: string;
  try {
    left = readSecretFile({ text: path, origin: '~/.vault-token' }).trim();
  } catch {
    return undefined; // no one has logged in here, which is the usual case
  }
  return checkedToken(left, '~/.vault-token', redactor);
}

/** Whoever asks for a token by name may log in later on; else the file must be there. */
function tokenToCome({ flags, environment }: VaultSources): Secret | undefined {
  const path = pathOfLeftToken(environment);
  return path !== undefined && (flags.method === 'token' || existsSync(path)) ? unreadSecret : undefined;
}

function pathOfLeftToken({ HOME: home }: Environment): string | undefined {
  return home ? join(home, '.vault-token') : undefined;
}

function checkedToken(text: string, where: string, redactor: Redactor): Secret {
  refuseBlank(text, where);
  const token = redactor.secret(text.trim());
  refuseUnexpanded('token', token.reveal(), where);
  refuseUnsendable(token.reveal(), where);
  return token;
}
