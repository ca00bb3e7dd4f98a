/** A label of at most 63 bytes (RFC 1035, 2.3.4); with underscores, as in the names of SRV records (RFC 2782). */
const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Whether a text in ASCII is a DNS name: at most 253 bytes (RFC 1035, 2.3.4), and a dot at its end. */
export function isDnsName(ascii: string): boolean {
  return (
    ascii.length <= 254 &&
    ascii
      .replace(/\.$/, '')
      .split('.')
      .every((one) => label.test(one))
  );
}
