import { sourceOptions } from '../../clients/sources/options.ts';
import { allowDiskOption, modeOption, ownerOption } from '../../config/output-options.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  flag,
  list,
  parseText,
  secret,
  text,
  value,
  valueOr,
  type Values,
} from '../../core/options/option.ts';
import { parsePin, parseShownBy } from './server-flags.ts';

const certificateSources = {
  add: list({
    description:
      'certificates to trust: a file (PEM with one or several, DER, or the cacerts of a Java image), a folder of such files, as a ConfigMap is mounted, or a source of fetch-config: vault:, aws-sm:, gcp-sm:, azure-kv:, https:',
    placeholder: 'PATH|SOURCE',
    parse: parseText,
  }),
  system: flag({
    description: 'also trust the roots of the image that this runs in, else those that initbox brings',
  }),
  base: text({
    description:
      'also trust what this bundle, folder or store has, for example that of the application’s image',
    placeholder: 'PATH',
    insteadOf: ['system'],
  }),
  'from-server': value({
    description:
      'look at the certificates that a TLS server shows, which proves nothing about who it is, and print them as JSON; to trust one of them, give --pin or --unverified',
    placeholder: 'HOST[:PORT]',
    parse: parseShownBy,
  }),
  pin: list({
    description: 'sha256:HEX of a certificate that --from-server must show; it is this one that is trusted',
    placeholder: 'HEX',
    parse: parsePin,
  }),
  unverified: flag({
    description: 'trust the last certificate that --from-server shows, whoever that server is',
    insteadOf: ['pin'],
  }),
};

const trustOutputs = {
  bundle: text({ description: 'write a PEM bundle', placeholder: 'PATH', writes: true }),
  'hash-dir': text({
    description:
      'write a folder as c_rehash and openssl rehash make it: one file for each certificate, named by the hash of its subject',
    placeholder: 'DIR',
    writes: true,
  }),
  pkcs12: text({ description: 'write a truststore (PKCS12)', placeholder: 'PATH', writes: true }),
  jks: text({ description: 'write a truststore (JKS), for old Java', placeholder: 'PATH', writes: true }),
};

const keyOptions = {
  key: text({
    description: 'a private key (PEM or DER; PKCS#8, PKCS#1 or SEC1) for a keystore',
    placeholder: 'PATH',
  }),
  cert: text({ description: 'the certificate of --key, with its chain', placeholder: 'PATH' }),
  'key-password': secret({ description: 'the password of --key, where that is encrypted' }),
  'key-password-env': value({
    description: 'the variable that holds the password of --key',
    placeholder: 'VARIABLE',
    parse: parseText,
    insteadOf: ['key-password'],
  }),
  'key-pkcs12': text({
    description: 'write a keystore (PKCS12) of --key',
    placeholder: 'PATH',
    writes: true,
  }),
  'key-jks': text({
    description: 'write a keystore (JKS) of --key, for old Java; it protects the key poorly',
    placeholder: 'PATH',
    writes: true,
  }),
  alias: valueOr({
    description: 'the name of the key in its keystore, in small letters',
    placeholder: 'NAME',
    parse: parseAlias,
    fallback: 'key',
  }),
};

/** How what --add names is reached: whatever a source gives, certificates are no secret. */
export const { secret: _secret, public: _public, ...reachOptions } = sourceOptions;

export const trustOptions = {
  ...certificateSources,
  ...trustOutputs,
  ...keyOptions,
  password: secret({ description: 'the password of the stores that are written' }),
  'password-env': value({
    description: 'the variable that holds the password of the stores',
    placeholder: 'VARIABLE',
    parse: parseText,
    insteadOf: ['password'],
  }),
  ...reachOptions,
  mode: modeOption,
  owner: ownerOption,
  'allow-disk': allowDiskOption,
  'dry-run': flag({
    description: 'read everything, write nothing, and print certificates, names and sizes as JSON',
  }),
};
export type TrustOptions = Values<typeof trustOptions>;

/** Java makes small letters of what its programs ask for, by rules of Unicode that differ between versions. */
function parseAlias(given: string): string {
  if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/.test(given))
    throw new Error(
      `${quotedValue(given, 100)} is not an alias: up to 100 letters, digits and signs of ASCII`,
    );
  return given.toLowerCase();
}
