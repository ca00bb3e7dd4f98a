import { parseService } from '../../clients/dns/service.ts';
import { vaultOptions } from '../../clients/sources/options.ts';
import { allowDiskOption, ownerOption } from '../../config/output-options.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  duration,
  durationOr,
  flag,
  list,
  oneOf,
  text,
  value,
  valueOr,
  type Values,
} from '../../core/options/option.ts';
import { parseFileMode } from '../../fs/publish/attributes.ts';

const service = (description: string) =>
  list({
    description,
    placeholder: 'NAME[.NAMESPACE]',
    parse: (given: string) => parseService(given, 'initbox certificate'),
  });

/** Kinds of keys that are made. */
export const keyTypes = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const;

const issuerOptions = {
  'ca-dir': text({
    description: 'a folder with the authority that signs (ca.crt, ca.key); made where it is not there',
    placeholder: 'DIR',
    writes: true,
    insteadOf: ['ca-cert', 'ca-key'],
  }),
  'ca-duration': durationOr({
    description: 'how long an authority that is made in --ca-dir is valid',
    fallback: '87600h',
  }),
  'ca-cert': text({
    description: 'the certificate of the authority that signs, with its chain, as a Secret is mounted',
    placeholder: 'PATH',
  }),
  'ca-key': text({ description: 'the private key of --ca-cert', placeholder: 'PATH' }),
  issuer: value({
    description:
      'a role of Vault’s PKI engine that signs: vault:pki/sign/ROLE; the private key stays in the pod',
    placeholder: 'vault:PATH',
    parse: parseIssuer,
  }),
  ...vaultOptions,
};

export const certificateOptions = {
  to: text({
    description: 'the folder for tls.crt, tls.key and ca.crt; it appears whole',
    placeholder: 'DIR',
    writes: true,
  }),
  service: service('a Service of this cluster: NAME, NAME.NAMESPACE, NAME.NAMESPACE.svc and the full name'),
  'headless-service': service('the same, and a wildcard for the pods behind it'),
  'key-type': oneOf({ description: 'the kind of private key', choices: keyTypes, fallback: 'ec-p256' }),
  duration: durationOr({ description: 'how long the certificate is valid', fallback: '8760h' }),
  'renew-before': duration({
    description:
      'make a new certificate where the old one ends within this time; unset, a third of its lifetime',
  }),
  ...issuerOptions,
  'base-name': valueOr({
    description: 'the name of the certificate’s and the key’s file, before .crt and .key',
    placeholder: 'NAME',
    parse: parseBaseName,
    fallback: 'tls',
  }),
  combined: flag({
    description: 'also write the key and the certificates as one file (.pem), as HAProxy and MongoDB read it',
  }),
  mode: value({
    description: 'the mode of the private key; unset, 0440; certificates have 0444',
    placeholder: 'OCTAL',
    parse: parseKeyMode,
  }),
  owner: ownerOption,
  'allow-disk': allowDiskOption,
  'dry-run': flag({
    description: 'write nothing, and print as JSON whether the certificate would be kept, and why not',
  }),
};
export type CertificateOptions = Values<typeof certificateOptions>;

/** @returns the path in Vault */
function parseIssuer(given: string): string {
  const [, path] = /^vault:((?:[\w.-]+\/)+sign\/[\w.-]+)$/.exec(given) ?? [];
  if (path !== undefined && !path.split('/').some((segment) => segment === '..' || segment === '.'))
    return path;
  throw new Error(
    /\/issue\//.test(given)
      ? `${quotedValue(given, longestSource)} makes the private key in Vault; write sign in place of issue, as in vault:pki/sign/ROLE`
      : `${quotedValue(given, longestSource)} is not a role that signs; write vault:pki/sign/ROLE`,
  );
}

/** Characters of vault:MOUNT/sign/ROLE. */
const longestSource = 120;

function parseBaseName(given: string): string {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}$/.test(given) || given === 'ca')
    throw new Error(
      `${quotedValue(given)} is not the start of a file’s name: letters, digits, ".", "_" and "-", and not ca`,
    );
  return given;
}

/** Whoever may change a key could put his own there, so that no run would keep it. */
function parseKeyMode(given: string): number {
  const mode = parseFileMode(given);
  if ((mode & 0o022) !== 0)
    throw new Error(
      `${quotedValue(given)} lets others change the private key; write 0400, 0440 or 0600, say`,
    );
  return mode;
}
