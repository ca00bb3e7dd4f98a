/** How the other end is verified and what we show it. PEM texts. */
export interface TlsSettings {
  /** Authorities that are trusted instead of those that come with Node. */
  readonly authorities?: string;
  readonly certificate?: string;
  readonly key?: string;
  /** The name that the certificate must be for, where it is not the URL's host. */
  readonly serverName?: string;
  /** False trusts anybody. */
  readonly verify: boolean;
}

/** What node:tls takes. */
export function tlsOptions(settings: TlsSettings): {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
} {
  return {
    rejectUnauthorized: settings.verify,
    ...(settings.authorities === undefined ? {} : { ca: settings.authorities }),
    ...(settings.certificate === undefined ? {} : { cert: settings.certificate }),
    ...(settings.key === undefined ? {} : { key: settings.key }),
    ...(settings.serverName === undefined ? {} : { servername: settings.serverName }),
  };
}
