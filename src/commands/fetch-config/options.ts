import { roleOptions } from '../../clients/kubernetes/role-options.ts';
import { sourceOptions } from '../../clients/sources/options.ts';
import { formats } from '../../config/formats/format.ts';
import { allowDiskOption, modeOption, ownerOption } from '../../config/output-options.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  flag,
  integer,
  oneOf,
  parseText,
  secret,
  text,
  value,
  valueOr,
  type Values,
} from '../../core/options/option.ts';
import { parseSize } from '../../core/size.ts';
import { mergeRules } from './merge.ts';

const outputOptions = {
  to: text({
    description: 'the file to write, or with --format files the folder',
    placeholder: 'PATH',
    writes: true,
  }),
  format: oneOf({ description: 'how the fields are written', choices: formats, fallback: 'raw' }),
  env: flag({ description: 'put the fields into the environment of the command after -- instead of files' }),
  spec: text({ description: 'a YAML file that names several files and their sources', placeholder: 'FILE' }),
  mode: modeOption,
  owner: ownerOption,
  merge: oneOf({
    description: 'what to do where two sources have one key',
    choices: mergeRules,
    fallback: 'error',
  }),
  optional: flag({
    description: 'leave out sources that do not exist, instead of failing; a refusal still fails',
  }),
  'allow-disk': allowDiskOption,
  'dry-run': flag({
    description: 'log in and read everything, write nothing, and print names, sizes and versions as JSON',
  }),
};

const bodyOptions = {
  sha256: value({
    description:
      'the SHA-256 checksum that the body must have, or the http, https or file address of a list (SHA256SUMS) with it',
    placeholder: 'HEX|ADDRESS',
    parse: parseSha256,
  }),
  'etag-file': text({
    description:
      'keep the ETag of an http or https source here, so that a rerun downloads nothing that has not changed',
    placeholder: 'PATH',
    writes: true,
  }),
  decompress: flag({
    description:
      'unpack a source that is one compressed file (gzip, zstd), as gunzip does; --sha256 is the sum of what is downloaded, and --max-size bounds both',
  }),
  'content-type': text({ description: 'the media type that the answer must have', placeholder: 'TYPE' }),
};

const unpackOptions = {
  unpack: flag({
    description:
      'unpack an archive (tar, tar.gz, tar.zst, zip) into the folder --to, all of it or nothing; unless --timeout is given it may take 1h, of which 5m without a byte',
  }),
  'strip-components': valueOr({
    description: 'strip this many leading components from each name in the archive',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 100 }),
    fallback: '0',
  }),
  'max-unpacked': valueOr({
    description: 'the largest size of an archive or a Git repository’s commit, packed or unpacked',
    placeholder: 'SIZE',
    parse: parseSize,
    fallback: '4Gi',
  }),
  'max-entries': valueOr({
    description: 'how many entries an archive or a commit may have',
    placeholder: 'COUNT',
    parse: integer({ min: 1, max: 10_000_000 }),
    fallback: '200000',
  }),
};

const gitOptions = {
  submodules: oneOf({
    description:
      'what to do about submodules of a Git repository: refuse fails and names the first, skip leaves their folders empty, fetch fetches them at the commits that are written down, those of other origins with --cross-origin alone',
    choices: ['refuse', 'skip', 'fetch'],
    fallback: 'refuse',
  }),
  'ssh-key': secret({
    description: 'the private key for git+ssh sources, as ssh-keygen writes it',
  }),
  'ssh-key-env': value({
    description: 'the variable that holds the private key',
    placeholder: 'VARIABLE',
    parse: parseText,
    insteadOf: ['ssh-key'],
  }),
  'ssh-passphrase': secret({ description: 'the passphrase of the private key' }),
  'known-hosts-file': text({
    description: 'the keys of the servers of git+ssh sources, as ssh-keyscan prints them',
    placeholder: 'PATH',
  }),
};

export const fetchOptions = {
  ...outputOptions,
  ...bodyOptions,
  ...unpackOptions,
  ...gitOptions,
  ...sourceOptions,
  ...roleOptions,
};
export type FetchOptions = Values<typeof fetchOptions>;

function parseSha256(given: string): string {
  // Of a list, which is read first.
  if (/^(https?|file):/i.test(given)) return given;
  const sum = given.replace(/^sha256:/i, '');
  if (!/^[0-9a-f]{64}$/i.test(sum))
    throw new Error(
      `${quotedValue(given, 80)} is not a SHA-256 sum: 64 hexadecimal digits, as sha256sum prints them, or the address of a list of sums (https://…/SHA256SUMS)`,
    );
  return sum.toLowerCase();
}
