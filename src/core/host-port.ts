import { quoted } from './misplaced-secret.ts';
/** The parts of `host:port`, unchecked; an IPv6 address stands in brackets (RFC 3986, 3.2.2). */
export interface HostPort {
  /** What stands in brackets, without them. */
  readonly literal: string | undefined;
  /** Without brackets; empty where there is none. */
  readonly host: string;
  /** undefined where no colon stands behind the host. */
  readonly port: string | undefined;
}

/** Takes `host:port`, `host` or `[IPv6]:port` apart; undefined for any other form. */
export function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/s.exec(text);
  if (match === null) return undefined;
  const [, literal, name, port] = match;
  return { literal, host: literal ?? name ?? '', port };
}

/** A port by its digits; undefined for what is not a whole number from 1 to 65535. */
export function portIn(text: string): number | undefined {
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/**
 * What a message may quote of a text that should be HOST[:PORT] and is none: `"db:54321x"`, say, is not shown, since what
 * stands there may be a password whose `@` was percent-encoded, mistyped or lost. Shown is what has the characters of a
 * host, and digits for its port.
 * @returns the text in quotes and a blank behind it; empty where nothing may be shown
 */
export function quotedHostPort(text: string): string {
  return /^(?:[\w.-]*|\[[\da-f:.]*\])(?::-?\d*)?$/i.test(text) ? `${quoted(text)} ` : '';
}

/** `host:port` as people and URLs write it. */
export function shownHostPort(host: string | undefined, port: number | string | null | undefined): string {
  return `${host?.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The final dot of `api.ns.svc.cluster.local.` is for resolvers alone: RFC 6066, 3 forbids it in a server's name. */
export function withoutFinalDot(name: string): string {
  return name.replace(/(?<=[^.])\.$/, '');
}
