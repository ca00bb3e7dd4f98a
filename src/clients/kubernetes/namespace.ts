import { quotedValue } from '../../core/misplaced-secret.ts';
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws Error */
export function parseNamespace(text: string): string {
  if (!label.test(text))
    throw new Error(
      `${quotedValue(text, 63)} is not the name of a namespace: small letters, digits and - in between`,
    );
  return text;
}
