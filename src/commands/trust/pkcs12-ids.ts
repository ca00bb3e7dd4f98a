import { derObjectId } from '../../clients/x509/der.ts';

/** Object identifiers of PKCS #12 and what it stands on, as they are encoded. */
export const pkcs12Ids = {
  data: derObjectId('1.2.840.113549.1.7.1'),
  encryptedData: derObjectId('1.2.840.113549.1.7.6'),
  keyBag: derObjectId('1.2.840.113549.1.12.10.1.2'),
  certificateBag: derObjectId('1.2.840.113549.1.12.10.1.3'),
  x509: derObjectId('1.2.840.113549.1.9.22.1'),
  friendlyName: derObjectId('1.2.840.113549.1.9.20'),
  localKey: derObjectId('1.2.840.113549.1.9.21'),
  // Java trusts what has it, and nothing else (sun.security.pkcs12.PKCS12KeyStore); the value is anyExtendedKeyUsage.
  trustedKeyUsage: derObjectId('2.16.840.1.113894.746875.1.1'),
  anyUsage: derObjectId('2.5.29.37.0'),
  pbes2: derObjectId('1.2.840.113549.1.5.13'),
  pbkdf2: derObjectId('1.2.840.113549.1.5.12'),
  hmacSha256: derObjectId('1.2.840.113549.2.9'),
  aes256Cbc: derObjectId('2.16.840.1.101.3.4.1.42'),
  sha256: derObjectId('2.16.840.1.101.3.4.2.1'),
} as const;
