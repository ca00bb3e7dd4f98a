import type { FoundCertificate } from '../../clients/x509/certificate.ts';
import { subjectHash } from '../../clients/x509/distinguished-name.ts';
import { writePem } from '../../clients/x509/pem.ts';

/**
 * The files of a folder in which OpenSSL finds an authority by its subject (SSL_CERT_DIR, `curl --capath`): those of one
 * hash are numbered, without a gap, at which a search would end (crypto/x509/by_dir.c).
 */
export function hashFolder(certificates: readonly FoundCertificate[]): ReadonlyMap<string, Uint8Array> {
  const counts = new Map<string, number>();
  return new Map(
    certificates.map(({ subject, bytes }) => {
      const hash = subjectHash(subject);
      const count = counts.get(hash) ?? 0;
      counts.set(hash, count + 1);
      return [`${hash}.${count}`, Buffer.from(writePem('CERTIFICATE', bytes))];
    }),
  );
}
