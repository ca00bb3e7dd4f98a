import { writePem } from '../../clients/x509/pem.ts';
import type { Content } from '../../config/formats/format.ts';
import { hashFolder } from './hash-folder.ts';
import { jksKeyStore, jksTrustStore } from './jks.ts';
import type { TrustTarget } from './outputs.ts';
import { pkcs12KeyStore, pkcs12TrustStore } from './pkcs12.ts';
import type { KeyEntry, TrustEntry } from './store.ts';
import type { Trusted } from './trusted.ts';

/** What everything that is written is made of; what was not asked for is not there. */
export interface Material {
  readonly trusted: Trusted | undefined;
  readonly keyEntry: KeyEntry | undefined;
  readonly password: string | undefined;
}

/** Makes one of the forms. The same material gives the same bytes. */
export function formOf(target: TrustTarget, material: Material): Content {
  return forms[target](material);
}

const forms: Readonly<Record<TrustTarget, (material: Material) => Content>> = {
  bundle: ({ trusted }) =>
    asFile(
      Buffer.from(
        certificatesOf(trusted)
          .map(({ bytes }) => writePem('CERTIFICATE', bytes))
          .join(''),
      ),
    ),
  'hash-dir': ({ trusted }) => ({ kind: 'fields', fields: hashFolder(certificatesOf(trusted)) }),
  pkcs12: ({ trusted, password }) => asFile(pkcs12TrustStore(trustEntries(trusted), given(password))),
  jks: ({ trusted, password }) => asFile(jksTrustStore(trustEntries(trusted), given(password))),
  'key-pkcs12': ({ keyEntry, password }) => asFile(pkcs12KeyStore(given(keyEntry), given(password))),
  'key-jks': ({ keyEntry, password }) => asFile(jksKeyStore(given(keyEntry), given(password))),
};

function certificatesOf(trusted: Trusted | undefined): Trusted['certificates'] {
  return given(trusted).certificates;
}

/** The options were checked: what a form needs is there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a form without what it is made of');
  return value;
}

function asFile(value: Uint8Array): Content {
  return { kind: 'value', value };
}

function trustEntries(trusted: Trusted | undefined): readonly TrustEntry[] {
  const { certificates, aliases, notForJava } = given(trusted);
  return certificates.flatMap((one, index) =>
    notForJava.has(one) ? [] : [{ alias: aliases[index] ?? '', certificate: one.bytes, date: one.validFrom }],
  );
}
