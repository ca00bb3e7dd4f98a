import { createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';

import { dayOf, type FoundCertificate, readCertificate } from '../../clients/x509/certificate.ts';
import { whyNotIssuer } from '../../clients/x509/distinguished-name.ts';
import { maySign, ownKeyId } from '../../clients/x509/extensions.ts';
import { CannotSign, issueCertificate, keyIdOf, type Signer, signingOf } from '../../clients/x509/issue.ts';
import { makePrivateKey, writePrivateKey } from '../../clients/x509/make-key.ts';
import { writePem } from '../../clients/x509/pem.ts';
import { chainOf, privateKeyIn, readPrivateKey, warnOfOpenKey } from '../../clients/x509/private-key.ts';
import { type Output, type OutputContent, outputTo, publishOutput } from '../../config/outputs.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { UsageError } from '../../core/outcome.ts';
import { refused } from '../../fs/error-message.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { contentMode } from '../../fs/publish/attributes.ts';
import { readOwnPublished } from '../../fs/publish/own-published.ts';
import { certificatesOf, NoCertificates } from './certificates-of.ts';
import type { CertificateOptions } from './options.ts';

/** Who signs. */
export interface Authority {
  readonly own: FoundCertificate;
  /** Those above it, each one's issuer after it. */
  readonly above: readonly FoundCertificate[];
  readonly key: KeyObject;
}

/** Before now, in milliseconds: clocks of other nodes may be behind. */
export const backdated = 300_000;

/** Bytes of a file with keys or certificates. */
export const largestPem = 1 << 20;

/** What a signer needs to know of an authority. @throws NotDer, which readCertificate would have found */
export function signerOf({ own, key }: Authority): Signer {
  const { x509, bytes, subject } = own;
  const keyId = ownKeyId(bytes) ?? keyIdOf(x509.publicKey.export({ type: 'spki', format: 'der' }));
  return { subject, keyId, key };
}

/**
 * Reads --ca-cert and --ca-key.
 * @throws UsageError where they are no pair, or nothing that they sign would be taken
 */
export function readAuthority(
  { cert, key: keyPath }: { readonly cert: string; readonly key: string },
  now: Date,
  context: Pick<Context, 'redactor' | 'log'>,
): Authority {
  const origin = '--ca-cert';
  const bytes = readNamedFile({ text: cert, origin });
  let found: readonly FoundCertificate[];
  try {
    found = certificatesOf(bytes, cert);
  } catch (error) {
    if (!(error instanceof NoCertificates)) throw error;
    throw new UsageError(`${origin}: ${error.message}`, { cause: error });
  }
  const key = readPrivateKey(
    { text: keyPath, origin: '--ca-key', password: undefined, passwordFlags: undefined },
    context,
  );
  const chain = chainOf(key, found);
  const [own, ...above] = chain?.certificates ?? [];
  if (chain === undefined || own === undefined)
    throw new UsageError(
      `--ca-key: ${keyPath} is not the key of a certificate in ${cert} (--ca-cert); was one of them renewed without the other?`,
    );
  const why = whyCannotSign({ own, above, key }, now);
  if (why !== undefined) throw new UsageError(`${origin}: ${own.from}: the certificate ${own.shown} ${why}`);
  for (const { from, shown } of chain.unused)
    context.log.warn(`${from}: the certificate ${shown} is not above that of --ca-key; it is left out`);
  return { own, above, key };
}

/** Why what it signs would not be taken; the text follows its name. */
function whyCannotSign({ own, above, key }: Authority, now: Date): string | undefined {
  if (!own.x509.ca || !maySign(own.bytes))
    return 'is not a CA certificate: programs take nothing that it signs';
  if (own.validTo <= now) return `expired on ${dayOf(own.validTo)}`;
  if (own.validFrom.getTime() > now.getTime() + backdated)
    return `is not valid before ${own.validFrom.toISOString().replace('.000', '')}`;
  for (const one of [own, ...above]) {
    const why = whyNotIssuer(one.subject);
    if (why !== undefined) return one === own ? why : `is below an authority (${one.from}) that ${why}`;
  }
  try {
    signingOf(key);
    return undefined;
  } catch (error) {
    if (error instanceof CannotSign) return error.message;
    throw error;
  }
}

/** The files of an authority that is kept. */
const files = { cert: 'ca.crt', key: 'ca.key' } as const;

/** Where the authority of --ca-dir goes: both of its files at once. */
export function authorityOutputs(
  folder: string,
  { owner }: Pick<CertificateOptions, 'owner'>,
): readonly [cert: Output, key: Output] {
  const output = (name: string, secret: boolean): Output =>
    outputTo(join(folder, name), {
      format: 'raw',
      mode: secret ? 0o400 : contentMode,
      owner,
      secret,
      origin: '--ca-dir',
    });
  return [output(files.cert, false), output(files.key, true)];
}

/** The same on every run. */
const authoritySet = 'certificate authority';

/**
 * Reads the authority of --ca-dir. What stands there and cannot be taken for this program's is an error: others trust it, so
 * that it must not be replaced in silence.
 * @returns undefined where there is none
 * @throws Failure
 */
export function keptAuthority(
  folder: string,
  { owner }: Pick<CertificateOptions, 'owner'>,
  context: Pick<Context, 'redactor' | 'log'>,
): Authority | undefined {
  const [cert, key] = readOwnPublished(folder, [files.cert, files.key], largestPem, owner);
  if (cert?.kind === 'absent' && key?.kind === 'absent') return undefined;
  const unusable = (name: string, why: string): never => {
    throw refused(
      `--ca-dir: ${join(folder, name)} ${why}`,
      'whoever trusts that authority would not trust a new one; to have a new one made all the same, empty the folder',
      exitStatus.usage,
    );
  };
  for (const [name, one] of [
    [files.cert, cert],
    [files.key, key],
  ] as const) {
    if (one?.kind === 'refused') unusable(name, `is not taken for the authority’s: it ${one.why}`);
    if (one?.kind === 'absent') unusable(name, 'is missing, and the other file of the authority is there');
  }
  if (cert?.kind !== 'own' || key?.kind !== 'own') return undefined;
  try {
    const path = join(folder, files.key);
    const given = { text: path, origin: '--ca-dir', password: undefined, passwordFlags: undefined };
    const read = privateKeyIn(key.bytes, given, context);
    warnOfOpenKey(`--ca-dir: ${path}`, key.mode, 0, context);
    const chain = chainOf(read, certificatesOf(cert.bytes, join(folder, files.cert)));
    const [own, ...above] = chain?.certificates ?? [];
    if (own === undefined) return unusable(files.key, `is not the key of ${files.cert} beside it`);
    const authority = { own, above, key: read };
    // One that has expired is made anew.
    const why = whyCannotSign(authority, own.validFrom);
    if (why !== undefined) unusable(files.cert, why);
    return authority;
  } catch (error) {
    if (error instanceof NoCertificates)
      throw refused(`--ca-dir: ${error.message}`, undefined, exitStatus.usage);
    throw error;
  }
}

/**
 * Makes an authority and keeps it in --ca-dir.
 * @param first the first name that it signs for
 * @returns the one that is there afterwards: on a volume of a server another run may have been faster
 * @throws Failure, or the signal's reason
 */
export async function makeAuthority(
  folder: string,
  options: Pick<CertificateOptions, 'owner' | 'ca-duration' | 'allow-disk'>,
  first: string,
  context: Context,
): Promise<Authority> {
  const key = await makePrivateKey({ type: 'ec', namedCurve: 'P-256' }, context);
  // Of two authorities with one name programs may take the wrong one.
  const keyId = keyIdOf(createPublicKey(key).export({ type: 'spki', format: 'der' })).toString('hex');
  const commonName = `${first.slice(0, 40)} authority ${keyId.slice(0, 12)}`;
  const now = context.clock.date().getTime();
  const made = issueCertificate({
    key,
    commonName,
    names: [],
    from: new Date(now - backdated),
    to: new Date(now + options['ca-duration']),
    authority: true,
    signer: undefined,
  });
  const [cert, secret] = authorityOutputs(folder, options);
  const contentOf = (value: string): OutputContent['content'] => ({
    kind: 'value',
    value: Buffer.from(value),
  });
  const published = await publishOutput(
    [cert, secret],
    new Map([
      [cert, { content: contentOf(writePem('CERTIFICATE', made)), secret: false }],
      [secret, { content: contentOf(writePrivateKey(key)), secret: true }],
    ]),
    { allowDisk: options['allow-disk'], alwaysSecret: true, set: authoritySet, forRuns: true },
    context,
  );
  for (const warning of published.warnings) context.log.warn(warning);
  return keptAuthority(folder, options, context) ?? { own: readCertificate(made, folder), above: [], key };
}
