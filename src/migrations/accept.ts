import { quotedValue, quotedPart } from '../core/misplaced-secret.ts';
import { parseVersion } from './version.ts';

/** A difference between the directory and the record that somebody has looked at and accepts. */
export interface Acceptance {
  readonly kind: AcceptanceKind;
  /** A version's key, `R__name`, or `all`. */
  readonly version: string;
}

export const acceptanceKinds = ['changed', 'late', 'missing', 'done', 'again'] as const;
export type AcceptanceKind = (typeof acceptanceKinds)[number];

export const acceptanceSyntax =
  'write changed:VERSION, late:VERSION or missing:VERSION (or :all), done:VERSION or again:VERSION';

/**
 * Reads `KIND:VERSION`.
 * @throws Error whose message says what is accepted
 */
export function parseAcceptance(text: string): Acceptance {
  const [, kind = '', given = ''] = /^([a-z]+):(.+)$/.exec(text) ?? [];
  const known = acceptanceKinds.find((name) => name === kind);
  if (known === undefined) throw new Error(`${quotedValue(text)} accepts nothing; ${acceptanceSyntax}`);
  if (given === 'all' && (known === 'done' || known === 'again')) {
    throw new Error(`${quotedValue(text)}: what is half done is looked at one by one; ${acceptanceSyntax}`);
  }
  if (given === 'all' || given.startsWith('R__')) return { kind: known, version: given };
  const version = parseVersion(given);
  if (version === undefined)
    throw new Error(`${quotedValue(text)}: ${quotedPart(given, text)} is not a version; ${acceptanceSyntax}`);
  return { kind: known, version: version.key };
}

export function accepts(list: readonly Acceptance[], kind: AcceptanceKind, key: string): boolean {
  return list.some((one) => one.kind === kind && (one.version === key || one.version === 'all'));
}
