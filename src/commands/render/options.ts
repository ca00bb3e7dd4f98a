import { sourceOptions } from '../../clients/sources/options.ts';
import { allowDiskOption, modeOption, ownerOption } from '../../config/output-options.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  flag,
  list,
  oneOf,
  parseText,
  text,
  value,
  choiceParser,
  type Values,
} from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import { checks, type Check } from './check/check.ts';
import { parseVariable } from './data/request.ts';
import { parseDelimiters } from './delimiters.ts';
import { parseBlockName, parseComment, parseLineBeside } from './into/block-options.ts';

export const languages = ['env', 'liquid', 'consul-template'] as const;

export const renderOptions = {
  to: text({
    description:
      'the file to write, or the folder: where it is one, ends with /, or several templates are given',
    placeholder: 'PATH',
    writes: true,
  }),
  language: oneOf({
    description: 'what the templates are written in; consul-template is that of Vault Agent, too',
    choices: languages,
    fallback: 'env',
  }),
  data: list({
    description:
      'a source of fetch-config or a file (.yaml, .json, .properties, .env) under a name; without a name its keys are the names',
    placeholder: '[NAME=]SOURCE|FILE',
    parse: parseText,
  }),
  var: list({ description: 'a variable and its value', placeholder: 'NAME=VALUE', parse: parseVariable }),
  only: list({
    description: 'replace this variable and no others, which stay as they are (env)',
    placeholder: 'NAME',
    parse: parseName,
  }),
  delimiters: value({
    description:
      'what encloses a reference instead of ${ }, or {{ }} and {% %}, for templates that hold other templates',
    placeholder: "'OPEN CLOSE'",
    parse: parseDelimiters,
  }),
  check: value<Check>({
    description: 'write nothing unless the result parses',
    placeholder: checks.join('|'),
    choices: checks,
    parse: choiceParser(checks),
  }),
  block: value({
    description:
      'write into the file that is there, between two marker lines with this name, in place of what stood there; the rest stays as it is',
    placeholder: 'NAME',
    parse: parseBlockName,
  }),
  comment: value({
    description: 'what makes comments of the markers of --block; unset, #',
    placeholder: "'OPEN [CLOSE]'",
    parse: parseComment,
  }),
  after: value({
    description: 'where the block is not there yet, it goes after this line; unset, to the end',
    placeholder: 'LINE',
    parse: parseLineBeside,
    insteadOf: ['before'],
  }),
  before: value({
    description: 'where the block is not there yet, it goes before this line',
    placeholder: 'LINE',
    parse: parseLineBeside,
    insteadOf: ['after'],
  }),
  'append-lines': flag({
    description: 'write into the file that is there: add the lines that it does not have, at its end',
    insteadOf: ['block'],
  }),
  mode: modeOption,
  owner: ownerOption,
  'allow-disk': allowDiskOption,
  'dry-run': flag({ description: 'render everything, write nothing, and print names and sizes as JSON' }),
  ...sourceOptions,
};
export type RenderOptions = Values<typeof renderOptions>;

/** @throws UsageError where nothing says where to write */
export function requiredTo({ to }: RenderOptions): string {
  if (to === undefined) throw new UsageError('nothing says where to write: give --to PATH');
  return to;
}

function parseName(given: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(given))
    throw new Error(`${quotedValue(given)} is not a variable name: letters, digits and _, no digit first`);
  return given;
}
