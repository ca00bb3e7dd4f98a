import type { Node, Reference } from './syntax.ts';

/** A variable's value, undefined where it is not set; or why it cannot stand in a text. */
export type VariableLookup = (name: string) => string | undefined | { readonly problem: string };

/** Why a template cannot be written: a variable that is not set, or what `${NAME:?message}` says. */
export interface Missing {
  readonly name: string;
  readonly offset: number;
  /** Without any value. */
  readonly why: string;
}

/**
 * Puts values into a template. All that is missing is gathered, so that people can mend it in one go; what a word
 * that is not used refers to does not count, as in a shell under `set -u`.
 */
export function expandTemplate(nodes: readonly Node[], lookup: VariableLookup, missing: Missing[]): string {
  let text = '';
  for (const node of nodes) text += typeof node === 'string' ? node : expandOne(node, lookup, missing);
  return text;
}

function expandOne(reference: Reference, lookup: VariableLookup, missing: Missing[]): string {
  const { name, offset, operator, emptyToo, word, written } = reference;
  const value = lookup(name);
  if (typeof value === 'object') {
    missing.push({ name, offset, why: value.problem });
    return '';
  }
  const there = value !== undefined && !(emptyToo && value === '');
  if (operator === '+') return there ? expandTemplate(word, lookup, missing) : '';
  if (there) return value;
  if (operator === '-') return expandTemplate(word, lookup, missing);
  const state = value === undefined ? 'not set' : 'empty';
  // The message as it was written: what it refers to may be a secret.
  missing.push({ name, offset, why: operator === '?' && written !== '' ? `${state}: ${written}` : state });
  return '';
}
