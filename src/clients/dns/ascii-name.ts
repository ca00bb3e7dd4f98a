/** What ends a host in a URL: no letter of a name. */
const endsHost = /[/?#@:\\]/;

/**
 * A host's name as DNS has it: beyond ASCII, in punycode (RFC 5891); empty where that cannot be. A name in ASCII comes
 * back as it is, unchecked.
 */
export function asciiName(host: string): string {
  if (isAscii(host)) return host;
  // Not domainToASCII: node:url would be loaded at every start.
  return endsHost.test(host) ? '' : (URL.parse(`http://${host}`)?.hostname ?? '');
}

/** By code, not by a pattern of Unicode classes, which costs milliseconds to compile at every start. */
function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
