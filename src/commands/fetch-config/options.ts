import { sourceOptions } from '../../clients/sources/options.ts';
import { formats } from '../../kernel/formats/format.ts';
import { flag, oneOf, text, value, type Values } from '../../kernel/options/option.ts';
import { parseMode, parseOwner } from '../../kernel/publish/attributes.ts';
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

const bodyOptions = {
  sha256: value({ description: 'the sum that the body must have', placeholder: 'HEX', parse: parseSha256 }),
  'etag-file': text({
    description:
      'keep the ETag of an http or https source here, so that a rerun downloads nothing that has not changed',
    placeholder: 'PATH',
  }),
  'content-type': text({ description: 'the media type that the answer must have', placeholder: 'TYPE' }),
};

export const fetchOptions = {
  ...outputOptions,
  ...bodyOptions,
  ...sourceOptions,
};
export type FetchOptions = Values<typeof fetchOptions>;

function parseSha256(given: string): string {
  const sum = given.replace(/^sha256:/i, '');
  if (!/^[0-9a-f]{64}$/i.test(sum))
    throw new Error(`"${given}" is not a SHA-256 sum: 64 hexadecimal digits, as sha256sum prints them`);
  return sum.toLowerCase();
}
