import { isIP } from 'node:net';

import type { DerElement } from '../../clients/x509/der.ts';
import {
  checkName,
  checkObjectId,
  damaged,
  javaTags as tags,
  onlyElement,
  DerParts,
  primitive,
  tagged,
} from './java-der.ts';

/** GeneralNames (RFC 5280, 4.2.1.6), at least one. @param what for messages @throws NotForJava */
export function checkGeneralNames(body: Uint8Array, what: string): void {
  const names = new DerParts(body, what);
  if (names.left === 0) throw damaged(what);
  for (const name of names.rest()) checkGeneralName(name, what, isUri, [4, 16]);
}

/** A name of a GeneralSubtree, where an address has a mask, and a URI is a host. @throws NotForJava */
export function checkSubtreeName(name: DerElement, what: string): void {
  checkGeneralName(name, what, (text) => isHostName(text.replace(/^\./, '')), [8, 32]);
}

function checkGeneralName(
  { tag, body }: DerElement,
  what: string,
  uri: (text: string) => boolean,
  addressSizes: readonly number[],
): void {
  const text = Buffer.from(body).toString('latin1');
  const right = ((): boolean => {
    switch (tag) {
      case tagged(0): {
        const other = new DerParts(body, what);
        checkObjectId(other.next(), what);
        other.next(tagged(0));
        other.end();
        return true;
      }
      case primitive(1):
        return isMail(text);
      case primitive(2):
        return /^[\x21-\x7e]+$/.test(text); // `DNSName` looks at no more of what it reads
      case tagged(4):
        checkName(onlyElement(body, tags.sequence, what), what);
        return true;
      case primitive(6):
        return uri(text);
      case primitive(7):
        return addressSizes.includes(body.length);
      case primitive(8):
        checkObjectId({ tag: tags.objectId, body, whole: body }, what);
        return true;
      default:
        return false; // X.400 and EDI: not seen in practice
    }
  })();
  if (!right) throw damaged(what);
}

/** `sun.security.x509.DNSName`, where it stands in a URI. */
function isHostName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*$/.test(text);
}

/** `RFC822Name.parseName`; with a leading dot or without `@` in a constraint. */
function isMail(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text) && !/(?:^|@)\.?$/.test(text);
}

/** What java.net.URI takes, without its rarer signs, and with a host that `DNSName` takes or that is an address. */
function isUri(text: string): boolean {
  const found =
    /^[A-Za-z][A-Za-z0-9+.-]*:(?:\/\/([A-Za-z0-9.-]+)(?::\d{1,5})?(?=[/?#]|$))?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/.exec(
      text,
    );
  if (found === null || text.endsWith(':')) return false;
  const [, host] = found;
  if (host === undefined) return !text.includes('://');
  return isHostName(host) ? /[A-Za-z]/.test(host.split('.').at(-1)?.[0] ?? '') || isIP(host) === 4 : false;
}
