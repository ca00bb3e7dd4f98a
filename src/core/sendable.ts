import { UsageError } from './outcome.ts';

/**
 * Refuses a token that no header can hold (RFC 9110, 5.5): a line end in its middle, a control character. Blanks and line
 * ends around it are for the caller to take off.
 * @param where names it in the message: `VAULT_TOKEN`, `the token in the file of --vault-token-file`
 * @throws UsageError that says where, and nothing of it
 */
export function refuseUnsendable(token: string, where: string): void {
  const [found] = /[^\x20-\x7e]/.exec(token.trim()) ?? [];
  if (found === undefined) return;
  const what = /[\r\n]/.test(found) ? 'a line end' : 'a character that is not printable ASCII';
  throw new UsageError(`${where} has ${what} in it, which no HTTP header can hold; is it one whole token?`);
}
