/** What answers does not speak the protocol: something else may listen there before the server does. */
export class NotPostgres extends Error {
  override readonly name = 'NotPostgres';

  /** @param bytes what it said first */
  constructor(bytes: Buffer, problem?: string) {
    const said = saidBy(bytes) ?? (problem === undefined ? '' : `: ${problem}`);
    super(`what answers there is not a PostgreSQL server${said}`);
  }
}

/** The name of the protocol, or the first line where it is text. */
function saidBy(bytes: Buffer): string | undefined {
  if (isMySql(bytes)) return '; it says that it is MySQL or MariaDB';
  // A record of type alert, of version 3.x (RFC 8446, 5.1).
  if (bytes[0] === 0x15 && bytes[1] === 3) return '; it answers with a TLS alert';
  const line = /^[ -~]{3,60}/.exec(bytes.toString('latin1', 0, 60))?.[0];
  return line === undefined ? undefined : `; it says ${JSON.stringify(line)}`;
}

/**
 * The first packet of MySQL: a length of three bytes, lowest first, number 0, then protocol 10 and a version, or 255 and
 * an error (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets.html). The length
 * can be any byte, `S` and `N` too, so the whole packet is looked at.
 */
function isMySql(bytes: Buffer): boolean {
  if (bytes.length < 8 || bytes[2] !== 0 || bytes[3] !== 0) return false;
  if (bytes.readUIntLE(0, 3) + 4 !== bytes.length) return false;
  if (bytes[4] === 0xff) return true;
  return bytes[4] === 10 && /^\d+\.[ -~]*\0/.test(bytes.toString('latin1', 5, 80));
}

/**
 * The text of an error in version 2 of the protocol, which has no length: a server that cannot start a process for the
 * connection says `Ecould not fork new process for connection: …`.
 */
export function errorOfVersion2(bytes: Buffer): string | undefined {
  return /^E([ -~]{5,})/.exec(bytes.toString('latin1', 0, 200))?.[1];
}

/** A greeting that begins with the byte of an answer to the request for TLS, and is another protocol’s as a whole. */
export function isForeignGreeting(bytes: Buffer): boolean {
  // RFC 4253, 4.2
  return isMySql(bytes) || /^SSH-\d/.test(bytes.toString('latin1', 0, 5));
}
