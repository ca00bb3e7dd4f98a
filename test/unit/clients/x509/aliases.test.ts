import { rootCertificates } from 'node:tls';

import { expect, test } from 'vitest';

import { aliasesOf, readCertificate } from '../../../../src/clients/x509/certificate.ts';
import { pemBlocks, pemBytes } from '../../../../src/clients/x509/pem.ts';

const found = pemBlocks(Buffer.from(rootCertificates.join('\n'))).map((block) =>
  readCertificate(pemBytes(block), 'roots'),
);

test('are words that Java takes for themselves, and none of them twice', () => {
  const aliases = aliasesOf(found);
  expect(aliases.length).toBe(rootCertificates.length);
  expect(new Set(aliases).size).toBe(aliases.length);
  for (const alias of aliases) expect(alias).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{12}$/);
});

test('stay whatever else is there, in any order', () => {
  const some = found.slice(10, 20).toReversed();
  const all = new Map(aliasesOf(found).map((alias, index) => [found[index], alias]));
  expect(aliasesOf(some)).toEqual(some.map((one) => all.get(one)));
});

test('of two whose fingerprints begin alike are the whole fingerprints', () => {
  const [one] = found;
  if (one === undefined) throw new Error('there are no roots');
  const twin = { ...one, fingerprint: `${one.fingerprint.slice(0, 12)}${'0'.repeat(52)}` };
  expect(aliasesOf([one, twin])).toEqual(
    [one, twin].map(({ slug, fingerprint }) => `${slug}-${fingerprint}`),
  );
});
