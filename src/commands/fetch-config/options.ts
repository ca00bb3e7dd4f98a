import { requestOptions } from '../../clients/http/options.ts';
import { vaultMethods, type VaultMethod } from '../../clients/vault/settings.ts';
import { formats } from '../../kernel/formats/format.ts';
import {
  choiceParser,
  flag,
  integer,
  oneOf,
  secret,
  text,
  value,
  valueOr,
  type Values,
} from '../../kernel/options/option.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { parseMode, parseOwner } from '../../kernel/publish/attributes.ts';
import { parseSize } from '../../kernel/size.ts';
import { mergeRules } from './merge.ts';

const outputOptions = {
  to: text({ description: 'the file to write, or with --format files the folder', placeholder: 'PATH' }),
  format: oneOf({ description: 'how the fields are written', choices: formats, fallback: 'raw' }),
  env: flag({ description: 'put the fields into the environment of the command after -- instead of files' }),
  spec: text({ description: 'a YAML file that names several files and their sources', placeholder: 'FILE' }),
  mode: value({
    description: 'the mode of what is written; unset, 0440 for secrets and 0444 for content',
    placeholder: 'OCTAL',
    parse: parseMode,
  }),
  owner: value({
    description: 'the owner of what is written, in numbers',
    placeholder: 'UID:GID',
    parse: parseOwner,
  }),
  merge: oneOf({
    description: 'what to do where two sources have one key',
    choices: mergeRules,
    fallback: 'error',
  }),
  'allow-disk': flag({ description: 'let secrets be written to a volume that is not in memory (tmpfs)' }),
  'dry-run': flag({
    description: 'log in and read everything, write nothing, and print names, sizes and versions as JSON',
  }),
};

const vaultOptions = {
  'vault-addr': text({ description: 'the address of Vault; unset, VAULT_ADDR', placeholder: 'URL' }),
  'vault-namespace': text({
    description: 'the namespace in Vault; unset, VAULT_NAMESPACE',
    placeholder: 'NAME',
  }),
  'vault-auth': value<VaultMethod>({
    description:
      'how to log in; unset, by what is given: a token, a role ID, a user, else --vault-role by kubernetes',
    placeholder: vaultMethods.join('|'),
    choices: vaultMethods,
    parse: choiceParser(vaultMethods),
  }),
  'vault-mount': text({
    description: 'the path of the auth method; unset, the method’s name',
    placeholder: 'PATH',
  }),
  'vault-role': text({ description: 'the role to log in as (kubernetes, jwt, cert)', placeholder: 'NAME' }),
  'vault-jwt-file': text({
    description: 'the token to log in with (kubernetes, jwt); unset, the service account’s',
    placeholder: 'PATH',
  }),
  'vault-role-id': text({ description: 'the role ID to log in with (approle)', placeholder: 'ID' }),
  'vault-secret-id': secret({ description: 'the SecretID to log in with (approle)' }),
  'vault-user': text({ description: 'the user to log in as (userpass)', placeholder: 'NAME' }),
  'vault-password': secret({ description: 'the password to log in with (userpass)' }),
  'vault-token': secret({ description: 'a token that is there already; unset, VAULT_TOKEN' }),
  'vault-unwrap': flag({
    description: 'the token or SecretID given is a wrapping token, to be unwrapped first',
  }),
};

const awsOptions = {
  'expect-role': text({ description: 'stop unless AWS knows us as this role', placeholder: 'NAME|ARN' }),
  'aws-imds': flag({
    description: 'take the role of the node (IMDS) where no other credentials are configured',
  }),
};

const httpOptions = {
  ...requestOptions,
  sha256: value({ description: 'the sum that the body must have', placeholder: 'HEX', parse: parseSha256 }),
  'etag-file': text({
    description:
      'keep the ETag of an http or https source here, so that a rerun downloads nothing that has not changed',
    placeholder: 'PATH',
  }),
  'content-type': text({ description: 'the media type that the answer must have', placeholder: 'TYPE' }),
  'max-size': valueOr({
    description: 'the most that one body or file may have',
    placeholder: 'SIZE',
    parse: parseSize,
    fallback: '16Mi',
  }),
  redirects: valueOr({
    description: 'how many redirects to follow',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 20 }),
    fallback: '1',
  }),
  'cross-origin': flag({ description: 'follow redirects to other hosts too, without the credentials' }),
};

const unpackOptions = {
  unpack: flag({
    description: 'unpack an archive (tar, tar.gz, tar.zst, zip) into the folder --to, all of it or nothing',
  }),
  'strip-components': valueOr({
    description: 'leave out so many leading components of each name in the archive',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 100 }),
    fallback: '0',
  }),
  'max-unpacked': valueOr({
    description: 'the most that an archive may unpack to, or have itself',
    placeholder: 'SIZE',
    parse: parseSize,
    fallback: '4Gi',
  }),
  'max-entries': valueOr({
    description: 'the most entries that an archive may have',
    placeholder: 'COUNT',
    parse: integer({ min: 1, max: 10_000_000 }),
    fallback: '200000',
  }),
};

const waitingOptions = {
  interval: value({
    description: 'a fixed pause between attempts; unset, 2 % of the time waited, from 100ms to 1s',
    placeholder: 'DURATION',
    parse: (given: string) => {
      const milliseconds = parseDuration(given);
      if (milliseconds < 1) throw new Error(`"${given}" is too short; write at least 1ms`);
      return milliseconds;
    },
  }),
};

export const fetchOptions = {
  ...outputOptions,
  ...vaultOptions,
  ...awsOptions,
  ...httpOptions,
  ...unpackOptions,
  ...waitingOptions,
};
export type FetchOptions = Values<typeof fetchOptions>;

function parseSha256(given: string): string {
  const sum = given.replace(/^sha256:/i, '');
  if (!/^[0-9a-f]{64}$/i.test(sum))
    throw new Error(`"${given}" is not a SHA-256 sum: 64 hexadecimal digits, as sha256sum prints them`);
  return sum.toLowerCase();
}
