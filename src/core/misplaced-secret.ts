import { isOwnWord } from './own-words.ts';
import { hidePasswords, type Hides } from './userinfo.ts';

/*
 * A secret that stands where a path, a word or an address is meant: the error about it must not show it. What looks like one is
 * known by its shape alone, so that whatever quotes a text of the user's asks here (`quoted`), and the redactor is told of it before
 * anything is read (`hideMisplaced`).
 */

/** A part of a text that is a secret, or looks like one. */
interface Part {
  readonly value: string;
  /** False where the text may be an ordinary path or URL, of which only this part looks random. */
  readonly sure: boolean;
}

/** Shorter pieces stand in ordinary words. */
const shortestPiece = 4;

/**
 * How tokens and keys begin: Vault's (with a capital: `hvs.vault.svc` is a host), JWTs, those of AWS, GitHub, GitLab, Slack, Google,
 * Stripe, npm, SendGrid and Tailscale.
 */
const beginnings = new RegExp(
  `^(?:${[
    String.raw`hv[sbr]\.[\w-]*[A-Z]`,
    String.raw`[sbr]\.(?=\w*[A-Z])[A-Za-z0-9]{20}`,
    String.raw`eyJ[\w-]{8}`,
    'A[KS]IA[A-Z0-9]{12}',
    String.raw`gh[pousr]_\w`,
    'github_pat_',
    String.raw`glpat-[\w-]{16}`,
    'xox[a-z]-',
    String.raw`AIza[\w-]{30}`,
    String.raw`ya29\.[\w-]{16}`,
    String.raw`[sr]k_(?:live|test)_\w{8}`,
    String.raw`npm_[A-Za-z0-9]{20}`,
    String.raw`SG\.[\w-]{10,}\.[\w-]{10}`,
    'tskey-[a-z]+-[A-Za-z0-9]{6}',
  ].join('|')})`,
);

/** Keys that are known by their beginning wherever they stand, in either case: those of age (https://age-encryption.org). */
const keyAnywhere = /AGE-(?:PLUGIN-[A-Z0-9]+-|SECRET-KEY-)1[A-Z0-9]{8,}/gi;

/** What crypt(3) makes of a password, as /etc/shadow and htpasswd have it. */
const crypted = /\$(?:1|2[abxy]|5|6|7|y|gy|argon2i?d?|apr1|sha1|scrypt)\$[\w./$,=+-]{12,}/g;

/** A token of k3s, with the password of its cluster (https://docs.k3s.io/cli/token). */
const clusterToken = /K10[0-9a-f]{20,}::\S+/g;

/** Lines of a body of PEM without its armour, as keys begin: PKCS #8, PKCS #1, SEC 1 and OpenSSH's. */
const keyBody =
  /(?<![\w+/])(?:b3BlbnNzaC1rZXktdjE|MI(?:G|I|E|H)[A-Z][A-Za-z0-9+/]{3}|MC4CAQAwBQYDK2V)[A-Za-z0-9+/=]{32,}/g;

/** Names of secrets that only some programs write so: of Azure, Google, Docker, WireGuard, in shells, and in other languages. */
const namedElsewhere =
  /(?<![\w-])["']?(?:[\w-]*[_-]pass|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)|private[_-]?key(?:[_-]?data)?|preshared[_-]?key|(?<=[?&])sig|(?<=")auth(?=")|пароль|passwort|kennwort|contraseña|senha)["']?\s*[=:]\s*(?:"([^"]*)"|'([^']*)'|([^\s"'&,;}\])]+))/giu;

/** `<password>x</password>` */
const namedElement = /<[\w.:-]*(?:password|passwd|passphrase|token|secret|apikey|api-key)>([^<]+)<\//gi;

/** Whoever knows the address of such a hook may write there. */
const hook = /hooks\.slack\.com\/services\/([\w/-]+)/gi;

/** Characters of format, some of which are not seen at all: a name of a secret with one in it is one still. */
const unseen = /[\p{Cf}]/gu;

/** `Authorization: Bearer …`, `Bearer …`. */
const header = /^(?:[\w-]+:\s+)?(?:bearer|basic|token)\s+(\S+)/i;

/** PEM's armour (RFC 7468), also where hyphens of it are lost. */
const armour = /-{2,}\s*BEGIN [A-Z0-9 ]+/;

/** PostgreSQL's password file: host, port, database, user and password (libpq, "The Password File"). */
const passfileLine = /^(?:[^:\\\s]|\\.)*:(?:\d+|\*):(?:[^:\\\n]|\\.)+:(?:[^:\\\n]|\\.)+:(.{1,1024})$/gm;

/** https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html */
const netrcEntry = /(?:^|\s)(?:machine\s+\S+|default)\s/;
const netrcWord = /(?:^|\s)(?:password|account)\s+(\S+)/g;

/** `password=…`, `"token": "…"`, `PGPASSWORD=…`: names of what is secret, with a value. */
const named =
  /(?<![\w-])["']?[\w-]*(?:password|passwd|passphrase|pwd|token|api[_-]?key|access[_-]?key|secret[_-]?key|client-key-data|secret(?==))["']?\s*[=:]\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'&,;}\])]+))/gi;

/** A file's name in place of which its content may stand. */
const namedFile = /(?<![\w-])[\w-]*-file=([^\s"'&,;}\])/]+)/gi;

/** What stands behind such a name and is none: a path, the address of a source, a switch. */
const plainValue =
  /^(?:[./~]|[a-z][a-z0-9+-]*:|(?:true|false|yes|no|none|null|required|optional|prefer|disable)$)/i;

const atMark = /@|＠|%(?:25)*40/gi;
const colonMark = /[:;：]|%(?:25)*3a/i;
/** `user: word @host` is an address, and a sentence with blanks elsewhere is none. */
const blanksAtMarks = /(?<=[:;：@＠])\s+|\s+(?=[:;：@＠])|^\s+|\s+$/g;

const slash = String.raw`(?:[/\\]|%(?:25)*2f)`;
const colon = String.raw`(?:[:;.：]|%(?:25)*3a)`;

/** What stands in front of a user or host, in any damaged spelling: `https://`, `http//`, `https:\\`, `//`, `"x:/`, `jdbc:x://`. */
const schemeStep = new RegExp(
  String.raw`^[\s"'(<=\ufeff]*(?:\w+=["']?)?(?:jdbc:)?(?:[a-z][a-z0-9+.-]*(?:${colon}+\s*${slash}+|${slash}{2,})|:?${slash}{2,}|:${slash}+)\s*`,
  'i',
);
/** The same behind a folder's path, as of a relative path that was made absolute. */
const schemeInside = new RegExp(
  String.raw`(?<=[\s/"'=(,])[a-z][a-z0-9+.-]*(?:[:;]|%(?:25)*3a)\s*${slash}+`,
  'i',
);

/** Sources and others whose `a:b@c` has a meaning of its own, without a password in it. */
const ownGrammar =
  /^(?:vault|aws-sm|aws-ssm|gcp-sm|azure-kv|kubernetes|s3|gs|azure-blob|file|env|unix|mailto|npm):(?!\/\/)/i;
const harmless = /^(?:mailto:|npm:|(?:aws-\w+:)?arn:)|@sha\d+:|^[a-z]{2,3}_[a-z]{2}(?:\.utf-?8)?@[a-z]+$/i;

/** Hosts and ports with nothing else, in a list. */
const plainHosts = /^(?:(?:\[[^\]\s]*\]|[^:;@[\]\s,%|"'<>{}\\]+)?(?::\d*)?(?:,|$))*$/;

/** An IP address, or a part of one. */
const address = /^(?:[\da-f:]*|\d+(?:\.\d+){3}(?::\d+)?|localhost)$/i;

/** A host that is one label with a capital or a `_`, and more behind it that is not a parameter: a token with a raw `/`, `?` or `#`. */
const tokenBeforeMark = /^(?=[^/?#]*[A-Z_])[\w-]+(?:[/#]|\?(?![\w.-]+=))/;

/** References that nobody replaced; of these others say more. */
const references = /\$\([\w.-]*\)|\$\{[\w.-]*\}|\{\{[^{}]*\}\}|<no value>|<nil>/g;

/** A text that has three kinds of characters and the length of a password. */
function looksRandom(text: string): boolean {
  return text.length >= 8 && /[a-z]/.test(text) && /[A-Z]/.test(text) && /\d/.test(text);
}

/** Characters that a word of random ones has at least, in place of a path. */
const randomWord = 20;

/** Names have words in them, and an ending. */
function isRandomWord(text: string): boolean {
  return (
    text.length >= randomWord &&
    /^[\w+=.~-]+$/.test(text) &&
    looksRandom(text) &&
    new Set(text).size >= randomWord * 0.6 &&
    !/\.[a-z]{2,10}$|[a-z]{8}/.test(text)
  );
}

/** The parts of a text that are secrets. */
function partsOf(text: string): readonly Part[] {
  // Most texts: no pattern need be compiled for them, at every start.
  if (!mayHold(text)) return [];
  const parts: Part[] = [];
  const sure = (value: string): void => void parts.push({ value, sure: true });
  const seen = text.replace(unseen, '');
  if (seen !== text) parts.push(...partsOf(seen));
  for (const shape of [keyAnywhere, crypted, clusterToken, keyBody])
    for (const [key] of text.matchAll(shape)) parts.push(...piecesOf(key, true));
  for (const [, path = ''] of text.matchAll(hook)) parts.push(...piecesOf(path, true));
  if (armour.test(text)) for (const [word] of text.matchAll(/[\w+/=]{16,}/g)) sure(word);
  if (beginnings.test(text)) sure(text.trim());
  const [, credentials] = header.exec(text) ?? [];
  if (credentials !== undefined) sure(credentials);
  if (!/^[\da-f:.[\]]*$/i.test(text))
    for (const [, password = ''] of text.matchAll(passfileLine)) sure(password);
  if (netrcEntry.test(text)) for (const [, word = ''] of text.matchAll(netrcWord)) sure(word);
  for (const { value, whole } of namedIn(text)) {
    if (isOwnWord(value)) sure(whole);
    else parts.push(...piecesOf(value, true));
  }
  for (const [, value = ''] of text.matchAll(namedFile)) if (looksRandom(value)) sure(value);
  parts.push(...text.split(/[\r\n]+/, mostLines).flatMap(partsOfAddress));
  return parts.filter(
    ({ value }) => value.trim().length >= shortestPiece && value.replace(references, '').trim() !== '',
  );
}

/** What is named a secret in a text: its value, and the name with it. */
function namedIn(text: string): readonly { readonly value: string; readonly whole: string }[] {
  const all = [named, namedElsewhere, namedElement].flatMap((shape) => [...text.matchAll(shape)]);
  return all.flatMap(({ index, ...found }) => {
    const value = valueIn(found);
    if (plainValue.test(value) || isNameAfter(text, index, value)) return [];
    const isFolder = /[\w.-]\/$|^[./~]*\/$/.test(text.slice(0, index)) && !/[?\s]/.test(text.slice(0, index));
    // `/srv/password=reset/page`
    if (isFolder && !value.split('/').some(looksRandom)) return [];
    return [{ value, whole: found[0] ?? '' }];
  });
}

function valueIn(found: { readonly [group: number]: string | undefined }): string {
  return found[1] ?? found[2] ?? found[3] ?? '';
}

/** Options and keys whose value names a variable: `header-env`, INITBOX_HEADER_ENV. */
const namingKey = /[-_]env$/i;

/** True for an option or key whose value is the name of a variable, or HEADER=VARIABLE. */
export function takesVariable(key: string): boolean {
  return namingKey.test(key);
}

/** True where the value of an assignment in a text is a variable's name: `header-env=X-Api-Key=PARTNER_KEY`. */
function isNameAfter(text: string, index: number, value: string): boolean {
  return /-env=["']?$/i.test(text.slice(0, index)) && isVariableName(value);
}

/** A variable's name as people write it: words of letters, in one case, with a number at most. A password is rarely like that. */
const conventional = /^(?:_*[A-Z]+\d{0,3}(?:_+[A-Z]*\d{0,3})*|_*[a-z]+\d{0,3}(?:_+[a-z]+\d{0,3})+)$/;

/** True where a word looks like a token or a random password, and so like no name. */
export function looksSecret(word: string): boolean {
  return beginnings.test(word) || looksRandom(word);
}

/** What stands around a word in a text. */
const betweenWords = /[\s"'`=,:;@/?&#()<>[\]{}|]+/;

/** True where a text has a token in it whose beginning says what it is, and whose rest is too random for a name. */
export function holdsToken(text: string): boolean {
  return text.split(betweenWords).some(isTokenWord);
}

function isTokenWord(word: string): boolean {
  if (word.length < randomWord || !beginnings.test(word) || !looksRandom(word)) return false;
  // Any JSON in base64 begins as a JWT does.
  return !word.startsWith('eyJ') || word.includes('.');
}

/** True where a text is `VARIABLE` or `HEADER=VARIABLE`, with a variable's name that may be shown. */
export function isVariableName(text: string): boolean {
  const name = /^[\w!#$%&'*+.^`|~-]+=(.*)$/s.exec(text)?.[1] ?? text;
  return conventional.test(name) && !beginnings.test(name);
}

/** Of a document that stands where a word is meant. */
const mostLines = 1000;

/** Characters of the shortest key that has no sign in it. */
const shortestKey = 24;

function mayHold(text: string): boolean {
  return (
    text.length >= shortestKey ||
    text.includes(':') ||
    text.includes('@') ||
    text.includes('%') ||
    text.includes('=') ||
    text.includes(' ') ||
    text.includes('＠') ||
    text.includes('//') ||
    beginnings.test(text)
  );
}

/** The user and password of a text that is one address, however it is spelled. */
function partsOfAddress(text: string): readonly Part[] {
  if (harmless.test(text)) return [];
  const own = ownGrammar.exec(text)?.[0] ?? '';
  let rest = text.slice(own.length);
  let hasScheme = false;
  const inside = /^[./~]/.test(rest) && !rest.startsWith('//') ? schemeInside.exec(rest) : null;
  if (inside !== null) rest = rest.slice(inside.index);
  for (let step = schemeStep.exec(rest); step !== null; step = schemeStep.exec(rest)) {
    hasScheme = true;
    rest = rest.slice(step[0].length);
  }
  const marks = [...rest.matchAll(atMark)];
  const last = marks.at(-1)?.index;
  const authority = (/^(?:\$\([^()]*\)|\$\{[^{}]*\}|\{\{[^{}]*\}\}|[^/?#])*/.exec(rest)?.[0] ?? '').replace(
    references,
    '1',
  );
  if (last === undefined) {
    if (!hasScheme || plainHosts.test(authority)) return [];
    const [whole, lost] = splitAtColon(authority);
    // An IPv6 address without its brackets is none, nor is the host behind the `@` that was lost.
    return piecesOf(lost ?? whole, lost !== undefined).filter(({ value }) => !address.test(value));
  }
  const userinfo = rest.slice(0, last);
  // What looks like a host, a port and a path may be just that: `host:80/users/@me`, `/srv/a:b@c`.
  const isPlain = hasScheme
    ? plainHosts.test(authority) && !authority.endsWith(':')
    : /^[^:]*:\d*[/?#]/.test(rest) || /^[./~]/.test(rest) || /\s/.test(rest.replace(blanksAtMarks, ''));
  const [user, password] = splitAtColon(userinfo);
  if (password !== undefined) {
    const pieces = piecesOf(isPlain ? userinfo : password, !isPlain);
    // A token that has a colon behind it, and no password.
    return pieces.some(({ value }) => /\w{4}/.test(value)) ? pieces : piecesOf(user, false);
  }
  if (!hasScheme) return piecesOf(user, false);
  const isToken = /[/?#]/.test(user) ? tokenBeforeMark.test(user) : user.length >= 16;
  return piecesOf(user, isToken);
}

function splitAtColon(text: string): readonly [before: string, behind?: string] {
  const found = colonMark.exec(text);
  return found === null
    ? [text]
    : [text.slice(0, found.index), text.slice(found.index + found[0].length).replace(/^[:;：\s]+/, '')];
}

/** A password, and what a reader of addresses that takes some of its characters for others makes of it. */
function piecesOf(password: string, sure: boolean): readonly Part[] {
  if (password.replace(references, '').trim() === '') return [];
  const pieces = password
    .split(/[\s/?#@:;\\$(){}<>|^"'`,&=[\]＠：\u2028\u2029]+|%(?:25)*[0-9a-f]{2}/i)
    .filter((piece) => piece.length >= shortestPiece && !isOwnWord(piece));
  if (!sure) return [password, ...pieces].filter(looksRandomWhole).map((value) => ({ value, sure: false }));
  return [...new Set([password, ...decodedOnce(password), ...pieces])].map((value) => ({
    value,
    sure: true,
  }));
}

function looksRandomWhole(text: string): boolean {
  return looksRandom(text) && !/[\s/?#]/.test(text);
}

function decodedOnce(text: string): readonly string[] {
  if (!text.includes('%')) return [];
  try {
    return [decodeURIComponent(text)];
  } catch {
    return [];
  }
}

/** True where a text has more than one line: what is meant to be a path, a word or an address has one. */
function hasLines(text: string): boolean {
  return /[\r\n]/.test(text.trim());
}

/**
 * Registers what of a text of the user's looks like a secret: an argument, an option, a variable, a field of a plan. Whatever
 * repeats it then, as it is or in an encoding, does not show it.
 */
export function hideMisplaced(text: string, redactor: Hides): void {
  hidePasswords(text, redactor);
  // Readers of hosts and words give them one case.
  for (const { value } of partsOf(text))
    for (const form of new Set([value, value.toLowerCase(), value.toUpperCase()])) redactor.secret(form);
}

/** Names of variables that hold addresses, paths and words for this program and the libraries in it. */
const ownVariable =
  /^(?:INITBOX_|PG|VAULT_|BAO_|AWS_|KUBE|SSL_CERT_|OTEL_|NATS_|REDIS|MONGO|MYSQL|KAFKA|AMQP|RABBITMQ|INFLUX|TEMPORAL|CURL_)|(?:PROXY|URL|URI|ADDR|ADDRESS|DSN|ENDPOINT|HOST|SERVER|NETRC)$/i;

/** As hideMisplaced, of the variables that messages may quote. */
export function hideMisplacedInVariables(
  environment: Readonly<Record<string, string | undefined>>,
  redactor: Hides,
): void {
  for (const name of Object.keys(environment))
    if (ownVariable.test(name)) hideMisplacedIn(name, environment[name] ?? '', redactor);
}

/** As hideMisplaced, of the value of an option, a variable or a field: where that is a variable's name, it is shown. */
export function hideMisplacedIn(key: string, text: string, redactor: Hides): void {
  if (!takesVariable(key)) return hideMisplaced(text, redactor);
  for (const one of text.split(',')) if (!isVariableName(one.trim())) hideMisplaced(one, redactor);
}

/** As hideMisplaced, of each word of a command line. */
export function hideMisplacedInWords(words: readonly string[], redactor: Hides): void {
  for (const [index, word] of words.entries()) hideMisplacedIn(words[index - 1] ?? '', word, redactor);
}

function hideNamed(text: string, redactor: Hides): void {
  for (const { value } of namedIn(text))
    if (value.length >= shortestPiece && !isOwnWord(value)) redactor.secret(value);
}

/** As hideMisplaced, of each text in a document: a plan, a specification, a kubeconfig. */
export function hideMisplacedInDocument(value: unknown, redactor: Hides): void {
  const left: (readonly [key: string, value: unknown])[] = [['', value]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [within, inner] = next;
    if (typeof inner === 'string') hideMisplacedIn(within, inner, redactor);
    else if (Array.isArray(inner)) for (const one of inner) left.push([within, one]);
    else if (typeof inner === 'object' && inner !== null)
      for (const [key, one] of Object.entries(inner)) {
        left.push(['', key], [key, one]);
        if (typeof one === 'string') hideNamed(`${key}="${one}"`, redactor);
      }
  }
}

/** What is said of a text in place of the text. */
export const notShown = 'what stands there looks like a secret';

/**
 * A text of the user's as a message quotes it: every message that repeats one asks for it here.
 * @returns the text in quotes, or words in its place where it looks like a secret, or has one in it
 */
export function quoted(text: string): string {
  if (!isShown(text)) return `(${notShown})`;
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return /["\u0000-\u001f]/.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Characters of a mistyped number, duration, mode, owner or word: none that is right has more. */
const longestWord = 32;
/** And of a path in its place. */
const longestPath = 200;

/** Signs that no such value has, right or mistyped, and characters that are not seen. */
const foreignSigns = /[\p{C}\p{Zl}\p{Zp}"'`<>|\\^;&!#?]/u;

/** `u=rwX` of a mode; `=` has no other place in such a value. */
const modeClauses = /^[ugoa]*[=+-][rwxXstugo]*(?:,[ugoa]*[=+-][rwxXstugo]*)*,?$/;

/** A word for a secret, and one behind it. */
const toldSecret =
  /(?:password|passwort|passwd|passphrase|pwd|secret|token|kennwort|парол\p{L}*|contraseña|senha|mot de passe)[\s:]+\S/iu;

/** Kinds of characters that follow each other in a word: so often they change in random ones alone. */
const manyChanges = 4;

/** As secret keys of AWS are: 40 characters of base64, in which a slash may be. */
const keyOfForty = /^\/?[A-Za-z0-9+/]{40}$/;

/** True for letters and digits in a row as nobody types them. */
function isJumbled(word: string): boolean {
  const changes = word.match(/[a-z]+|[A-Z]+|\d+/g)?.length ?? 0;
  return looksRandom(word) && changes > manyChanges;
}

/** True for a text that may be a mistyped value of a closed form, or a path or flag in its place, and so may be shown. */
function mayBeMistyped(text: string, most: number): boolean {
  const bare = text
    .trim()
    .replace(/^(["'])(.*)\1$/s, '$2')
    .replace(references, '');
  const isPath = /^(?:\.{0,2}|~)\//.test(bare);
  if (bare.length > (isPath ? longestPath : most) || foreignSigns.test(bare) || toldSecret.test(bare))
    return false;
  if (bare.includes('=') && !bare.startsWith('--') && !modeClauses.test(bare)) return false;
  return !(keyOfForty.test(bare) && looksRandom(bare)) && !bare.split(/[^A-Za-z0-9]+/).some(isJumbled);
}

/** A text of which nothing is shown, in words. */
export function describedText(text: string): string {
  const hidden = /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? ', some of them unseen' : '';
  return `(a text of ${text.length} character${text.length === 1 ? '' : 's'}${hidden})`;
}

/**
 * As `quoted`, for a value of a closed form: a number, a duration, a size, a mode, an owner, one of some words, a short name. A text
 * that cannot be a mistyped one is described and not shown, whatever it is: not all secrets are known by their shape. None is cut:
 * in its beginning nobody would know a secret any more.
 * @param most characters that such a value may have
 */
export function quotedValue(text: string, most = longestWord): string {
  return quotedPart(text, text, most);
}

/** As `quotedValue`, for a part of such a value: the whole is judged. */
export function quotedPart(part: string, whole: string, most = longestWord): string {
  if (!isShown(whole) || !isShown(part)) return `(${notShown})`;
  return mayBeMistyped(whole, most) ? quoted(part) : describedText(part);
}

/** As `quoted`, for signs that mark something: letters are none. @param most characters that they may have */
export function quotedSigns(text: string, most: number): string {
  if (!isShown(text)) return `(${notShown})`;
  return text.length > most || text.split(/[^A-Za-z0-9]+/).some(isJumbled)
    ? describedText(text)
    : quoted(text);
}

function isShown(text: string): boolean {
  return !hasLines(text) && partsOf(text).length === 0;
}

/** A message about a text of the user's, without the text where that must not be shown. */
export function withoutSecrets(said: string, text: string): string {
  if (text.length < shortestPiece || !said.includes(text) || isShown(text)) return said;
  return said.replaceAll(`"${text}"`, `(${notShown})`).replaceAll(text, `(${notShown})`);
}

/** As `quoted`, for words that stand without quotes in sentences. */
export function shownWord(text: string): string {
  return isShown(text) ? text : `(${notShown})`;
}

/** As `quoted`, for paths, which stand without quotes in sentences. */
export function shownPath(path: string): string {
  if (!isShown(path) || looksLikeFileContent(path)) return `(${notShown})`;
  return mayBeFileName(path) ? path : describedText(path);
}

/** Characters of the name of one file that people give: systems take 255. */
const longestName = 100;

/** True for a name that a file may have; what begins as a path is one. */
function mayBeFileName(text: string): boolean {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) return false;
  if (/^(?:\.{0,2}|~)\//.test(text)) return true;
  if (/[="]|:\s/.test(text) || toldSecret.test(text) || (keyOfForty.test(text) && looksRandom(text)))
    return false;
  return text
    .split('/')
    .every((part) => part.length <= longestName && (/\.[a-z]{2,10}$/.test(part) || !isJumbled(part)));
}

/** True where a text that should be a file's name looks like what should be in that file. */
function looksLikeFileContent(text: string): boolean {
  if (/^[./~]/.test(text)) return hasLines(text);
  return (
    hasLines(text) ||
    isDocument(text) ||
    beginnings.test(text) ||
    /^[\w-]+:\s*\S+|^(?:bearer|basic|token)\s+\S/i.test(text) ||
    isRandomWord(text)
  );
}

/** A document in place of a word: PEM, a password file, netrc, a kubeconfig. */
function isDocument(text: string): boolean {
  return (
    armour.test(text) ||
    // What is wrong with an address that has a line end, its reader says.
    (hasLines(text) && !/^\s*[a-z][a-z0-9+.-]*:\/\//i.test(text) && partsOf(text).length > 0) ||
    (netrcEntry.test(text) && /\spassword\s/.test(text)) ||
    (text.includes(':') && !/^[\da-f:.[\]]*$/i.test(text) && text.search(passfileLine) === 0) ||
    // JSON; `{{` begins a template's words.
    /^\s*(?:\{\s*"|\[\s*["{[])/.test(text) ||
    /^\s*apiVersion:\s/.test(text)
  );
}

/** What to say in place of such a file's name, which is not shown; undefined where the name may be shown. */
export function secretAsPath(path: string): string | undefined {
  return looksLikeFileContent(path) ? asFile : undefined;
}

const asFile =
  'what stands there looks like the secret itself; write it into a file, and give the path of that file';

/** Why a text cannot be the path that is meant; undefined where it can. */
export function refusalOfPath(path: string): string | undefined {
  const hasMark = hasLines(path) && /[:@=]/.test(path);
  return hasMark || isDocument(path) || partsOf(path).some(({ sure }) => sure) ? asFile : undefined;
}

/** Why a text cannot be the word, name or address that is meant; undefined where it can. */
export function refusalOfWord(text: string): string | undefined {
  return isDocument(text) ? notShown : undefined;
}

/** A second scheme in place of the host; after `http://host//x` a path follows. */
const twoSchemes =
  /^\s*[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?(?:[a-z][a-z0-9+.-]*:\/\/|(?:https?|ftp|wss?|postgres(?:ql)?|rediss?|mysql|amqps?|file|git):?\/\/)/i;

/**
 * Characters that no host has, and that readers of URLs take: they would look for an address of it. Others they refuse themselves.
 */
const noHost = /[;'"`|<>{}()^=$!*&~]|%(?:25)*(?:40|3a|3b|22|27|7c)/i;

/** Why a text cannot be the URL that is meant: what stands where its host should is no host. */
export function refusalOfUrl(text: string): string | undefined {
  const word = refusalOfWord(text);
  if (word !== undefined) return word;
  if (twoSchemes.test(text)) return 'it has two schemes';
  const [, authority] = /^\s*(?:[a-z][a-z0-9+.-]*:)+\/\/([^/?#]*)/i.exec(text.replace(references, '1')) ?? [];
  const hosts = authority?.slice(authority.lastIndexOf('@') + 1).split(',') ?? [];
  return hosts.some((host) => noHost.test(host.replace(/^\[[^\][]*\]/, '').replace(/:\d*$/, '')))
    ? 'its host has a character that no host has; the colon before a password and the @ behind it stand as they are, and other signs in it are encoded'
    : undefined;
}

/** True where a text has a part that looks like a secret: of nothing in it the name is told. */
export function holdsSecret(text: string): boolean {
  return partsOf(text).length > 0;
}

/** True where what looks like a port is none, and so may be a password whose `@` was lost: of no reference in it the name is told. */
export function isCutPassword(text: string): boolean {
  if (harmless.test(text) || ownGrammar.test(text)) return false;
  const filled = /\$\{[^{}]*\}|\$\([^()]*\)/g;
  const whole = text.replace(references, '').replace(filled, '').replace(filled, '');
  const bare = whole.replace(/:\$\w+(?=$|[,/?#])/g, ':').replace(/^(?:jdbc:)?[a-z][a-z0-9+.-]*:\/\//i, '');
  const [authority = ''] = /^[^/?#]*/.exec(bare) ?? [];
  if (authority.includes('@') || /\s/.test(authority)) return false;
  return authority
    .split(',')
    .map((host) => host.replace(/^\[[^\][]*\]/, ''))
    .some((host) => /:.*\D/.test(host) && !address.test(host));
}

/** Registers such a file's name, which other messages may quote. */
export function hideSecretAsPath(text: string, redactor: Hides): void {
  if (!looksLikeFileContent(text) || hasLines(text)) return;
  redactor.secret(text);
  const word = text.split(/\s/).at(-1) ?? '';
  if (word.length >= 8) redactor.secret(word);
}
