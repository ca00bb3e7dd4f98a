import { join } from 'node:path';

import { type FoundCertificate, NotCertificate, readCertificate } from '../../clients/x509/certificate.ts';
import { NotDer, readDer } from '../../clients/x509/der.ts';
import { PemDamaged, pemBlocks, pemBytes, type PemBlock } from '../../clients/x509/pem.ts';
import { sourceSchemes } from '../../config/source.ts';
import { whyNotUtf8 } from '../../core/byte-order-mark.ts';
import { catchUp } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { inputKind, namesInInput, readInput, whyUnread } from '../../fs/input-file.ts';
import { JavaStoreRefused, readJavaStore } from './java-store.ts';

/** Bytes of one file. The bundles of distributions have a quarter of a megabyte. */
export const largestFile = 8 << 20;
/** Files of a folder, and certificates altogether. */
const most = 10_000;

/** Lines of a mistake in which what was found instead is told. */
const fewLines = 10;

/** Files between two looks at the signal. */
const stretch = 16;
/** Blocks between two: each takes up to a tenth of a millisecond. */
const manyBlocks = 256;

/** What was read, and what was left out of it. */
export interface Gathered {
  readonly certificates: readonly FoundCertificate[];
  /** A sentence for each thing that was left out, with its file and line. */
  readonly warnings: readonly string[];
}

function isAddress(scheme: string, rest: string): boolean {
  return rest.startsWith('//') || (sourceSchemes as readonly string[]).includes(scheme.toLowerCase());
}

/**
 * Reads the certificates of a file, or of the files in a folder, not deep, as ConfigMaps and Secrets are mounted.
 * @throws UsageError where it is missing, cannot be read, is damaged, or holds none
 */
export async function gatherCertificates(
  { text: path, origin }: Given,
  { signal }: Pick<Context, 'signal'>,
): Promise<Gathered> {
  const kind = guarded(path, origin, () => inputKind(path));
  const scheme = /^([a-z][a-z\d+.-]*):(?=(.*))/i.exec(path);
  // Of an address, no more is told: it may hold a password.
  if (kind === undefined && scheme !== null && isAddress(scheme[1] ?? '', scheme[2] ?? ''))
    throw new UsageError(
      `${origin}: ${scheme[1]}: begins an address, and ${origin === '--add' ? 'files, folders, and vault:, aws-sm: and https: sources are taken' : 'a file or a folder is taken'} here; fetch it into a file first, by initbox fetch-config`,
    );
  if (kind === undefined)
    throw new UsageError(`${origin}: there is no ${path}; is the volume mounted in this container?`);
  if (kind !== 'folder') {
    const found = await readFile(path, origin, signal);
    if (found.certificates.length === 0)
      throw new UsageError([`${origin}: ${path} holds no certificate`, ...found.warnings.slice(0, fewLines)]);
    return found;
  }
  const names = guarded(path, origin, () => namesInInput(path, (name) => !name.startsWith('.')));
  if (names.length > most)
    throw new UsageError(`${origin}: ${path} holds ${names.length} files, more than ${most}`);
  const certificates: FoundCertificate[] = [];
  const warnings: string[] = [];
  for (const [index, name] of names.entries()) {
    if (index % stretch === 0) await catchUp(signal);
    const file = join(path, name);
    if (guarded(file, origin, () => inputKind(file)) !== 'file') continue;
    const found = await readFile(file, origin, signal);
    certificates.push(...found.certificates);
    warnings.push(...found.warnings);
    if (found.certificates.length === 0 && found.warnings.length === 0)
      warnings.push(`${file} holds no certificate; it is left out`);
    if (certificates.length > most)
      throw new UsageError(`${origin}: ${path} holds more than ${most} certificates`);
  }
  if (certificates.length === 0)
    throw new UsageError([
      `${origin}: the folder ${path} holds no certificates`,
      ...warnings.slice(0, fewLines),
    ]);
  return { certificates, warnings };
}

async function readFile(path: string, origin: string, signal: AbortSignal): Promise<Gathered> {
  const bytes = guarded(path, origin, () => readInput(path, largestFile));
  return certificatesIn(bytes, path, origin, signal);
}

/**
 * Finds the certificates in what was read: blocks of PEM, or DER, one after another.
 * @param path for messages
 * @throws UsageError where one is damaged
 */
export async function certificatesIn(
  bytes: Buffer,
  path: string,
  origin: string,
  signal: AbortSignal,
): Promise<Gathered> {
  const certificates: FoundCertificate[] = [];
  const warnings: string[] = [];
  try {
    const blocks = pemBlocks(bytes);
    for (const [index, block] of blocks.entries()) {
      if ((index + 1) % manyBlocks === 0) await catchUp(signal);
      const from = `${path}:${block.line}`;
      if (block.label.endsWith('PRIVATE KEY'))
        warnings.push(`${from}: a private key lies beside the certificates; it is left out`);
      else if (block.label === 'TRUSTED CERTIFICATE')
        throw new PemDamaged(
          block.line,
          'OpenSSL’s TRUSTED CERTIFICATE can also say what it must not be trusted for; give the plain certificate (openssl x509 -in FILE)',
        );
      else if (block.label === 'CERTIFICATE' || block.label === 'X509 CERTIFICATE')
        certificates.push(inBlock(block, from));
      else warnings.push(`${from}: ${block.label} is not a certificate; it is left out`);
    }
    if (blocks.length > most) throw new PemDamaged(1, `it has more than ${most} blocks`);
    if (blocks.length === 0) {
      const store = readJavaStore(bytes);
      certificates.push(
        ...(await inBinary(store?.certificates ?? elementsOf(bytes), path, signal, store !== undefined)),
      );
      if (store !== undefined && store.others > 0)
        warnings.push(
          `${path}: ${store.others} of its entries are keys with their chains; they are left out`,
        );
    }
    if (blocks.length === 0 && certificates.length === 0 && isUtf16(bytes))
      warnings.push(`${path}: ${whyNotUtf8(bytes)}; it is left out`);
  } catch (error) {
    if (error instanceof JavaStoreRefused || error instanceof NotCertificate)
      throw new UsageError(`${origin}: ${path} ${error.message}`, { cause: error });
    if (!(error instanceof PemDamaged)) throw error;
    throw new UsageError(`${origin}: ${path}:${error.line}: ${error.message}`, { cause: error });
  }
  return { certificates, warnings };
}

function inBlock(block: PemBlock, from: string): FoundCertificate {
  try {
    return readCertificate(pemBytes(block), from);
  } catch (error) {
    if (!(error instanceof NotCertificate)) throw error;
    throw new PemDamaged(block.line, `the block ${error.message}`);
  }
}

/**
 * @param strict whether each must be a certificate; if not, the first that is none ends it
 * @throws NotCertificate
 */
async function inBinary(
  parts: Iterable<Uint8Array>,
  path: string,
  signal: AbortSignal,
  strict: boolean,
): Promise<FoundCertificate[]> {
  const found: FoundCertificate[] = [];
  for (const part of parts) {
    if (found.length === most) throw new NotCertificate(`holds more than ${most} certificates`);
    if ((found.length + 1) % manyBlocks === 0) await catchUp(signal);
    try {
      found.push(readCertificate(part, path));
    } catch (error) {
      if (!(error instanceof NotCertificate)) throw error;
      if (strict) throw new NotCertificate('holds an entry that is not a certificate (X.509)');
      return found;
    }
  }
  return found;
}

/** DER elements one after another, as far as the bytes are some. */
function* elementsOf(bytes: Buffer): Iterable<Uint8Array> {
  for (let rest: Uint8Array = bytes; rest.length > 0;) {
    let one: Uint8Array;
    try {
      one = readDer(rest).whole;
    } catch (error) {
      if (error instanceof NotDer) return;
      throw error;
    }
    yield one;
    rest = rest.subarray(one.length);
  }
}

function isUtf16([first, second]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

function guarded<T>(path: string, origin: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw new UsageError(`${origin}: ${path} ${whyUnread(error)}`, { cause: error });
  }
}
