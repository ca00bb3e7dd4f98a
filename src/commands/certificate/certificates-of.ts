import { type FoundCertificate, NotCertificate, readCertificate } from '../../clients/x509/certificate.ts';
import { PemDamaged, pemBlocks, pemBytes } from '../../clients/x509/pem.ts';

/** A file without certificates, or with a damaged one; the message has its path. */
export class NoCertificates extends Error {
  override readonly name = 'NoCertificates';
}

/** More than any chain has. */
const most = 100;

/** Reads the certificates of a file in PEM. @param path for messages @throws NoCertificates */
export function certificatesOf(bytes: Uint8Array, path: string): readonly FoundCertificate[] {
  try {
    const blocks = pemBlocks(bytes).filter(({ label }) => label === 'CERTIFICATE');
    if (blocks.length === 0) throw new NoCertificates(`${path} holds no certificate in PEM`);
    if (blocks.length > most) throw new NoCertificates(`${path} holds more than ${most} certificates`);
    return blocks.map((block) => readCertificate(pemBytes(block), `${path}:${block.line}`));
  } catch (error) {
    if (error instanceof PemDamaged)
      throw new NoCertificates(`${path}:${error.line}: ${error.message}`, { cause: error });
    if (error instanceof NotCertificate)
      throw new NoCertificates(`${path} holds a block that ${error.message}`, { cause: error });
    throw error;
  }
}
