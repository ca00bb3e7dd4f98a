import { createHash } from 'node:crypto';

import { quotedValue } from '../../core/misplaced-secret.ts';
import { value, valueOr, type Values } from '../../core/options/option.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/** What one lock is known by: a name for people, and the int8 that Postgres locks. */
export interface LockKey {
  readonly name: string;
  readonly id: bigint;
  /** The int8 as 16 hexadecimal digits. */
  readonly hex: string;
}

/**
 * The first 8 bytes of the name's SHA-256, as a signed int8. Locks of two int4 never meet one of an int8
 * (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS). The database's name is no part of
 * it: a lock is the database's already, and a pooler may know the database by another name.
 */
export function keyOfName(name: string): LockKey {
  const hex = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return { name, id: BigInt.asIntN(64, BigInt(`0x${hex}`)), hex };
}

/** A key that another program takes too, or that must be known beforehand. */
export function keyOfId(id: bigint): LockKey {
  return { name: `#${id}`, id, hex: BigInt.asUintN(64, id).toString(16).padStart(16, '0') };
}

/**
 * Reads an int8.
 * @throws Error that says what is accepted
 */
export function parseLockId(text: string): bigint {
  const id = /^[+-]?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (id === undefined || BigInt.asIntN(64, id) !== id)
    throw new Error(
      `${quotedValue(text)} is not a whole number from -9223372036854775808 to 9223372036854775807`,
    );
  return id;
}

/** @throws Error that says what is accepted */
export function parseLockName(text: string): string {
  if (text.trim() === '') throw new Error('the name is empty');
  refuseUnexpanded('word', text, JSON.stringify(text));
  return text;
}

/** How a command names a lock. */
export const lockKeyOptions = {
  'lock-name': valueOr({
    description: 'the lock’s name; its key is made from it',
    placeholder: 'NAME',
    parse: parseLockName,
    fallback: 'migrate',
  }),
  'lock-id': value({
    description: 'the lock’s key itself, an int8, instead of a name; must not be a key that your tool uses',
    placeholder: 'NUMBER',
    parse: parseLockId,
    insteadOf: ['lock-name'],
  }),
};

export function lockKeyFrom(options: Values<typeof lockKeyOptions>): LockKey {
  return options['lock-id'] === undefined ? keyOfName(options['lock-name']) : keyOfId(options['lock-id']);
}
