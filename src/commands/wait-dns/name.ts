import { asciiName } from '../../clients/dns/ascii-name.ts';
import { isIP } from '../../clients/dns/ip-address.ts';
import { isDnsName } from '../../core/dns-name.ts';
import { quotedHostPort } from '../../core/host-port.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/**
 * Checks a name by RFC 1035, 2.3.4 (labels of at most 63 bytes, 253 in all); letters beyond ASCII become punycode. An
 * address is taken too: it resolves to itself, as everywhere.
 * @throws Error that says what is wrong, without what may hold a password
 */
export function parseName(text: string): string {
  if (text === '') throw new Error('the name is empty');
  if (isIP(text)) return text;
  if (/^[\d.]+$/.test(text)) throw new Error(`${quoted(text)} is not an IPv4 address`);
  if (text.includes('://')) throw new Error('that is a URL; give its host alone, or use wait-tcp');
  if (text.includes('@')) throw new Error('that has a user in it; give the name alone');
  const shown = quotedHostPort(text).trim() || 'the name';
  refuseUnexpanded('word', text, shown);
  if (/:\d+$/.test(text) && !/:.*:/.test(text))
    throw new Error(`${shown} has a port; give the name alone, or use wait-tcp`);
  const ascii = asciiName(text);
  if (!isDnsName(ascii)) {
    throw new Error(
      `${shown} is not a DNS name: labels have 1 to 63 letters, digits, hyphens or underscores, a name at most 253`,
    );
  }
  return ascii;
}

export function noName(): UsageError {
  return new UsageError('no name was given; for example: initbox wait-dns --service postgres-service');
}
