import { isDnsName } from '../core/dns-name.ts';
import { quoted, quotedValue } from '../core/misplaced-secret.ts';
import { isOwnWord } from '../core/own-words.ts';
import { refuseUnexpanded } from '../core/template-variables.ts';
import { takeUserinfo } from '../core/userinfo.ts';
import type { Never, NotYet, Probe } from '../wait/attempt.ts';

/** A JSON number whose digits JavaScript would change: `1.10`, `12345678901234567890`. Formats write `text` as it is. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What a field of a secret may hold: JSON with its numbers as they were written, or bytes. */
export type FieldValue =
  | string
  | number
  | boolean
  | null
  | JsonNumber
  | readonly FieldValue[]
  | { readonly [key: string]: FieldValue }
  | Uint8Array;

/** What a source gave. */
export interface Fetched {
  /**
   * Named fields (a Vault secret, a JSON object), or one value: a file's or a body's bytes, a binary secret, or what
   * `#FIELD` picked.
   */
  readonly content:
    | { readonly kind: 'fields'; readonly fields: ReadonlyMap<string, FieldValue> }
    | {
        readonly kind: 'value';
        readonly value: FieldValue;
        /** What it is called where fields are wanted; unset, it must be an object itself. */
        readonly name?: string;
      };
  /** False for what plain http(s) served to anybody: content, which may be read by all. */
  readonly secret: boolean;
  /** What an earlier run wrote is right and stays: it is too large for memory, and the content here is empty. */
  readonly reused?: boolean;
  /** Why there is no such source, after its name: it is optional, and the content here has no fields. */
  readonly absent?: string;
  readonly provenance: Provenance;
  /** Tells from which address, after redirects, the provenance's ETag is. */
  readonly etagOf?: string | undefined;
}

/** Where something came from; never a value. */
export interface Provenance {
  /** The source's address, safe to print. */
  readonly source: string;
  readonly version?: string;
  /** When that version was made or last modified, as the source words it. */
  readonly time?: string;
  readonly etag?: string;
}

/** What one attempt to read a source found. */
export type FetchAnswer = { readonly state: 'fetched'; readonly fetched: Fetched } | NotYet | Never;

/** Reads a source once; it does not loop, sleep, log or exit. */
export type ReadSource = (probe: Probe) => Promise<FetchAnswer>;

/** Schemes of what has fields or is one value. */
export const valueSchemes = [
  'vault',
  'aws-sm',
  'aws-ssm',
  's3',
  'gcp-sm',
  'gs',
  'azure-kv',
  'azure-blob',
  'kubernetes',
  'http',
  'https',
  'file',
  'env',
  'dns',
  'interface',
  'ordinal',
  'time',
] as const;

/** Schemes of what is a tree of files. */
export const treeSchemes = ['git+https', 'git+http', 'git+ssh'] as const;

export const sourceSchemes = [...valueSchemes, ...treeSchemes] as const;
export type SourceScheme = (typeof sourceSchemes)[number];

/** Whether a source is a tree of files, and goes into a folder. */
export function isTree({ scheme }: Pick<SourceAddress, 'scheme'>): boolean {
  return (treeSchemes as readonly string[]).includes(scheme);
}

/** @throws Error where a source is a tree of files, and fields or one value are wanted */
export function refuseTree(address: SourceAddress): void {
  if (isTree(address))
    throw new Error(
      `${address.text} is a tree of files: fetch it into a folder, in a run of its own: initbox fetch-config ${address.scheme}://… --to FOLDER`,
    );
}

/** `SCHEME:PATH?options#FIELD`, taken apart and checked. */
export interface SourceAddress {
  readonly scheme: SourceScheme;
  /** As it was written, not encoded; of http and https, all of the URL after the scheme, less user and password. */
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
  readonly field: string | undefined;
  /** The user and password of a URL, as they were written. */
  readonly userinfo?: string;
  /** True where a specification says that what it gives is no secret. */
  readonly public?: boolean;
  /** True where a specification can do without it: one that does not exist has no keys. */
  readonly optional?: boolean;
  /** The fields that are picked of it afterwards, where several are. */
  readonly wanted?: readonly string[];
  /**
   * Of Vault: the whole answer is wanted, with `data`, `lease_id` and the rest as fields, as templates name them. The path may
   * have the `data/` of a KV version 2 engine in it, as Vault's API does.
   */
  readonly whole?: {
    /** What is sent there, where it is a path that makes something of it. */
    readonly writes?: readonly (readonly [key: string, value: string])[];
  };
  /** Safe to print: without userinfo and without the values of a URL's query. */
  readonly text: string;
}

interface SchemeRules {
  readonly example: string;
  /** The options that may follow `?`, each with what its value must be. */
  readonly options: Readonly<Record<string, { readonly pattern: RegExp; readonly accepted: string }>>;
  /** Throws an Error that says what is wrong with the path, or with options that do not go with it. */
  readonly check: (path: string, options: ReadonlyMap<string, string>) => void;
  /** The fields that `#` may name, where they are known beforehand; none where it is one value. */
  readonly fields?: readonly string[];
}

const word = { pattern: /^.+$/s, accepted: 'a name' };

const gitExample = 'git+https://git.internal/acme/site#v1.2:public';
/** The texts of a list as one, for what cannot hold a list; `\n` stands for a line end, which no argument has. */
const join = { pattern: /^.*$/s, accepted: 'a text' };

/** The fields of an interface, the first of which is any family's. */
export const interfaceFields = ['address', 'ipv4', 'ipv6', 'addresses'] as const;

/** How a time is written. */
export const timeForms = ['iso', 'date', 'unix'] as const;

const rules: Readonly<Record<SourceScheme, SchemeRules>> = {
  vault: {
    example: 'vault:secret/api-server#config',
    options: {
      version: { pattern: /^[1-9]\d{0,17}$/, accepted: 'a version number from 1' },
      kv: { pattern: /^[12]$/, accepted: '1 or 2, the version of the KV engine' },
    },
    check: checkSegments,
  },
  'aws-sm': {
    example: 'aws-sm:prod/api',
    options: { stage: word, version: word },
    check: checkSecretId,
  },
  'aws-ssm': {
    example: 'aws-ssm:/app/key, or aws-ssm:/app/ for all below it',
    options: {
      version: { pattern: /^[1-9]\d{0,17}$/, accepted: 'a version number from 1' },
      label: { pattern: /^[A-Za-z_][\w.-]{0,99}$/, accepted: 'the label of a version' },
    },
    check: checkParameter,
  },
  s3: {
    example: 's3://BUCKET/KEY',
    options: {
      version: word,
      region: { pattern: /^[a-z0-9-]{2,40}$/, accepted: 'a region such as eu-central-1' },
    },
    check: (path, options) => checkObject(path, options, 's3'),
  },
  'gcp-sm': {
    example: 'gcp-sm:PROJECT/NAME',
    options: {
      version: {
        pattern: /^(?:latest|[1-9]\d{0,17}|[A-Za-z][\w-]{0,62})$/,
        accepted: 'latest, a version number from 1, or an alias of a version',
      },
    },
    check: checkGoogleSecret,
  },
  gs: {
    example: 'gs://BUCKET/OBJECT',
    options: { version: { pattern: /^[1-9]\d{0,19}$/, accepted: 'the number of a generation' } },
    check: (path, options) => checkObject(path, options, 'gs'),
  },
  'azure-kv': {
    example: 'azure-kv:VAULT/NAME',
    options: { version: { pattern: /^[\da-f]{32}$/i, accepted: 'the 32 digits of a version' } },
    check: checkAzureSecret,
  },
  'azure-blob': {
    example: 'azure-blob://ACCOUNT/CONTAINER/BLOB',
    options: {
      version: {
        pattern: /^\d{4}-\d\d-\d\dT[\d:.]{8,16}Z$/,
        accepted: 'the ID of a version such as 2026-11-27T20:15:00.1234567Z',
      },
    },
    check: checkBlob,
  },
  kubernetes: {
    example: 'kubernetes:secret/NAME#KEY, or kubernetes:configmap/NAMESPACE/NAME',
    options: {},
    check: checkStoredKeys,
  },
  http: { example: 'http://config.internal/app.yaml', options: {}, check: (path) => checkUrl(path) },
  https: { example: 'https://config.internal/app.yaml', options: {}, check: (path) => checkUrl(path) },
  file: { example: 'file:/etc/config/app.conf', options: {}, check: checkFile },
  env: { example: 'env:LOG_LEVEL, or env:APP_* for all that start so', options: {}, check: checkVariable },
  'git+https': { example: gitExample, options: {}, check: checkRepository },
  'git+http': { example: gitExample, options: {}, check: checkRepository },
  'git+ssh': {
    example: 'git+ssh://git@git.internal/acme/site#v1.2:public',
    options: {},
    check: checkSshRepository,
  },
  dns: {
    example: 'dns:redis-headless, or dns:redis-headless?type=A&min=3',
    options: {
      type: { pattern: /^(a|aaaa|srv)$/i, accepted: 'A, AAAA or SRV' },
      min: { pattern: /^[1-9]\d{0,4}$/, accepted: 'a number of records from 1' },
      join,
    },
    check: checkHost,
    fields: [],
  },
  interface: {
    example: 'interface:eth0#ipv4',
    options: { join },
    check: checkInterface,
    fields: interfaceFields,
  },
  ordinal: {
    example: 'ordinal:HOSTNAME',
    options: { plus: { pattern: /^-?\d{1,9}$/, accepted: 'a whole number of at most nine digits' } },
    check: checkOrdinal,
    fields: [],
  },
  time: { example: 'time:iso', options: {}, check: checkTime, fields: [] },
};

/**
 * Reads `SCHEME:PATH?options#FIELD`. A grammar of our own: URL parsers resolve `..`, which would name another secret,
 * and cut a `#` off.
 * @param secret gets whatever must never be printed; `sure` is false of what only may be a credential
 * @throws Error that says what is wrong and what is accepted
 */
export function parseSource(text: string, secret: (value: string, sure?: boolean) => void): SourceAddress {
  const colon = text.indexOf(':');
  const scheme = text.slice(0, Math.max(0, colon)).toLowerCase() as SourceScheme;
  refuseUnexpanded('name', text.slice(0, colon < 0 ? text.length : colon), 'the source');
  if (!Object.hasOwn(rules, scheme)) throw new Error(unknownScheme(text, colon));
  const known = rules[scheme];
  const where = `the ${scheme} source`;
  const { rest, userinfo } = withoutUserinfo(scheme, text.slice(colon + 1), where, secret);
  const isGit = isTree({ scheme });
  if (scheme === 'http' || scheme === 'https' || isGit) refuseUnexpanded('url', text, where);
  else if (scheme !== 'file') refuseUnexpanded('name', rest, where);
  if (hasControl(rest)) throw new Error(`${where} has a control character or a line end in it`);
  const parts = rest.split('#');
  if (parts.length > 2) {
    throw new Error(
      `${where} has more than one #; one # separates the ${isGit ? 'branch, tag or commit' : 'field'}, as in ${known.example}`,
    );
  }
  const [address = '', field] = parts;
  if (field === '')
    throw new Error(
      `${where} names no ${isGit ? 'branch, tag or commit' : 'field'} after #; as in ${known.example}`,
    );
  const isUrl = scheme === 'http' || scheme === 'https' || isGit;
  const question = isUrl ? -1 : address.indexOf('?');
  const path = question < 0 ? address : address.slice(0, question);
  if (scheme === 'file') refuseUnexpanded('path', path, where);
  if (path === '') throw new Error(`${where} has no path; write for example ${known.example}`);
  const options = question < 0 ? new Map<string, string>() : readOptions(address.slice(question + 1), scheme);
  try {
    known.check(path, options);
    if (isGit && field !== undefined) parseRevision(field);
  } catch (error) {
    throw new Error(`${where} ${(error as Error).message}`, { cause: error });
  }
  if (field !== undefined) checkField(field, known, where);
  if (isUrl) registerQuery(path, secret);
  return {
    scheme,
    path,
    options,
    field,
    ...(userinfo === undefined ? {} : { userinfo }),
    text: `${scheme}:${isUrl ? path.replace(/\?.*$/s, '?…') : address}${field === undefined ? '' : `#${field}`}`,
  };
}

function unknownScheme(text: string, colon: number): string {
  const accepted = `sources are ${sourceSchemes.map((name) => `${name}:`).join(', ')}`;
  if (/^(?:ssh:\/\/)?git@[\w.-]+[:/]/.test(text))
    return `the source has no scheme; a repository by SSH is written git+ssh://git@HOST/PATH`;
  if (text === '') return `the source is empty; ${accepted}, as in vault:secret/api-server#config`;
  // What stands before the first colon only: the rest may hold a password.
  const said =
    // Neither where it may be a token, or a user and password whose @ was lost.
    !/^[a-z][a-z0-9+.-]{0,19}:/.test(text) || text.includes('@')
      ? 'the source has no scheme'
      : `unknown scheme ${JSON.stringify(text.slice(0, colon))}`;
  return `${said}; ${accepted}, as in vault:secret/api-server#config`;
}

function readOptions(text: string, scheme: SourceScheme): Map<string, string> {
  const known = rules[scheme].options;
  const options = new Map<string, string>();
  for (const part of text.split('&')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? '' : part.slice(equals + 1);
    const rule = Object.hasOwn(known, name) ? known[name] : undefined;
    if (rule === undefined) {
      const names = Object.keys(known);
      throw new Error(
        `unknown option ${quotedValue(name)} after ? in the ${scheme} source; ${names.length > 0 ? `it takes ${names.join(', ')}` : 'it takes none'}`,
      );
    }
    if (!rule.pattern.test(value)) {
      throw new Error(
        `the option ${name} of the ${scheme} source is ${quotedValue(value, 80)}, not ${rule.accepted}`,
      );
    }
    if (options.has(name)) throw new Error(`the option ${name} of the ${scheme} source is given twice`);
    options.set(name, value);
  }
  return options;
}

/** A server would answer `a/../b` and `a//b` with a redirect to another secret. */
function checkSegments(path: string): void {
  for (const segment of path.split('/')) {
    if (segment === '')
      throw new Error('has an empty path segment: no slash at its start or end, and none doubled');
    checkDots(segment);
  }
}

function checkDots(segment: string): void {
  if (segment === '.' || segment === '..') {
    throw new Error(`has the path segment ${quoted(segment)}; write the path as it is, without steps`);
  }
}

/**
 * Names and ARNs (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: letters, digits
 * and /_+=.@-); `!` stands in the names of secrets that other AWS services manage.
 */
function checkSecretId(path: string): void {
  if (path.startsWith('arn:')) {
    if (!/^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+$/.test(path)) {
      throw new Error(
        'is not the ARN of a secret; one looks like arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME',
      );
    }
  } else if (!/^[A-Za-z0-9/_+=.@!-]{1,512}$/.test(path)) {
    throw new Error('has a name with other characters than letters, digits and /_+=.@!-');
  }
}

/**
 * Names, paths and ARNs (https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html: letters,
 * digits and _.-, in levels that slashes separate).
 */
function checkParameter(path: string, options: ReadonlyMap<string, string>): void {
  const [, name] = /^arn:[a-z-]+:ssm:[a-z0-9-]+:\d{12}:parameter(\/[^:]+)$/.exec(path) ?? [];
  if (path.startsWith('arn:') && name === undefined) {
    throw new Error(
      'is not the ARN of a parameter; one looks like arn:aws:ssm:REGION:ACCOUNT:parameter/NAME',
    );
  }
  const whole = name ?? path;
  if (whole.includes(':'))
    throw new Error('has a : in its name; a version is written ?version=3, and a label ?label=NAME');
  if (!/^[A-Za-z0-9_.\-/]{1,1011}$/.test(whole))
    throw new Error('has a name with other characters than letters, digits and _.-, between slashes');
  if (whole.includes('//')) throw new Error('has an empty path segment: none of its slashes may be doubled');
  if (whole.includes('/') && !whole.startsWith('/'))
    throw new Error(`has a name with a slash that does not begin with one; write /${whole}`);
  if (!whole.endsWith('/')) {
    if (options.has('version') && options.has('label'))
      throw new Error('has a version and a label; one of them says which is meant');
    return;
  }
  if (name !== undefined) throw new Error('is an ARN that ends with a slash; AWS lists paths by their names');
  if (options.has('version'))
    throw new Error('is a path, of whose parameters each has versions of its own; a label may name them');
}

/**
 * Names of buckets (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html); a key has at most 1,024 bytes,
 * and is a part of a URL, in which segments of dots would be steps.
 */
function checkObject(path: string, options: ReadonlyMap<string, string>, scheme: 's3' | 'gs'): void {
  const example = `${scheme}://BUCKET/${scheme === 's3' ? 'KEY' : 'OBJECT'}`;
  const [, bucket = '', key = ''] = /^\/\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
  // Of Cloud Storage, one that is a domain may be longer (https://cloud.google.com/storage/docs/buckets#naming).
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/i.test(bucket) || (scheme === 's3' && bucket.length > 63))
    throw new Error(`has no name of a bucket; write ${example}`);
  if (key === '' && !path.endsWith('/')) throw new Error(`names no object; write ${example}`);
  if (Buffer.byteLength(key) > 1024) throw new Error('has a key longer than 1,024 bytes');
  for (const segment of key.split('/')) checkDots(segment.replace(/%2e/gi, '.'));
  if (path.endsWith('/') && options.has('version'))
    throw new Error('is a prefix, of whose objects each has versions of its own');
}

/**
 * `NAME`, `PROJECT/NAME`, or the whole name (https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets);
 * a project of a domain has a colon in it.
 */
function checkGoogleSecret(path: string): void {
  checkSegments(path);
  if (/^projects\/.*\/versions\//.test(path))
    throw new Error('has a version in its path; write it behind the name, as in ?version=3');
  const [, project, location, whole] =
    /^projects\/([^/]+)(?:\/locations\/([^/]+))?\/secrets\/([^/]+)$/.exec(path) ?? [];
  const [name = '', before, more] = whole === undefined ? path.split('/').toReversed() : [whole, project];
  if (more !== undefined) throw new Error('is not NAME, PROJECT/NAME or projects/PROJECT/secrets/NAME');
  if (!/^[\w-]{1,255}$/.test(name))
    throw new Error('has a name with other characters than letters, digits, _ and -');
  if (before !== undefined && !/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(before))
    throw new Error('names a project with other characters than small letters, digits and -');
  if (location !== undefined && !/^[a-z0-9-]{2,40}$/.test(location))
    throw new Error('names a location that is not one such as europe-west3');
}

/** Names of vaults and secrets (https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates). */
function checkAzureSecret(path: string): void {
  const [vault = '', name, more] = path.split('/');
  if (name === undefined || more !== undefined) throw new Error('is not VAULT/NAME');
  if (!/^[a-z][a-z0-9-]{1,22}[a-z0-9]$/i.test(vault))
    throw new Error('names a vault that has not 3 to 24 letters, digits and hyphens');
  if (!/^[a-z0-9-]{1,127}$/i.test(name))
    throw new Error('has a name with other characters than letters, digits and hyphens');
}

/** Names of accounts, containers and blobs (https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata). */
function checkBlob(path: string, options: ReadonlyMap<string, string>): void {
  const [, account = '', container = '', slash, blob = ''] =
    /^\/\/([^/]*)\/?([^/]*)(\/?)(.*)$/s.exec(path) ?? [];
  if (!/^[a-z0-9]{3,24}$/.test(account))
    throw new Error(
      'names no account of 3 to 24 small letters and digits; write azure-blob://ACCOUNT/CONTAINER/BLOB',
    );
  if (!/^(?:\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62})$/.test(container))
    throw new Error(
      'names no container of 3 to 63 small letters, digits and hyphens; write azure-blob://ACCOUNT/CONTAINER/BLOB',
    );
  if (slash === '') throw new Error('names no blob; write azure-blob://ACCOUNT/CONTAINER/BLOB');
  if (Buffer.byteLength(blob) > 4096) throw new Error('has a name longer than 4,096 bytes');
  for (const segment of blob.split('/')) checkDots(segment.replace(/%2e/gi, '.'));
  if (path.endsWith('/') && options.has('version'))
    throw new Error('is a prefix, of whose objects each has versions of its own');
}

/** What gives one body, which may be large. */
export function isBodySource({ scheme }: Pick<SourceAddress, 'scheme'>): boolean {
  return scheme === 'http' || scheme === 'https' || isStoredObject({ scheme });
}

/** An object of a cloud’s store, or all below a prefix of one. */
export function isStoredObject({ scheme }: Pick<SourceAddress, 'scheme'>): boolean {
  return scheme === 's3' || scheme === 'gs' || scheme === 'azure-blob';
}

/** All objects below a prefix: what fills a folder. */
export function isObjectPrefix({ scheme, path }: Pick<SourceAddress, 'scheme' | 'path'>): boolean {
  return isStoredObject({ scheme }) && path.endsWith('/');
}

/** As `wait kubernetes:` names objects (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/). */
function checkStoredKeys(path: string): void {
  const [kind = '', ...place] = path.split('/');
  if (!/^(?:secrets?|configmaps?|cm)$/i.test(kind) || place.length < 1 || place.length > 2)
    throw new Error('is not a Secret or ConfigMap; write secret/NAME or configmap/NAMESPACE/NAME');
  const [name = '', namespace] = place.toReversed();
  if (namespace !== undefined && !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace))
    throw new Error(
      `names the namespace ${quoted(namespace)}: it has small letters, digits and - in between`,
    );
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name))
    throw new Error(`has the name ${quoted(name)}: one has small letters, digits, - and . in between`);
}

function checkUrl(path: string, example = 'https://config.internal/app.yaml'): void {
  const parts = /^\/\/([^/?]*)([^?]*)/.exec(path);
  if (!parts?.[1]) throw new Error(`has no host; write for example ${example}`);
  if (/[\s\\]/.test(path)) throw new Error('has a space or backslash in its URL; encode it as %20 or %5C');
  // Encoded dots are dots to a URL parser (https://url.spec.whatwg.org/#double-dot-path-segment).
  for (const segment of (parts[2] ?? '').split('/')) checkDots(segment.replace(/%2e/gi, '.'));
  if (!URL.canParse(`http:${path}`)) throw new Error('is not a URL: look at its host and port');
}

function checkSshRepository(path: string): void {
  if (/^\/\/[^/[\]]*:(?!\d{1,5}(?:\/|$))/.test(path))
    throw new Error(
      'has a : without a port behind its host; write git+ssh://git@HOST/PATH, not git@HOST:PATH',
    );
  checkRepository(path);
}

function checkRepository(path: string): void {
  if (path.includes('?')) throw new Error('has a ? in it: the address of a repository has no query');
  checkUrl(path, gitExample);
  if (/^\/\/[^/]*\/*$/.test(path))
    throw new Error(`names a host and no repository; write for example ${gitExample}`);
}

/** What of a repository is meant: `REF:PATH`, `REF` or `:PATH`. */
export interface Revision {
  /** A branch, a tag, `refs/…`, or the full hash of a commit; undefined for the default branch. */
  readonly ref: string | undefined;
  /** Names of folders, and at the end of a folder or file; none for the whole tree. */
  readonly path: readonly string[];
}

/** The full hash of an object: of SHA-1 40 digits, of SHA-256 64. */
const fullHash = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export function isFullHash(ref: string): boolean {
  return fullHash.test(ref);
}

/**
 * Reads what stands after the # of a repository's address.
 * @throws Error that follows the source's name
 */
export function parseRevision(text: string | undefined): Revision {
  const [, said = '', colon, inside = ''] = /^([^:]*)(:?)(.*)$/s.exec(text ?? '') ?? [];
  if (colon === ':' && inside.replaceAll('/', '') === '' && said === '')
    throw new Error('names nothing after #; write #REF, #REF:PATH or #:PATH');
  const path = inside.split('/').filter((name) => name !== '');
  for (const name of path) {
    checkDots(name);
    if (name.toLowerCase() === '.git') throw new Error('has .git in its path, which no commit holds');
  }
  const ref = fullHash.test(said.toLowerCase()) ? said.toLowerCase() : said;
  // What no ref's name may have (git-check-ref-format(1)); the rest the server will not know.
  if (/[\s~^?*[\\]|\.\.|@\{|^[-/]|\/\/|[/.]$|\.lock$/.test(ref))
    throw new Error(
      `has ${quoted(ref)} after #, which cannot be the name of a branch or tag: #main, #v1.2 or the 40 digits of a commit`,
    );
  return { ref: ref === '' ? undefined : ref, path };
}

function checkFile(path: string): void {
  if (!path.startsWith('/'))
    throw new Error('names no absolute path; write for example file:/etc/config/app.conf');
}

function checkVariable(path: string): void {
  if (!/^[^=*\s/]+\*?$|^\*$/.test(path)) {
    throw new Error('names no variable; write for example env:LOG_LEVEL, or env:APP_* for all that start so');
  }
}

function checkHost(path: string): void {
  if (!isDnsName(path))
    throw new Error(
      'names no DNS name: labels have 1 to 63 letters, digits, hyphens or underscores, a name at most 253',
    );
}

/** The kernel takes any 15 bytes but blanks and slashes (dev_valid_name in net/core/dev.c). */
function checkInterface(path: string): void {
  if (!/^[^\s/]{1,15}$/.test(path) || (path.includes('*') && path !== '*'))
    throw new Error('names no interface; write for example interface:eth0, or interface:* for any');
}

function checkOrdinal(path: string): void {
  if (!/^[^=*\s/]+$/.test(path))
    throw new Error('names no variable; write for example ordinal:HOSTNAME, or ordinal:POD_NAME');
}

function checkTime(path: string): void {
  if (!(timeForms as readonly string[]).includes(path))
    throw new Error(`is none of ${timeForms.map((form) => `time:${form}`).join(', ')}`);
}

function checkField(field: string, { fields, example }: SchemeRules, where: string): void {
  if (fields === undefined || fields.includes(field)) return;
  throw new Error(
    fields.length === 0
      ? `${where} is one value, of which # picks no field; as in ${example}`
      : `${where} has no field ${JSON.stringify(field)}; its fields are ${fields.join(', ')}`,
  );
}

/** What stands in a URL before the host is never printed. */
function withoutUserinfo(
  scheme: SourceScheme,
  text: string,
  where: string,
  secret: (value: string, sure?: boolean) => void,
): { readonly rest: string; readonly userinfo?: string } {
  if ((scheme !== 'http' && scheme !== 'https' && !isTree({ scheme })) || !text.startsWith('//'))
    return { rest: text };
  // The user by which a repository is reached over ssh, and often over https, is none.
  const plain = scheme === 'git+ssh' ? /^[^@:/?#]*@/ : /^git@/;
  const isPlain = isTree({ scheme }) && plain.test(text.slice(2));
  const { bare, ...taken } = takeUserinfo(text.slice(2), where, isPlain ? () => {} : secret);
  return { rest: `//${bare}`, ...taken };
}

/**
 * Words in the names of parameters that sign or authorise a URL, as S3, Azure's SAS, GitLab and others name them: what only
 * resembles one counts, since a secret that is taken for content is readable by all. `author` is none.
 */
const signingWord =
  /token|secret|session|passw|pwd|passphrase|passcode|credential|signature|signed|bearer|auth(?!ors?(?![a-z]))|jwt|api-?key|access-?key|(?<![a-z])(key|sig|sas|pass|pin|otp|pat|cred|creds|sid|ticket|hmac|assertion|code|verify|st|md5)(?![a-z])/;

/**
 * Names of parameters that say what is asked for. The value of any other is taken for a credential, since nobody knows all
 * the names that these have: Akamai's `hdnea`, nginx's `st` and `md5`, Cloudflare's `verify`, `code` of Azure's functions.
 */
const plainNames: ReadonlySet<string> = new Set(
  `accept action alt app application arch architecture archive at author authors branch build bucket category channel charset
  cluster cmp column columns command commit component compress compression config count country cursor data database date datacenter
  day db dc default delay delimiter depth design detail details dir direction directory disposition distro dl domain download dry-run edition
  encoding end env environment event exclude expand expires ext extension fields file filename filter flavor flavour flags folder force
  format from full group health host hostname id-only image in include index inline input instance interval job keyword keywords kind
  label labels lang language last level libc license limit list locale location major max max-keys max-results media metric metrics minor min
  mime mode model module month name namespace namespaces ns number object offset only op operation order order-by org organization os
  output owner package page page-size pagesize params part partition path per-page pinned platform plugin pod pods policy port prefix pretty
  product profile project projects property protocol provider q quality query range raw recursive ref refs region release repo
  repository resolution response-content-disposition response-content-type revision role rows schema scheme scope search section
  select sep separator service services severity sha sha1 sha256 short show sidebar since site size skip sort sort-by source spec stage start
  status step stream subset suffix system table tag tags target team template tenant text theme time timeout timestamp timezone title
  to top topic tree type types tz unit units until update uri user username utm-campaign utm-medium utm-source v value variant
  verbose version versions view wait warehouse watch week width year zone`
    .split(/\s+/)
    .concat(
      'x-amz-algorithm',
      'x-amz-date',
      'x-amz-expires',
      'x-amz-signedheaders',
      'x-goog-algorithm',
      'x-goog-date',
    ),
);

/** Switches and numbers, under whatever name that is not one of a credential. */
const plainValue = /^(?:\d{1,10}|true|false|yes|no|on|off|json|yaml|xml|text|all|main|master|latest)$/i;

/** A JSON Web Token, whatever it is called. */
const webToken = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Parts of a path that give access: the webhooks of Slack (https://api.slack.com/messaging/webhooks), Discord
 * (https://discord.com/developers/docs/resources/webhook) and Teams, and bots of Telegram (https://core.telegram.org/bots/api).
 */
const secretsInPath = [
  /\/services\/(T[A-Z0-9]{6,}\/B[A-Z0-9]{6,}\/[A-Za-z0-9]{16,})/,
  /\/webhooks\/(\d{15,}\/[\w-]{30,})/,
  /\/webhookb2\/([^?#]{30,})/i,
  /\/bot(\d{6,}:[\w-]{30,})/,
];

/** The values of a URL that give access: those of its query that are not known to be none, and webhooks in its path. */
export function signingValues(path: string): string[] {
  return accessIn(path).map(({ value }) => value);
}

interface Access {
  readonly value: string;
  /** Of a parameter. */
  readonly name?: string;
  /** False where only its name is not known. */
  readonly sure: boolean;
}

function accessIn(path: string): Access[] {
  const [, before = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/s.exec(path) ?? [];
  const inPath = secretsInPath.map((pattern) => ({ value: pattern.exec(before)?.[1] ?? '', sure: true }));
  const inQuery = [...new URLSearchParams(query)].flatMap(([name, value]) => {
    // `?TOKEN`: a name without a value is a switch, unless it is as long as credentials are.
    if (value === '') return name.length >= 20 ? [{ value: name, sure: false }] : [];
    const words = wordsOf(name);
    if (signingWord.test(words) || webToken.test(value)) return [{ name, value, sure: true }];
    const plain = plainNames.has(words) || plainNames.has(name.toLowerCase()) || plainValue.test(value);
    return plain ? [] : [{ name, value, sure: false }];
  });
  return [...inPath, ...inQuery].filter(({ value }) => value !== '');
}

/** `clientSecret`, `client_secret` and `client.secret` as `client-secret`. */
function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])(?=[A-Z])/g, '$1-')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .toLowerCase();
}

/** Tells which values of a URL must not be printed, and of which it is sure that they are credentials. */
export function registerQuery(path: string, secret: (value: string, sure?: boolean) => void): void {
  for (const { name, value, sure } of accessIn(path))
    if (name !== undefined && isOwnWord(value)) secret(`${name}=${value}`, sure);
    else if (sure || value.length >= shortestUnsure) secret(value, sure);
}

/** Shorter ones stand in the log's own words. */
const shortestUnsure = 4;

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return /[\u0000-\u001f\u007f]/.test(text);
}
