import { JsonNumber } from '../../../config/source.ts';
import type { GoFunction } from './function.ts';
import { Absence, compareTexts, isTrue, kindOfValue, ValueFault, type Value } from './values.ts';

/** A value as text/template compares it; a number of JSON is a text. */
function comparable(value: Value): string | bigint | number | boolean | null {
  if (value instanceof Absence) return value.compared;
  if (value instanceof JsonNumber) return value.text;
  if (value === null || typeof value !== 'object') return value;
  throw new ValueFault(`it compares texts, numbers and booleans, and this is ${kindOfValue(value)}`);
}

function mismatch(one: Value, other: Value): ValueFault {
  return new ValueFault(
    `${kindOfValue(one)} cannot be compared with ${kindOfValue(other)}; write a number of Vault's in quotes, or parseInt for one of a text`,
  );
}

function isNothing(value: Value): boolean {
  return value === null || (value instanceof Absence && value.compared === null);
}

function equal(one: Value, other: Value): boolean {
  if (isNothing(one) || isNothing(other)) return isNothing(one) && isNothing(other);
  const [left, right] = [comparable(one), comparable(other)];
  if (typeof left !== typeof right) throw mismatch(one, other);
  return left === right;
}

function order(one: Value, other: Value): number {
  const [left, right] = [comparable(one), comparable(other)];
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(left, right);
  if (typeof left === 'bigint' && typeof right === 'bigint') return left < right ? -1 : left > right ? 1 : 0;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  throw mismatch(one, other);
}

function ordering(holds: (order: number) => boolean): GoFunction {
  return { min: 2, max: 2, run: ([one = null, other = null]) => holds(order(one, other)) };
}

/**
 * `and` and `or` are the evaluator's, which does not evaluate what follows the value that decides; these are for their checks,
 * and for where they stand after `|`.
 */
export const comparingFunctions: Readonly<Record<string, GoFunction>> = {
  and: {
    min: 1,
    max: Infinity,
    absent: true,
    run: (given) => given.find((value) => !isTrue(value)) ?? given.at(-1) ?? null,
  },
  or: {
    min: 1,
    max: Infinity,
    absent: true,
    run: (given) => given.find((value) => isTrue(value)) ?? given.at(-1) ?? null,
  },
  not: { min: 1, max: 1, absent: true, run: ([value = null]) => !isTrue(value) },
  eq: {
    min: 2,
    max: Infinity,
    absent: true,
    run: ([one = null, ...others]) => others.some((other) => equal(one, other)),
  },
  ne: { min: 2, max: 2, absent: true, run: ([one = null, other = null]) => !equal(one, other) },
  lt: ordering((found) => found < 0),
  le: ordering((found) => found <= 0),
  gt: ordering((found) => found > 0),
  ge: ordering((found) => found >= 0),
};
