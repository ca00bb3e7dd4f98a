import { isIP } from 'node:net';

import { quoted, quotedValue } from '../../core/misplaced-secret.ts';
import { derElement, readDer, readDerList } from './der.ts';
import { extensionIds, extensionOf } from './extensions.ts';

/** A name that a certificate is for. */
export interface AlternativeName {
  /** As it is compared: small letters, no final dot, IPv6 in its short form. */
  readonly text: string;
  /** As an element of the subjectAltName, DER (RFC 5280, 4.2.1.6). */
  readonly element: Buffer;
}

const dnsTag = 0x82;
const addressTag = 0x87;

/** What programs compare: letters, digits, `-`, and `_`, which some names in clusters have. */
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** Bytes of a whole name in DNS (RFC 1035, 2.3.4), as people write it. */
const longest = 253;

/** Reads a DNS name, with `*` as its first label or not, or an IP address. @throws Error that says what is accepted */
export function parseAlternativeName(given: string): AlternativeName {
  if (given === '') throw new Error('the name is empty');
  if (isIP(given) !== 0 && !given.includes('%')) return address(given);
  const text = given.toLowerCase().replace(/(?<=[^.])\.$/, '');
  const labels = text.split('.');
  const named = labels[0] === '*' ? labels.slice(1) : labels;
  if (text.length > longest || named.length === 0 || named.some((one) => !label.test(one)))
    throw new Error(
      `${quotedValue(given, 253)} is not a DNS name (*.NAME too; beyond ASCII in punycode) or an IP address`,
    );
  if (labels[0] === '*' && named.length < 2)
    throw new Error(
      `${quoted(given)}: programs take no wildcard before a single label; write *.NAME.NAMESPACE, say`,
    );
  if (/^\d+$/.test(named.at(-1) ?? ''))
    throw new Error(`${quoted(given)} looks like an IP address and is not a valid one`);
  return { text, element: derElement(dnsTag, Buffer.from(text)) };
}

function address(given: string): AlternativeName {
  if (isIP(given) === 4)
    return { text: given, element: derElement(addressTag, Buffer.from(given.split('.').map(Number))) };
  // The URL parser knows the one short form (RFC 5952).
  const text = new URL(`http://[${given}]/`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return { text, element: derElement(addressTag, bytes) };
}

/** Whether a certificate is for these names and no others, in whatever order. @throws NotDer */
export function hasNames(certificate: Uint8Array, names: readonly AlternativeName[]): boolean {
  const extension = extensionOf(certificate, extensionIds.alternativeNames);
  if (extension === undefined) return names.length === 0;
  const found = readDerList(readDer(extension).body).map(({ whole }) => Buffer.from(whole).toString('hex'));
  const wanted = names.map(({ element }) => element.toString('hex'));
  return found.toSorted().join() === wanted.toSorted().join();
}
