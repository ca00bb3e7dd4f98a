import type { IncomingHttpHeaders } from 'node:http';

import { quoted } from '../../core/misplaced-secret.ts';

/** `Name: value`, or `Name` where any value will do. */
export interface HeaderExpectation {
  readonly name: string;
  readonly value: string | undefined;
}

/** @throws Error that says what is accepted */
export function parseHeaderExpectation(text: string): HeaderExpectation {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?::\s*(.*?)\s*)?$/s.exec(text) ?? [];
  if (name === undefined)
    throw new Error(`${quoted(text)} is not a header; write Name: value, or Name where any value will do`);
  return { name, value: value === '' ? undefined : value };
}

/** True for the whole value, for one of a list's elements, and for an element less its parameters (`; charset=utf-8`). */
export function headerHolds(headers: IncomingHttpHeaders, { name, value }: HeaderExpectation): boolean {
  const key = name.toLowerCase();
  const given = Object.hasOwn(headers, key) ? headers[key] : undefined;
  if (given === undefined) return false;
  if (value === undefined) return true;
  return [given].flat().some((line) => line === value || elements(line).includes(value));
}

function elements(line: string): string[] {
  return line.split(',').flatMap((element) => [element.trim(), (element.split(';')[0] ?? '').trim()]);
}
