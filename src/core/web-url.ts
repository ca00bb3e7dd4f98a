/**
 * True where a text begins as an http or https URL does. `new URL` also takes `https:host`, `https:/host` and `https:\\host`,
 * which are mistakes: what was meant is not known, and a user and password may stand in it.
 */
export function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^/\\]/i.test(text.trim()) && !hasDoubledScheme(text) && URL.canParse(text);
}

/** `http://http://host` and `http://https:80`: to a parser of URLs, the second scheme is a host, with an empty port. */
export function hasDoubledScheme(text: string): boolean {
  return /^\s*[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?https?(?::|\/\/)/i.test(text);
}

/** `HOST:PORT` in place of a URL, also with a user and password in front, and nothing that is left of a scheme. */
export function isBareAuthority(text: string): boolean {
  const [authority = '', rest = ''] = /^([^/\\?#]*)(.*)$/s.exec(text.trim())?.slice(1) ?? [];
  return authority !== '' && !/^https?:|^:/i.test(authority) && !/^[/\\]{2}|^\\|@/.test(rest);
}
