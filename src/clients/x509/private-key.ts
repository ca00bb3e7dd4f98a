import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync, fstatSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Context } from '../../core/context.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import type { FoundCertificate } from './certificate.ts';
import { pemBlocks, PemDamaged, type PemBlock } from './pem.ts';

/** Where a key is, what it is encrypted with, and how a user gives that; undefined where he cannot. */
export interface GivenKey extends Given {
  readonly password: string | undefined;
  readonly passwordFlags: string | undefined;
}

/**
 * Reads a private key and hides it from every text.
 * @throws UsageError where there is not exactly one, or it cannot be read with that password
 */
export function readPrivateKey(
  { text: path, origin, password, passwordFlags }: GivenKey,
  context: Pick<Context, 'redactor' | 'log'>,
): KeyObject {
  const bytes = readNamedFile({ text: path, origin }, undefined, (descriptor) => {
    // The kubelet mounts Secrets so that every user of the container may read them, unless told otherwise.
    if (!existsSync(join(dirname(path), '..data')))
      warnOfOpenKey(`${origin}: ${path}`, fstatSync(descriptor).mode, 0, context);
  });
  return privateKeyIn(bytes, { text: path, origin, password, passwordFlags }, context);
}

/**
 * Warns of a private key that more may read or change than should: it may be known to others, or be another's.
 * @param name of its file, with its origin
 * @param meant a mode that somebody asked for
 */
export function warnOfOpenKey(
  name: string,
  mode: number,
  meant: number,
  { log }: Pick<Context, 'log'>,
): void {
  const open = mode & 0o777 & ~meant;
  if ((open & 0o026) === 0) return;
  const what =
    (open & 0o022) === 0
      ? 'may be read by everybody: whoever reaches its volume may know it'
      : 'may be changed by others, who may have put their own there';
  log.warn(
    `${name}: the private key ${what} (mode ${(mode & 0o777).toString(8).padStart(4, '0')}); make a new one if that was so before now, and give it mode 0400 or 0440`,
  );
}

/** The same of what was read already. @throws as readPrivateKey */
export function privateKeyIn(
  bytes: Buffer,
  { text: path, origin, password, passwordFlags }: GivenKey,
  { redactor }: Pick<Context, 'redactor'>,
): KeyObject {
  const blocks = blocksOf(bytes, { text: path, origin });
  const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'));
  // Not the lines around it: messages name them.
  for (const { body } of keys) redactor.secret(body);
  if (blocks.length === 0) redactor.bytes(bytes);
  const [block, second] = keys;
  if (second !== undefined)
    throw new UsageError(
      `${origin}: ${path} holds ${keys.length} private keys (lines ${keys.map(({ line }) => line).join(', ')}); give one`,
    );
  if (blocks.length > 0 && block === undefined)
    throw new UsageError(`${origin}: ${path} holds no private key: it has ${blocks[0]?.label}`);
  const isEncrypted =
    block === undefined
      ? undefined
      : block.label.startsWith('ENCRYPTED ') || block.body.includes('ENCRYPTED');
  if (isEncrypted === true && password === undefined)
    throw new UsageError(
      `${origin}: the private key in ${path} is encrypted; give ${passwordFlags ?? 'it without a password'}`,
    );
  const passphrase = password === undefined ? {} : { passphrase: password };
  const read =
    block === undefined
      ? inDer(bytes, passphrase)
      : attempt(() => createPrivateKey({ key: textOf(block), format: 'pem', ...passphrase }));
  if (read === undefined)
    throw new UsageError(
      isEncrypted === true
        ? `${origin}: the private key in ${path} cannot be decrypted: is it another password, or a cipher of before 2010 (openssl pkcs8 -topk8 -v2 aes256 writes it anew)?`
        : `${origin}: ${path} holds no private key that can be read: PKCS#8, PKCS#1 or SEC1, as PEM or DER${encryptedHint(password, passwordFlags)}`,
    );
  return read;
}

function encryptedHint(password: string | undefined, passwordFlags: string | undefined): string {
  if (password !== undefined) return ', and encrypted with that password if at all';
  return passwordFlags === undefined ? '' : `; where it is encrypted, give ${passwordFlags}`;
}

function blocksOf(bytes: Buffer, { text: path, origin }: Given): readonly PemBlock[] {
  try {
    return pemBlocks(bytes);
  } catch (error) {
    if (!(error instanceof PemDamaged)) throw error;
    throw new UsageError(`${origin}: ${path}:${error.line}: ${error.message}`, { cause: error });
  }
}

/** As OpenSSL wants it: nothing before it, lines ended by `\n`, blanks at their ends gone. */
function textOf({ label, body }: PemBlock): string {
  const lines = body.split(/\r\n|\r|\n/).map((line) => line.trim());
  const from = lines.findIndex((line) => line !== '');
  return `-----BEGIN ${label}-----\n${lines.slice(from).join('\n').trimEnd()}\n-----END ${label}-----\n`;
}

function inDer(key: Buffer, passphrase: { readonly passphrase?: string }): KeyObject | undefined {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    const read = attempt(() => createPrivateKey({ key, format: 'der', type, ...passphrase }));
    if (read !== undefined) return read;
  }
  return undefined;
}

/** What OpenSSL says may quote what it read. */
function attempt(read: () => KeyObject): KeyObject | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** The key's certificate and those above it. */
export interface Chain {
  readonly certificates: readonly FoundCertificate[];
  /** Certificates that belong to no place in it. */
  readonly unused: readonly FoundCertificate[];
}

/**
 * Puts certificates in order, whatever order they were found in: the key's own first, then each one's issuer.
 * @returns undefined where none of them is the key's
 */
export function chainOf(key: KeyObject, found: readonly FoundCertificate[]): Chain | undefined {
  const leaf = found.find(({ x509 }) => holds(() => x509.checkPrivateKey(key)));
  if (leaf === undefined) return undefined;
  const chain = [leaf];
  const left = new Set(found);
  left.delete(leaf);
  for (let last = leaf; ;) {
    if (last.x509.checkIssued(last.x509)) break;
    const { x509: own } = last;
    const issuer = [...left].find(
      ({ x509 }) => own.checkIssued(x509) && holds(() => own.verify(x509.publicKey)),
    );
    if (issuer === undefined) break;
    chain.push(issuer);
    left.delete(issuer);
    last = issuer;
  }
  return { certificates: chain, unused: [...left] };
}

/** False where OpenSSL does not know the kind of a key. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
