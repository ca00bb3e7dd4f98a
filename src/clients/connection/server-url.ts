import type { Context, Environment } from '../../core/context.ts';
import { splitHostPort } from '../../core/host-port.ts';
import { flag, secret as secretOption, value, type Values } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import { Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { percentDecoded, takeUserinfo } from '../../core/userinfo.ts';
import { readTlsSettings, requestOptions } from '../http/options.ts';
import type { TlsSettings } from '../http/tls.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';

/** Who logs in, beside `user:password@` in the URL: of kinds whose servers ask for that. */
export const credentialOptions = {
  user: value({
    description: 'who logs in, where the URL does not say it',
    placeholder: 'NAME',
    parse: String,
  }),
  password: secretOption({ description: 'the file that holds the password' }),
  'password-env': value({
    description: 'the variable that holds the password',
    placeholder: 'VARIABLE',
    parse: parseVariable,
  }),
};

/** How TLS servers are verified, and what they are shown: of kinds that have a scheme with TLS. */
export const tlsTargetOptions = {
  'ca-file': requestOptions['ca-file'],
  'cert-file': requestOptions['cert-file'],
  'key-file': requestOptions['key-file'],
  'tls-server-name': requestOptions['tls-server-name'],
  insecure: flag({ description: 'accept any certificate: whoever answers is taken for the server' }),
};

/** The parts of `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/PATH]`. */
export interface ServerUrl {
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  /** At least one. */
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  /** Without the `/`; percent-decoded. */
  readonly path: string;
}

/**
 * Takes a server's URL apart.
 * @param usual the port where none is written; undefined where it must be, and `example` is proposed; whether several hosts
 *   are taken
 * @throws Error that says what is accepted, and shows no password
 */
export function readServerUrl(
  address: string,
  usual: { readonly port: number | undefined; readonly example?: number; readonly several?: boolean },
  { secret }: { readonly secret: (value: string) => void },
): ServerUrl {
  const [, scheme = '', rest = ''] = /^([^:]*):\/\/(.*)$/s.exec(address) ?? [];
  const where = `the ${scheme} URL`;
  refuseUnexpanded('url', address, where);
  const { user, password, bare } = userinfoOf(rest, where, secret);
  const [, authority = '', path = ''] = /^([^/?#]*)\/?(.*)$/s.exec(bare) ?? [];
  const hosts = authority.split(',');
  if (hosts.length > 1 && usual.several !== true)
    throw new Error(
      `${where} names several hosts; give each as a target of its own, with --any if one is enough`,
    );
  if (authority === '') throw new Error(`${where} has no host; write ${scheme}://HOST:PORT`);
  const [first = '', ...others] = hosts;
  const endpointOf = (host: string): Endpoint =>
    parseEndpoint(withPort(host, usual.port), secret, usual.port ?? usual.example);
  return {
    user,
    password,
    endpoints: [endpointOf(first), ...others.map(endpointOf)],
    path: percentDecoded(path).toString(),
  };
}

function withPort(authority: string, port: number | undefined): string {
  const parts = splitHostPort(authority);
  return port !== undefined && parts !== undefined && parts.port === undefined
    ? `${authority}:${port}`
    : authority;
}

/** `user@` alone names nobody's secret; `user:password@` and `:password@` do. */
function userinfoOf(
  rest: string,
  where: string,
  secret: (value: string) => void,
): { readonly user: string | undefined; readonly password: Secret | undefined; readonly bare: string } {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const at = authority.lastIndexOf('@');
  if (at >= 0 && !authority.slice(0, at).includes(':'))
    return {
      user: percentDecoded(authority.slice(0, at)).toString(),
      password: undefined,
      bare: rest.slice(at + 1),
    };
  const { userinfo, bare } = takeUserinfo(rest, where, secret);
  if (userinfo === undefined) return { user: undefined, password: undefined, bare };
  const colon = userinfo.indexOf(':');
  const password = percentDecoded(userinfo.slice(colon + 1)).toString();
  return {
    user: percentDecoded(userinfo.slice(0, colon)).toString() || undefined,
    password: password === '' ? undefined : new Secret(password),
    bare,
  };
}

/** Who logs in. */
export interface Credentials {
  readonly user: string | undefined;
  readonly password: Secret | undefined;
}

/**
 * Puts together what the URL, the options and the usual variables say, in that order.
 * @param usual the variables that programs of that server read
 * @throws UsageError where two ways say it, or a variable that was named is not set
 */
export function readCredentials(
  url: Pick<ServerUrl, 'user' | 'password'>,
  options: Values<typeof credentialOptions>,
  { environment, redactor }: { readonly environment: Environment | undefined } & Pick<Context, 'redactor'>,
  usual: { readonly user?: string; readonly password?: string } = {},
): Credentials {
  const { user, password, 'password-env': variable } = options;
  const ways = [url.password && 'the URL', password && 'password-file', variable && 'password-env'].filter(
    (way) => way !== undefined,
  );
  if (ways.length > 1)
    throw new UsageError(`the password is given by ${ways.join(' and by ')}; use one, not both`);
  if (url.user !== undefined && user !== undefined)
    throw new UsageError('the user is given by the URL and by user; use one, not both');
  const secretIn = (name: string | undefined): Secret | undefined => {
    const text = name === undefined ? undefined : environment?.[name];
    if (name === undefined || !text) return undefined;
    refuseUnexpanded('secret', text, name);
    return redactor.secret(text);
  };
  if (variable !== undefined && environment !== undefined && !environment[variable])
    throw new UsageError(`password-env: the variable ${variable} is not set, or empty`);
  return {
    user: url.user ?? user ?? (usual.user === undefined ? undefined : environment?.[usual.user] || undefined),
    password:
      url.password ??
      password ??
      secretIn(variable) ??
      (ways.length === 0 ? secretIn(usual.password) : undefined),
  };
}

/**
 * How a server with TLS is verified.
 * @throws UsageError where a file cannot be read
 */
export function readTls(options: Values<typeof tlsTargetOptions>, environment: Environment): TlsSettings {
  return readTlsSettings(options, environment, !options.insecure);
}

/** @throws UsageError where TLS options are given to a scheme without TLS: somebody believes that something is verified */
export function checkTls(options: Values<typeof tlsTargetOptions>, scheme: string, withTls: string): void {
  if (scheme !== withTls)
    for (const [name, given] of Object.entries(options))
      if (name in tlsTargetOptions && given !== undefined && given !== false)
        throw new UsageError(`${name} has no effect for ${scheme}://; write ${withTls}:// for TLS`);
  if ((options['cert-file'] === undefined) !== (options['key-file'] === undefined))
    throw new UsageError('cert-file and key-file need each other; give both');
}

function parseVariable(text: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(text))
    throw new Error('that is not the name of an environment variable');
  return text;
}
