import { lstatSync } from 'node:fs';

import type { Environment } from './context.ts';
import {
  holdsSecret,
  isCutPassword,
  refusalOfPath,
  refusalOfUrl,
  refusalOfWord,
} from './misplaced-secret.ts';
import { UsageError } from './outcome.ts';

/** What a text is read as, which decides where a reference can have been meant as it is. */
export type Meaning =
  /**
   * A file's or folder's path, or a socket's. It may be called `$(X)`, where one of that very name exists, and
   * `Outer$Inner.class` may be made: a mere `$NAME` is a reference where it is all of a component, in capitals.
   */
  | 'path'
  /** A path, or the address of a source. */
  | 'place'
  /** A URL: its host, its user and password, and what comes after. */
  | 'url'
  /** A host, an address, a port, a key: no `$` in it is meant. */
  | 'word'
  /** A name that a server knows: a role, a region, a secret's path. Names with a `$` exist. */
  | 'name'
  /** A token or key that a server made: no reference stands anywhere in it. */
  | 'token'
  /** A password: anything may stand in it, but it does not consist of references. */
  | 'secret';

/**
 * Refuses a text that still holds a reference which somebody meant to be replaced, one of blanks alone, as a template
 * leaves where a value is missing, a path that is `-`, by which other programs mean standard input or output, what looks like a
 * secret, and a URL whose host is none, before anybody asks for its address. A path and a URL are never empty; what another empty text means is for the caller to judge.
 * @param where names the text in the message: `--to`, `DATABASE_URL`, `the path`
 * @throws UsageError that names the reference, and none of the rest of the text; of a token and a secret its signs alone, as
 *   what stands between them may be the secret's own
 */
export function refuseUnexpanded(meaning: Meaning, text: string, where: string): void {
  if (isPath(meaning) && text === '-')
    throw new UsageError(
      `${where}: - does not stand for standard input or output here; write ./- for a file of that name`,
    );
  if (text === '' && (isPath(meaning) || meaning === 'url')) throw new UsageError(`${where} is empty`);
  // A path is looked for only where its text is suspicious: its volume may not answer.
  if (text.trim() === '' && (!isPath(meaning) || !existsSoFar(text))) refuseBlank(text, where);
  const why = unexpandedIn[meaning](text);
  if (why !== undefined) throw new UsageError(`${where} cannot be used: ${why}`);
  refuseMisplaced(meaning, text, where);
}

/** Why a text cannot be what is meant, as what stands there is a secret, or may be one. */
const misplacedAs: Partial<Record<Meaning, (text: string) => string | undefined>> = {
  // It is looked for only where its text is suspicious: its volume may not answer.
  path(text) {
    const why = refusalOfPath(text);
    return why === undefined || exists(text) ? undefined : why;
  },
  place: refusalOfWord,
  url: refusalOfUrl,
  word: refusalOfWord,
  name: refusalOfWord,
};

function refuseMisplaced(meaning: Meaning, text: string, where: string): void {
  const why = misplacedAs[meaning]?.(text);
  if (why !== undefined) throw new UsageError(`${where}: ${why}`);
}

/** As refuseUnexpanded, for variables; what is not set or empty says nothing. */
export function refuseUnexpandedVariables(
  meanings: Readonly<Record<string, Meaning>>,
  environment: Environment,
): void {
  for (const [name, meaning] of Object.entries(meanings))
    if (environment[name]) refuseUnexpanded(meaning, environment[name], name);
}

function isPath(meaning: Meaning): boolean {
  return meaning === 'path' || meaning === 'place';
}

/** @throws UsageError where a text consists of blanks and line ends */
export function refuseBlank(text: string, where: string): void {
  if (text !== '' && text.trim() === '')
    throw new UsageError(`${where} is blank: it has ${blanksOf(text)} and nothing else`);
}

function blanksOf(text: string): string {
  if (/^ +$/.test(text)) return text.length === 1 ? 'a blank' : `${text.length} blanks`;
  return 'blanks and line ends';
}

const unexpandedIn: Readonly<Record<Meaning, (text: string) => string | undefined>> = {
  path: inPath,
  place: inPath,
  url: inUrl,
  word: (text) => unexpanded(text),
  name: (text) => unexpanded(text, false),
  token: unexpandedInSecret,
  secret: inSecret,
};

/**
 * Says which reference a text still holds: `$(DB_HOST)`, which Kubernetes leaves as it is where DB_HOST is not set;
 * `${DB_HOST}` and `$DB_HOST`, which are a shell's; `{{ … }}`, a template's, and the `<no value>` that Go's templates
 * write.
 * @param bare false where a name after a mere `$` may be meant so
 */
export function unexpanded(text: string, bare = true): string | undefined {
  // Most texts: no pattern need be compiled for them, at every start.
  if (!text.includes('$') && !text.includes('{{') && !text.includes('<')) return undefined;
  const why = namedReference(text, bare);
  return why === undefined || !mayHoldPassword(text) ? why : withoutName(why, text);
}

/** What follows a `$` may be a part of a password. */
function mayHoldPassword(text: string): boolean {
  return holdsSecret(text) || isCutPassword(text);
}

function withoutName(why: string, text: string): string {
  return signsOf(why, text) ?? `a $ in it begins a name that was not replaced by a value; ${onlyKubernetes}`;
}

function namedReference(text: string, bare: boolean): string | undefined {
  const [whole, inParentheses, inBraces, alone] =
    /\$(?:\(([^()]*)\)|\{([^{}]+)|([A-Za-z_]\w*))/.exec(bare ? text : text.replace(/\$+(?=\w)/g, '')) ?? [];
  if (whole !== undefined) {
    const [name] = /^[A-Za-z_][\w.-]*/.exec(inParentheses ?? inBraces ?? alone ?? '') ?? [inBraces ?? alone];
    if (inParentheses !== undefined && inParentheses !== name)
      return `the shell's ${whole.length > longest ? '$(…)' : whole} in it was not run; there is no shell that reads it`;
    return `the variable ${name} in it was not replaced by a value; Kubernetes replaces $(${name}) in args, and in env entries below ${name}, and only where this container's env sets ${name}`;
  }
  const [expression] = /\{\{[^{}]*(\}\})?/.exec(text) ?? [];
  if (expression !== undefined)
    return `the template's ${expression.length > longest ? '{{ … }}' : expression} in it was not filled in; give Kubernetes what the template makes (helm template, helm install)`;
  const [nothing] = /<no value>|<nil>/.exec(text) ?? [];
  if (nothing !== undefined)
    return `${JSON.stringify(nothing)} in it is what a template writes where a value is missing; give it that value`;
  return undefined;
}

/** As unexpanded, of a text that is a secret: with nothing of what stands between the signs, which may be its own. */
export function unexpandedInSecret(text: string): string | undefined {
  const why = namedReference(text, false);
  return why === undefined ? undefined : signsOf(why, text);
}

const onlyKubernetes = `Kubernetes replaces $(NAME) in args, and in env entries below NAME, and only where this container's env sets NAME`;

/** The same words without what stands between the signs; nothing where a mere `$` begins a name. */
function signsOf(why: string, text: string): string | undefined {
  if (/^"<(no value|nil)>"/.test(why)) return why;
  const [sign] = /\$\(|\$\{|\{\{/.exec(text) ?? [];
  if (sign === '$(')
    return `a $(…) in it was not replaced by a value; ${onlyKubernetes}, and no shell reads it`;
  if (sign === '${')
    return `a \${…} in it was not replaced by a value; ${onlyKubernetes}, and no shell reads it`;
  if (sign === '{{')
    return "a template's {{ … }} in it was not filled in; give Kubernetes what the template makes (helm template, helm install)";
  return undefined;
}

/** Characters of what stands between braces: of more nothing is shown, since in a part of it nobody would know a secret. */
const longest = 60;

/** A path is meant as it is where something exists under that very name. */
function inPath(text: string): string | undefined {
  const why = unexpandedInPath(text);
  if (why === undefined || existsSoFar(text)) return undefined;
  return `${why}; a path that is really called so is taken where it exists`;
}

function unexpandedInPath(path: string): string | undefined {
  return (
    unexpanded(path, false) ??
    path
      .split('/')
      .filter(isVariable)
      .map((part) => unexpanded(part))[0]
  );
}

/** As variables are called by custom; names such as `$data.conf` and `$RECYCLE.BIN` are files' own. */
function isVariable(component: string): boolean {
  return /^\$[A-Z_][A-Z0-9_]*$/.test(component);
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Down to the last component with a reference in it; what lies below may have to be made. */
function existsSoFar(path: string): boolean {
  const parts = path.split('/');
  const last = parts.findLastIndex((part) => unexpandedInPath(part) !== undefined);
  try {
    lstatSync(last < 0 ? path : parts.slice(0, last + 1).join('/'));
    return true;
  } catch {
    return false;
  }
}

/** `{{ … }}`, in whose strings braces may stand. */
const template = String.raw`\{\{(?:"(?:[^"\\]|\\.)*"|\x60[^\x60]*\x60|[^{}"\x60])*\}\}`;
const reference = String.raw`(?:\$\([^()]*\)|\$\{[^{}]*\}|${template}|<no value>|<nil>)`;

/** What stands before a URL's path, after the `//`. A reference in it may hold a `/`: `${HOST:-a/b}`. */
const authorityAndRest = new RegExp(String.raw`^((?:${reference}|[^/?#])*)(.*)$`, 's');

const userBefore = new RegExp(String.raw`^(?:${reference}|[^:])*`, 's');

function inUrl(text: string): string | undefined {
  const why = inPartsOfUrl(text);
  // No password ends at an `@`: what looks like a port may be one.
  return why !== undefined && isCutPassword(text) ? withoutName(why, text) : why;
}

function inPartsOfUrl(text: string): string | undefined {
  const [, scheme] = /^((?:[a-z][a-z0-9+.:-]*:)?\/\/)/i.exec(text) ?? [];
  if (scheme === undefined) return unexpanded(text);
  const [, authority = '', rest = ''] = authorityAndRest.exec(text.slice(scheme.length)) ?? [];
  const at = authority.lastIndexOf('@');
  // What looks like a host and a port may be the beginning of a user and password with a raw `/`: others say so.
  if (at < 0 && rest.includes('@') && /:.*\D/.test(authority))
    return inUserOf(authority) ?? unexpandedHosts(authority);
  const inCredentials = at < 0 ? undefined : unexpandedCredentials(authority.slice(0, at));
  // After the host a `$` is one of the characters of a URL: OData's $metadata.
  const inRest = unexpanded(rest, false);
  return (
    inCredentials ??
    unexpanded(decoded(authority.slice(at + 1))) ??
    (inRest && `${inRest}; where it is meant so, write $ as %24 and { as %7B`)
  );
}

/** A user is a name: only a password may have a reference's characters in it. */
function unexpandedCredentials(userinfo: string): string | undefined {
  const password = userinfo.slice(userOf(userinfo).length + 1);
  return (
    inUserOf(userinfo) ?? [password, ...password.split(':')].map(inSecret).find((why) => why !== undefined)
  );
}

function inUserOf(userinfo: string): string | undefined {
  return unexpanded(userOf(userinfo), false);
}

/** What stands before the first colon that is not a reference's own: `${USER:-app}`. */
function userOf(userinfo: string): string {
  return userBefore.exec(userinfo)?.[0] ?? '';
}

/** A host as a URL's parser reads it: what is encoded in it means the same. */
function decoded(host: string): string {
  try {
    return decodeURIComponent(host);
  } catch {
    return host;
  }
}

/**
 * Says which reference stands in the hosts and ports at the beginning of what follows a URL's `//`; nothing where that
 * may be a user and the beginning of a password.
 */
function unexpandedHosts(rest: string): string | undefined {
  const [, authority = ''] = authorityAndRest.exec(rest) ?? [];
  const bare = authority.replace(new RegExp(reference, 'g'), '');
  return /^(?:(?:\[[^\]]*\]|[^@:,[\]]*)(?::\d*)?(?:,|$))*$/.test(bare)
    ? unexpanded(authority, false)
    : undefined;
}

const onlyReferences = new RegExp(String.raw`^\s*(?:${reference}\s*)+$`);

function inSecret(text: string): string | undefined {
  return onlyReferences.test(text) ? unexpandedInSecret(text) : undefined;
}

const plainReferences =
  /^\s*(?:(?:\$\([A-Za-z_][\w.-]*\)|\$\{[A-Za-z_][\w.-]*\}|\{\{(?=[^{}]*[.\s])[-\s\w.$|"'()/]*\}\}|<no value>|<nil>)\s*)+$/;

/**
 * True where a text is no more than the names of what should have stood there: it is no secret, and to hide it would hide
 * what the error is about. Narrower than what is refused: a shell's words and a template's other characters may be a
 * password's.
 */
export function isReference(text: string): boolean {
  return plainReferences.test(text);
}
