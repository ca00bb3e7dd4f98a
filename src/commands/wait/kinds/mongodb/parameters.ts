import { mongodbMechanisms } from '../../../../clients/mongodb/login.ts';
import { UsageError } from '../../../../core/outcome.ts';

/** What a MongoDB URL's own parameters say, as far as it counts for a wait. */
export interface MongodbParameters {
  /** Undefined where the URL does not say it. */
  readonly tls: boolean | undefined;
  readonly caFile: string | undefined;
  /** A file of both the certificate and its key. */
  readonly certificateKeyFile: string | undefined;
  /** Any certificate, or one for any name, is accepted. */
  readonly insecure: boolean;
  readonly anyName: boolean;
  readonly replicaSet: string | undefined;
  readonly source: string | undefined;
  readonly mechanism: (typeof mongodbMechanisms)[number] | undefined;
  readonly direct: boolean;
  readonly readPreference: (typeof readPreferences)[number];
  readonly srvServiceName: string | undefined;
}

const readPreferences = [
  'primary',
  'primaryPreferred',
  'secondary',
  'secondaryPreferred',
  'nearest',
] as const;

/** What counts here; names are compared without case (https://www.mongodb.com/docs/manual/reference/connection-string-options/). */
const counting = [
  'tls',
  'ssl',
  'tlsCAFile',
  'tlsCertificateKeyFile',
  'tlsInsecure',
  'tlsAllowInvalidCertificates',
  'tlsAllowInvalidHostnames',
  'replicaSet',
  'authSource',
  'authMechanism',
  'directConnection',
  'readPreference',
  'srvServiceName',
] as const;

/** What an application's URL may hold and a wait has no use for. */
const idle: ReadonlySet<string> = new Set(
  [
    'appName compressors zlibCompressionLevel connectTimeoutMS socketTimeoutMS serverSelectionTimeoutMS timeoutMS',
    'serverSelectionTryOnce localThresholdMS heartbeatFrequencyMS serverMonitoringMode waitQueueTimeoutMS',
    'waitQueueMultiple maxPoolSize minPoolSize maxIdleTimeMS maxConnecting readConcernLevel readPreferenceTags',
    'maxStalenessSeconds w journal wtimeoutMS retryReads retryWrites uuidRepresentation loadBalanced srvMaxHosts',
    'tlsDisableOCSPEndpointCheck tlsDisableCertificateRevocationCheck',
  ]
    .join(' ')
    .toLowerCase()
    .split(' '),
);

/** What is refused, and what to do instead. */
const refused: Readonly<Record<string, string>> = {
  tlscertificatekeyfilepassword: 'keys with a password are not supported',
  authmechanismproperties: 'logins by Kerberos, AWS and OIDC are not supported',
  gssapiservicename: 'logins by Kerberos are not supported',
  proxyhost: 'SOCKS5 proxies are not supported',
  proxyport: 'SOCKS5 proxies are not supported',
  tlscrlfile: 'lists of revoked certificates are not supported',
  sslcertificateauthorityfile: 'write tlsCAFile, or ca-file',
  sslclientcertificatekeyfile: 'write tlsCertificateKeyFile, or cert-file and key-file',
  password: 'give password-file or password-env',
};

/**
 * Reads what stands behind the `?`, without the options of the target.
 * @throws UsageError that says what is accepted, and shows no value that may be a secret
 */
export function readMongodbParameters(query: string): MongodbParameters {
  const given = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(part) ?? [];
    const key = name.toLowerCase();
    if (idle.has(key)) continue;
    const why = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (why !== undefined) throw new UsageError(`${name}: ${why}`);
    if (!counting.some((known) => known.toLowerCase() === key))
      throw new UsageError(
        `unknown option${/^[\w.-]{1,40}$/.test(name) ? ` ${name}` : ''} behind the ?; beside those of the target it takes ${counting.join(', ')}`,
      );
    if (given.has(key)) throw new UsageError(`${name} is given twice`);
    given.set(key, decoded(name, value));
  }
  const at = (name: (typeof counting)[number]): string | undefined => given.get(name.toLowerCase());
  const isOn = (name: (typeof counting)[number]): boolean | undefined => readSwitch(name, at(name));
  const [tls, ssl] = [isOn('tls'), isOn('ssl')];
  if (tls !== undefined && ssl !== undefined && tls !== ssl)
    throw new UsageError('tls and ssl are the same, and say different things; use tls');
  return {
    tls: tls ?? ssl,
    caFile: at('tlsCAFile'),
    certificateKeyFile: at('tlsCertificateKeyFile'),
    insecure: isOn('tlsInsecure') === true || isOn('tlsAllowInvalidCertificates') === true,
    anyName: isOn('tlsAllowInvalidHostnames') === true,
    replicaSet: at('replicaSet') || undefined,
    source: at('authSource') || undefined,
    mechanism: choice('authMechanism', at('authMechanism'), mongodbMechanisms),
    direct: isOn('directConnection') === true,
    readPreference: choice('readPreference', at('readPreference'), readPreferences) ?? 'primary',
    srvServiceName: at('srvServiceName') || undefined,
  };
}

function decoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new UsageError(`${name} has a % that begins no percent-encoding; write a % as %25`);
  }
}

function readSwitch(name: string, value: string | undefined): boolean | undefined {
  if (value === undefined || value === 'true' || value === 'false')
    return value === undefined ? undefined : value === 'true';
  throw new UsageError(`${name} is true or false, as ${name}=true`);
}

function choice<C extends readonly string[]>(
  name: string,
  value: string | undefined,
  choices: C,
): C[number] | undefined {
  const found = choices.find((known) => known.toLowerCase() === value?.toLowerCase());
  if (value !== undefined && found === undefined)
    throw new UsageError(`${name} is not one of ${choices.join(', ')}`);
  return found;
}
