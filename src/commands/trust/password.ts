import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/**
 * A password by one of its two ways.
 * @param variable the name of the variable that holds it
 * @param origin of that name
 * @throws UsageError where the variable is not set, or holds a reference
 */
export function passwordOf(
  file: Secret | undefined,
  variable: string | undefined,
  origin: string,
  { environment, redactor }: Pick<Context, 'environment' | 'redactor'>,
): string | undefined {
  if (file !== undefined) return file.reveal();
  if (variable === undefined) return undefined;
  const text = environment[variable];
  if (!text) throw new UsageError(`${origin}: the variable ${variable} is not set, or empty`);
  refuseUnexpanded('secret', text, variable);
  return redactor.secret(text).reveal();
}

/**
 * What Java takes for the password of a PKCS12 store with PBES2: com.sun.crypto.provider.PBEKey refuses everything but
 * U+0020 to U+007E, "Password is not ASCII".
 * @throws UsageError
 */
export function checkPkcs12Password(password: string | undefined, origin: string | undefined): void {
  if (password === undefined || origin === undefined || /^[\x20-\x7e]*$/.test(password)) return;
  throw new UsageError(
    `${origin}: the password has characters that are not printable ASCII, with which Java does not open a PKCS12 store; choose another one`,
  );
}
