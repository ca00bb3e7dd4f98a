import process from 'node:process';

/** A client's certificate and its private key, PEM texts. */
export interface ClientPair {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Which part of a client's certificate and key OpenSSL does not take; undefined where it takes them. node:tls costs 10 ms of CPU
 * to load, and most runs have no such pair.
 */
export function unusablePart({ certificate, key }: ClientPair): 'certificate' | 'key' | 'pair' | undefined {
  const { createSecureContext } = process.getBuiltinModule('node:tls');
  const takes = (options: Parameters<typeof createSecureContext>[0]): boolean => {
    try {
      createSecureContext(options);
      return true;
    } catch {
      return false;
    }
  };
  if (!takes({ cert: certificate })) return 'certificate';
  if (!takes({ key })) return 'key';
  return takes({ cert: certificate, key }) ? undefined : 'pair';
}
