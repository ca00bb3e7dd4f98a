import { createPrivateKey, type KeyObject } from 'node:crypto';

import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import type { FoundCertificate } from './certificate.ts';
import { pemBlocks, PemDamaged, type PemBlock } from './pem.ts';

/**
 * Reads a private key and hides it from every text.
 * @param password where the key is encrypted
 * @throws UsageError where there is not exactly one, or it cannot be read with that password
 */
export function readPrivateKey(
  path: string,
  password: string | undefined,
  { redactor }: Pick<Context, 'redactor'>,
): KeyObject {
  const bytes = readNamedFile({ text: path, origin: '--key' });
  const blocks = blocksOf(bytes, path);
  const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'));
  // Not the lines around it: messages name them.
  for (const { body } of keys) redactor.secret(body);
  if (blocks.length === 0) redactor.bytes(bytes);
  const [block, second] = keys;
  if (second !== undefined)
    throw new UsageError(
      `--key: ${path} holds ${keys.length} private keys (lines ${keys.map(({ line }) => line).join(', ')}); give one`,
    );
  if (blocks.length > 0 && block === undefined)
    throw new UsageError(`--key: ${path} holds no private key: it has ${blocks[0]?.label}`);
  const isEncrypted =
    block === undefined
      ? undefined
      : block.label.startsWith('ENCRYPTED ') || block.body.includes('ENCRYPTED');
  if (isEncrypted === true && password === undefined)
    throw new UsageError(
      `--key: the private key in ${path} is encrypted; give --key-password-file or --key-password-env`,
    );
  const passphrase = password === undefined ? {} : { passphrase: password };
  const read =
    block === undefined
      ? inDer(bytes, passphrase)
      : attempt(() => createPrivateKey({ key: textOf(block), format: 'pem', ...passphrase }));
  if (read === undefined)
    throw new UsageError(
      isEncrypted === true
        ? `--key: the private key in ${path} cannot be decrypted: is it another password, or a cipher of before 2010 (openssl pkcs8 -topk8 -v2 aes256 writes it anew)?`
        : `--key: ${path} holds no private key that can be read: PKCS#8, PKCS#1 or SEC1, as PEM or DER${password === undefined ? '; where it is encrypted, give --key-password-file' : ', and encrypted with that password if at all'}`,
    );
  return read;
}

function blocksOf(bytes: Buffer, path: string): readonly PemBlock[] {
  try {
    return pemBlocks(bytes);
  } catch (error) {
    if (!(error instanceof PemDamaged)) throw error;
    throw new UsageError(`--key: ${path}:${error.line}: ${error.message}`, { cause: error });
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
