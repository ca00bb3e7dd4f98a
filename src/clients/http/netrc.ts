import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readSecretFile } from '../../fs/input-file.ts';

/** One `machine`, or `default` where it has no host. */
export interface NetrcEntry {
  readonly host: string | undefined;
  login: string | undefined;
  password: string | undefined;
}

/** Users and passwords by host, as curl reads them from a .netrc file. */
export class Netrc {
  readonly #entries: readonly NetrcEntry[];

  constructor(entries: readonly NetrcEntry[]) {
    this.#entries = entries;
  }

  /**
   * The Authorization header for a server: of the first entry with a password that is for its host, or for all; where
   * none has one, of the first with a user, and no password.
   * @param userinfo of the URL: of a user alone, the password is looked up, and of a user with a password nothing is
   */
  authorization({ hostname }: URL, userinfo: string | undefined): string | undefined {
    if (userinfo?.includes(':') === true) return undefined;
    const host = bare(hostname);
    const fitting = this.#entries.filter(
      (entry) =>
        (entry.host === undefined || bare(entry.host) === host) &&
        (userinfo === undefined || entry.login === userinfo),
    );
    const found =
      fitting.find(({ password }) => password !== undefined) ??
      fitting.find(({ login }) => login !== undefined);
    return found && basic(found.login ?? '', found.password ?? '');
  }
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function bare(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}

/**
 * Reads a netrc file, and registers its passwords as secrets, also as they are sent.
 * @throws UsageError naming the file and line, never what is in it
 */
export function readNetrc(
  path: string,
  { redactor }: { readonly redactor: Pick<Redactor, 'secret'> },
): Netrc {
  const entries = parseNetrc(readSecretFile({ text: path, origin: '--netrc-file' }), path);
  for (const { login = '', password } of entries) {
    if (password === undefined) continue;
    refuseUnexpanded('secret', password, `--netrc-file: ${path}`);
    redactor.secret(password);
    redactor.secret(basic(login, password).slice('Basic '.length));
  }
  return new Netrc(entries);
}

/**
 * As curl's netrc.c does: words at blanks and line ends, or in double quotes with escapes; what begins with # is a comment
 * until the end of its line; a macro (macdef) ends with an empty line.
 * @throws UsageError for a quote that has no end
 */
export function parseNetrc(text: string, path: string): NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let entry: NetrcEntry | undefined;
  let expected: 'host' | 'login' | 'password' | undefined;
  let inMacro = false;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (inMacro) {
      inMacro = line !== '';
      continue;
    }
    for (const word of wordsOf(line, () => `--netrc-file: line ${index + 1} of ${path}`)) {
      if (expected === 'host') entries.push((entry = { host: word, login: undefined, password: undefined }));
      else if (expected === 'login' && entry !== undefined) entry.login = word;
      // The first, as curl takes it.
      else if (expected === 'password' && entry !== undefined) entry.password ??= word;
      else if (/^machine$/i.test(word)) {
        expected = 'host';
        continue;
      } else if (/^default$/i.test(word))
        entries.push((entry = { host: undefined, login: undefined, password: undefined }));
      else if (/^(login|password)$/i.test(word) && entry !== undefined) {
        expected = word.toLowerCase() as 'login' | 'password';
        continue;
      } else if (/^macdef$/i.test(word)) {
        inMacro = true;
        break;
      }
      expected = undefined;
    }
  }
  return entries;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function wordsOf(line: string, where: () => string): string[] {
  const words: string[] = [];
  for (let at = 0; ;) {
    while (line[at] === ' ' || line[at] === '\t') at++;
    if (at >= line.length || line[at] === '#') return words;
    if (line[at] !== '"') {
      const start = at;
      while (at < line.length && !/\s/.test(line[at] ?? '')) at++;
      words.push(line.slice(start, at));
      // Other blanks, such as a form feed, end a word as well.
      at++;
      continue;
    }
    let word = '';
    for (at++; line[at] !== '"'; at++) {
      if (line[at] === '\\') {
        at++;
        word += escapes[line[at] ?? ''] ?? line[at] ?? '';
      } else word += line[at] ?? '';
      if (at >= line.length) throw new UsageError(`${where()} has a double quote that is not closed`);
    }
    at++;
    words.push(word);
  }
}
