import { dirname, join } from 'node:path';

import type { FoundCertificate } from '../../clients/x509/certificate.ts';
import type { Context } from '../../core/context.ts';
import { inputKind } from '../../fs/input-file.ts';
import { certificatesIn, gatherCertificates } from './gather.ts';

/** Where images keep their bundle; the first that is there is taken (crypto/x509/root_linux.go of Go has the same list). */
const places = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/tls/certs/ca-bundle.crt', // Fedora, RHEL, UBI
  '/etc/ssl/ca-bundle.pem', // SUSE
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // CentOS and RHEL 7
  '/etc/ssl/cert.pem', // Alpine without ca-certificates
] as const;

/** The roots of the image, and where they were found. */
export interface SystemRoots {
  readonly certificates: readonly FoundCertificate[];
  readonly from: string;
}

/**
 * The roots of the image in which this runs; where it has none, those that came with the program, and at last those that
 * are built into Node.
 * @throws UsageError where the bundle is damaged
 */
export async function systemRoots(context: Pick<Context, 'signal' | 'host'>): Promise<SystemRoots> {
  const origin = '--system';
  for (const text of [...places, join(dirname(context.host.script), places[0])]) {
    if (!isFile(text)) continue;
    const { certificates } = await gatherCertificates({ text, origin }, context);
    return { certificates, from: text };
  }
  const from = 'Mozilla’s list in Node';
  // It takes a while to load, and its list more to be made.
  const { rootCertificates } = await import('node:tls');
  const bytes = Buffer.from(rootCertificates.join('\n'));
  return { ...(await certificatesIn(bytes, from, origin, context.signal)), from };
}

function isFile(path: string): boolean {
  try {
    return inputKind(path) === 'file';
  } catch {
    return false; // out of reach, or through a link that others made
  }
}
