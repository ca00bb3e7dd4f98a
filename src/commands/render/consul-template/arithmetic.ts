import type { GoFunction } from './function.ts';
import { GoLoop, kindOfValue, ValueFault, type Value } from './values.ts';

/** A number twice: consul-template takes the second argument first, so that `8 | subtract 3` is 5. */
function operation(
  whole: (left: bigint, right: bigint) => bigint,
  fraction: ((left: number, right: number) => number) | undefined,
): GoFunction {
  return {
    min: 2,
    max: 2,
    run([right = null, left = null]) {
      if (typeof left === 'bigint' && typeof right === 'bigint') return BigInt.asIntN(64, whole(left, right));
      if (fraction === undefined)
        throw new ValueFault(`it takes whole numbers, and this is ${otherKind(left, right)}`);
      return fraction(numberOf(left), numberOf(right));
    },
  };
}

function otherKind(left: Value, right: Value): string {
  return kindOfValue(typeof left === 'bigint' ? right : left);
}

function numberOf(value: Value): number {
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value);
  throw new ValueFault(`it takes numbers, and this is ${kindOfValue(value)}; parseInt makes one of a text`);
}

function notZero(right: bigint): bigint {
  if (right === 0n) throw new ValueFault('division by zero');
  return right;
}

/** Numbers that one loop goes through. */
const longestLoop = 100_000;

export const arithmeticFunctions: Readonly<Record<string, GoFunction>> = {
  add: operation(
    (left, right) => left + right,
    (left, right) => left + right,
  ),
  subtract: operation(
    (left, right) => left - right,
    (left, right) => left - right,
  ),
  multiply: operation(
    (left, right) => left * right,
    (left, right) => left * right,
  ),
  divide: operation(
    (left, right) => left / notZero(right),
    (left, right) => left / right,
  ),
  modulo: operation((left, right) => left % notZero(right), undefined),
  minimum: operation(
    (left, right) => (left < right ? left : right),
    (left, right) => Math.min(left, right),
  ),
  maximum: operation(
    (left, right) => (left > right ? left : right),
    (left, right) => Math.max(left, right),
  ),
  loop: {
    min: 1,
    max: 2,
    run(given) {
      const [first = 0n, last = 0n] = [...(given.length === 1 ? [0n] : []), ...given].map((value) => {
        if (typeof value === 'bigint') return value;
        if (typeof value === 'string' && /^[+-]?\d+$/.test(value)) return BigInt(value.replace('+', ''));
        throw new ValueFault(`it takes whole numbers, and this is ${kindOfValue(value)}`);
      });
      if (last - first > BigInt(longestLoop))
        throw new ValueFault(`it goes through more than ${longestLoop.toLocaleString('en-US')} numbers`);
      const length = Math.max(0, Number(last - first));
      return new GoLoop(Array.from({ length }, (_, index) => first + BigInt(index)));
    },
  },
};
