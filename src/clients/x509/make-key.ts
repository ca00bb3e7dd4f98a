import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import { unlessAborted } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { leaveThreadCall } from '../../process/thread-pool.ts';

const generate = promisify(generateKeyPair);

/** A kind of private key, told by what OpenSSL says of one. */
export type KeyKind =
  | { readonly type: 'ec'; readonly namedCurve: 'P-256' | 'P-384' }
  | { readonly type: 'rsa'; readonly modulusLength: number };

/** OpenSSL's names of the curves, in the details of a key. */
const curves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;

/** Whether a key is of this kind. */
export function isOfKind({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, kind: KeyKind): boolean {
  if (asymmetricKeyType !== kind.type) return false;
  return kind.type === 'ec'
    ? asymmetricKeyDetails?.namedCurve === curves[kind.namedCurve]
    : asymmetricKeyDetails?.modulusLength === kind.modulusLength;
}

/**
 * Makes a private key, and hides it from every text. RSA takes seconds on a slow machine.
 * @throws the signal's reason
 */
export async function makePrivateKey(
  kind: KeyKind,
  { signal, redactor }: Pick<Context, 'signal' | 'redactor'>,
): Promise<KeyObject> {
  const making: Promise<{ readonly privateKey: KeyObject }> =
    kind.type === 'ec'
      ? generate('ec', { namedCurve: kind.namedCurve })
      : generate('rsa', { modulusLength: kind.modulusLength });
  const { privateKey } = await unlessAborted(making, signal).catch((error: unknown) => {
    leaveThreadCall();
    throw error;
  });
  redactor.secret(writePrivateKey(privateKey));
  return privateKey;
}

/** PKCS#8 in PEM, which every program reads. The same key gives the same text. */
export function writePrivateKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}
