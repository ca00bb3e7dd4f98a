import type { Position } from '../../clients/yaml/nodes.ts';
import { holdsToken, looksSecret, secretAsPath, takesVariable } from '../../core/misplaced-secret.ts';
import { flagName, type Option } from '../../core/options/option.ts';
import { passwordIn } from '../../core/userinfo.ts';
import type { StepShape } from './shape.ts';

/**
 * Why a text of a plan is taken for a secret, or undefined. Plans lie in ConfigMaps and repositories, where everybody
 * reads them; a reference such as $(DB_PASSWORD) is none.
 */
export function inlineSecret(text: string): string | undefined {
  const userinfo = /[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:([^\s@]+)@/i.exec(text)?.[1];
  if (userinfo !== undefined && !isReference(userinfo)) return 'a URL with a password';
  for (const { index, 1: name, 2: value = '' } of text.matchAll(assignment))
    if (!isReference(value) && !(/-env=["']?$/i.test(text.slice(0, index)) && mayBeVariable(value)))
      return `a value for ${name}`;
  const header =
    /^(authorization|proxy-authorization|cookie|(?:x-)?[\w-]*(?:token|api-?key|secret)): *(?:(?:bearer|basic|token) +)?(\S+)/i.exec(
      text,
    );
  if (header !== null && !isReference(header[2] ?? '')) return `a value for the header ${header[1]}`;
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return 'a private key';
  if (holdsToken(text)) return 'a token';
  return undefined;
}

/** `--password=x`, `PGPASSWORD=x`, `api_key: x` within a word; not `--password-file=x`. */
const assignment =
  /((?:[a-z0-9_-]*[_-])?(?:pg)?(?:password|passwd|passphrase|token|secret|api[_-]?key|secret[_-]?access[_-]?key))=(?!\s|$)("[^"]*"|'[^']*'|[^\s&]+)/gi;

/** A flag whose value, in the next word, is a secret. */
const flagAlone = /^--?(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|token|secret|api[_-]?key)$/i;

/** The index of a word of a command that is a secret, and what it is. */
export function inlineSecretInWords(
  words: readonly string[],
): { readonly index: number; readonly what: string } | undefined {
  for (const [index, word] of words.entries()) {
    const before = words[index - 1] ?? '';
    const what = takesVariable(before) && mayBeVariable(word) ? undefined : inlineSecret(word);
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

/** True for `VARIABLE` and `HEADER=VARIABLE`: what is no name, or looks random, may be the value itself. */
function mayBeVariable(text: string): boolean {
  const [, name] = /^(?:[^\s=:]+=)?([A-Za-z_]\w*)$/.exec(text) ?? [];
  return name !== undefined && !looksSecret(name);
}

/** `NAME=SOURCE` without the name: `token=/run/secrets/token` holds none. */
function withoutName(text: string, { placeholder }: Option): string {
  return placeholder.includes('NAME=]SOURCE')
    ? text.replace(/^[\w.-]+=(?=[./~]|[a-z][a-z0-9+.-]*:)/, '')
    : text;
}

export function secretWords(what: string): string {
  return `${what} stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)`;
}

const inPlaceOfFile = 'a secret in place of the name of its file';

/** @returns whether there was none */
export function refuseSecrets({ values }: StepShape, tell: (at: Position, text: string) => void): boolean {
  const found = values.flatMap(({ key, name, texts }) => {
    if (key.kind === 'words') {
      const secret = inlineSecretInWords(texts.map(({ text }) => text));
      return secret === undefined ? [] : [{ name, what: secret.what, at: texts[secret.index]?.at }];
    }
    return texts.flatMap(({ text, at }) => {
      const isFile = key.kind === 'option' && flagName(key.name, key.option).endsWith('-file');
      if (key.kind === 'option' && takesVariable(flagName(key.name, key.option)) && mayBeVariable(text))
        return [];
      const what =
        (isFile && holdsToken(text) ? inPlaceOfFile : undefined) ??
        inlineSecret(key.kind === 'option' ? withoutName(text, key.option) : text) ??
        (isMistypedPassword(text) ? 'an address with a password' : undefined) ??
        (isFile && secretAsPath(text) ? inPlaceOfFile : undefined);
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
