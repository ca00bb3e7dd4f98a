/** A certificate under its name in a store. */
export interface TrustEntry {
  /** ASCII, small letters. */
  readonly alias: string;
  readonly certificate: Uint8Array;
  /** When it begins to be valid: of the dates that a store can have the one that stays. */
  readonly date: Date;
}

/** A private key under its name in a store. */
export interface KeyEntry {
  readonly alias: string;
  /** PKCS#8, DER. */
  readonly key: Uint8Array;
  /** The key's certificate first, then each one's issuer. */
  readonly chain: readonly Uint8Array[];
  readonly date: Date;
}
