// The client alone: the package's entry point brings a pool and a look for native bindings with it.
declare module 'pg/lib/client.js' {
  import type { Client } from 'pg';
  const client: typeof Client;
  export default client;
}

declare module 'pg/lib/crypto/cert-signatures.js' {
  /** @throws Error where the certificate does not say which hash it is signed with */
  export function signatureAlgorithmHashFromCertificate(certificate: Buffer): string;
}
