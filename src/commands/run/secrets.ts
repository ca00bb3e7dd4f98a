import type { Position } from '../../clients/yaml/nodes.ts';
import { flagName } from '../../core/options/option.ts';
import { secretAsPath } from '../../core/secret-as-path.ts';
import { passwordIn } from '../../core/userinfo.ts';
import type { StepShape } from './shape.ts';

/**
 * Why a text of a plan is taken for a secret, or undefined. Plans lie in ConfigMaps and repositories, where everybody
 * reads them; a reference such as $(DB_PASSWORD) is none.
 */
export function inlineSecret(text: string): string | undefined {
  const userinfo = /[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:([^\s@]+)@/i.exec(text)?.[1];
  if (userinfo !== undefined && !isReference(userinfo)) return 'a URL with a password';
  const named = assignment.exec(text);
  if (named !== null && !isReference(named[2] ?? '')) return `a value for ${named[1]}`;
  const header =
    /^(authorization|proxy-authorization|cookie|(?:x-)?[\w-]*(?:token|api-?key|secret)): *(?:(?:bearer|basic|token) +)?(\S+)/i.exec(
      text,
    );
  if (header !== null && !isReference(header[2] ?? '')) return `a value for the header ${header[1]}`;
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return 'a private key';
  return undefined;
}

/** `--password=x`, `PGPASSWORD=x`, `api_key: x` within a word; not `--password-file=x`. */
const assignment =
  /((?:[a-z0-9_-]*[_-])?(?:pg)?(?:password|passwd|passphrase|token|secret|api[_-]?key|secret[_-]?access[_-]?key))=(?!\s|$)("[^"]*"|'[^']*'|\S+)/i;

/** A flag whose value, in the next word, is a secret. */
const flagAlone = /^--?(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|token|secret|api[_-]?key)$/i;

/** The index of a word of a command that is a secret, and what it is. */
export function inlineSecretInWords(
  words: readonly string[],
): { readonly index: number; readonly what: string } | undefined {
  for (const [index, word] of words.entries()) {
    const what = inlineSecret(word);
    if (what !== undefined) return { index, what };
    const next = words[index + 1];
    if (flagAlone.test(word) && next !== undefined && !next.startsWith('-') && !isReference(next))
      return { index: index + 1, what: `a value for ${word}` };
  }
  return undefined;
}

/** `$(NAME)`, `$NAME`, `${NAME}`, `$(cat /run/secret)`, whatever fills it in, and `$$…`, which a shell reads. */
function isReference(text: string): boolean {
  return /^["']?\$/.test(text);
}

export function secretWords(what: string): string {
  return `${what} stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)`;
}

/** @returns whether there was none */
export function refuseSecrets({ values }: StepShape, tell: (at: Position, text: string) => void): boolean {
  const found = values.flatMap(({ key, name, texts }) => {
    if (key.kind === 'words') {
      const secret = inlineSecretInWords(texts.map(({ text }) => text));
      return secret === undefined ? [] : [{ name, what: secret.what, at: texts[secret.index]?.at }];
    }
    return texts.flatMap(({ text, at }) => {
      const isFile = key.kind === 'option' && flagName(key.name, key.option).endsWith('-file');
      const what =
        inlineSecret(text) ??
        (isMistypedPassword(text) ? 'an address with a password' : undefined) ??
        (isFile && secretAsPath(text) ? 'a secret in place of the name of its file' : undefined);
      return what === undefined ? [] : [{ name, what, at }];
    });
  });
  for (const { name, what, at } of found) if (at !== undefined) tell(at, `${name}: ${secretWords(what)}`);
  return found.length === 0;
}

/** `http//user:pw@host`, `user:pw@host`; a reference such as $(DB_PASSWORD) is none. */
function isMistypedPassword(text: string): boolean {
  const password = passwordIn(text);
  return password !== undefined && !password.startsWith('$');
}
