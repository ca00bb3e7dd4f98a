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
    | { readonly kind: 'value'; readonly value: FieldValue };
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

export const sourceSchemes = ['vault', 'aws-sm', 'http', 'https', 'file', 'env'] as const;
export type SourceScheme = (typeof sourceSchemes)[number];

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
  /** Safe to print: without userinfo and without the values of a URL's query. */
  readonly text: string;
}

interface SchemeRules {
  readonly example: string;
  /** The options that may follow `?`, each with what its value must be. */
  readonly options: Readonly<Record<string, { readonly pattern: RegExp; readonly accepted: string }>>;
  /** Throws an Error that says what is wrong with the path. */
  readonly check: (path: string) => void;
}

const word = { pattern: /^.+$/s, accepted: 'a name' };

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
  http: { example: 'http://config.internal/app.yaml', options: {}, check: checkUrl },
  https: { example: 'https://config.internal/app.yaml', options: {}, check: checkUrl },
  file: { example: 'file:/etc/config/app.conf', options: {}, check: checkFile },
  env: { example: 'env:LOG_LEVEL, or env:APP_* for all that start so', options: {}, check: checkVariable },
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
  if (scheme === 'http' || scheme === 'https') refuseUnexpanded('url', text, where);
  else if (scheme !== 'file') refuseUnexpanded('name', rest, where);
  if (hasControl(rest)) throw new Error(`${where} has a control character or a line end in it`);
  const parts = rest.split('#');
  if (parts.length > 2) {
    throw new Error(`${where} has more than one #; one # separates the field, as in ${known.example}`);
  }
  const [address = '', field] = parts;
  if (field === '') throw new Error(`${where} names no field after #; as in ${known.example}`);
  const isUrl = scheme === 'http' || scheme === 'https';
  const question = isUrl ? -1 : address.indexOf('?');
  const path = question < 0 ? address : address.slice(0, question);
  if (scheme === 'file') refuseUnexpanded('path', path, where);
  if (path === '') throw new Error(`${where} has no path; write for example ${known.example}`);
  try {
    known.check(path);
  } catch (error) {
    throw new Error(`${where} ${(error as Error).message}`, { cause: error });
  }
  const options = question < 0 ? new Map<string, string>() : readOptions(address.slice(question + 1), scheme);
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
  if (text === '') return `the source is empty; ${accepted}, as in vault:secret/api-server#config`;
  // What stands before the first colon only: the rest may hold a password.
  const said =
    colon < 0 ? 'the source has no scheme' : `unknown scheme ${JSON.stringify(text.slice(0, colon))}`;
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
        `unknown option ${JSON.stringify(name)} after ? in the ${scheme} source; ${names.length > 0 ? `it takes ${names.join(', ')}` : 'it takes none'}`,
      );
    }
    if (!rule.pattern.test(value)) {
      throw new Error(
        `the option ${name} of the ${scheme} source is ${JSON.stringify(value)}, not ${rule.accepted}`,
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
    throw new Error(`has the path segment "${segment}"; write the path as it is, without steps`);
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

function checkUrl(path: string): void {
  const parts = /^\/\/([^/?]*)([^?]*)/.exec(path);
  if (!parts?.[1]) throw new Error('has no host; write for example https://config.internal/app.yaml');
  if (/[\s\\]/.test(path)) throw new Error('has a space or backslash in its URL; encode it as %20 or %5C');
  // Encoded dots are dots to a URL parser (https://url.spec.whatwg.org/#double-dot-path-segment).
  for (const segment of (parts[2] ?? '').split('/')) checkDots(segment.replace(/%2e/gi, '.'));
  if (!URL.canParse(`http:${path}`)) throw new Error('is not a URL: look at its host and port');
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

/** What stands in a URL before the host is never printed. */
function withoutUserinfo(
  scheme: SourceScheme,
  text: string,
  where: string,
  secret: (value: string) => void,
): { readonly rest: string; readonly userinfo?: string } {
  if ((scheme !== 'http' && scheme !== 'https') || !text.startsWith('//')) return { rest: text };
  const { bare, ...taken } = takeUserinfo(text.slice(2), where, secret);
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
    if (signingWord.test(words) || webToken.test(value)) return [{ value, sure: true }];
    const plain = plainNames.has(words) || plainNames.has(name.toLowerCase()) || plainValue.test(value);
    return plain ? [] : [{ value, sure: false }];
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
  for (const { value, sure } of accessIn(path))
    if (sure || value.length >= shortestUnsure) secret(value, sure);
}

/** Shorter ones stand in the log's own words. */
const shortestUnsure = 4;

function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return /[\u0000-\u001f\u007f]/.test(text);
}
