import type { Redactor } from './redaction/redactor.ts';

/** How tokens and keys begin: Vault's, JWTs, those of AWS, GitHub, GitLab and Slack, and PEM's armour. */
const beginnings =
  /^(?:hv[sbr]\.|[sbr]\.[A-Za-z0-9]{20}|eyJ|A[KS]IA[A-Z0-9]{12}|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|-----BEGIN )/;

/** `Authorization: Bearer …`, `Bearer …`. */
const header = /^[\w-]+:\s*\S+|^(?:bearer|basic|token)\s+\S/i;

/** Characters that a word of random ones has at least. */
const randomWord = 20;

/** True where a text that should be a file's name looks like what should be in that file. */
function looksSecret(text: string): boolean {
  if (/^[./~]/.test(text)) return false;
  if (beginnings.test(text) || header.test(text)) return true;
  if (text.length < randomWord || !/^[\w+=.~-]+$/.test(text)) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/].filter((kind) => kind.test(text)).length;
  // Names have words in them, and an ending.
  return kinds === 3 && new Set(text).size >= randomWord * 0.6 && !/\.[a-z]{2,10}$|[a-z]{8}/.test(text);
}

/** What to say in place of such a file's name, which is not shown; undefined where the name may be shown. */
export function secretAsPath(path: string): string | undefined {
  return looksSecret(path)
    ? 'what stands there looks like the secret itself; write it into a file, and give the path of that file'
    : undefined;
}

/** Registers such a text, which other messages may quote. */
export function hideSecretAsPath(text: string, redactor: Pick<Redactor, 'secret'>): void {
  if (!looksSecret(text)) return;
  redactor.secret(text);
  const word = text.split(/\s/).at(-1) ?? '';
  if (word.length >= 8) redactor.secret(word);
}
