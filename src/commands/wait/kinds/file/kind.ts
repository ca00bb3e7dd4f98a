import { flag, list, parseText } from '../../../../core/options/option.ts';
import { parsePattern } from '../../../../core/pattern.ts';
import { refuseUnexpanded } from '../../../../core/template-variables.ts';
import { defineKind } from '../../kind.ts';
import { attemptFile } from './attempt.ts';

const fileOptions = {
  absent: flag({ description: 'it must not be there' }),
  'not-empty': flag({ description: 'a file must have content, a folder an entry' }),
  contains: list({
    description: 'a text that the file must hold',
    placeholder: 'TEXT',
    parse: parseText,
  }),
  matches: list({
    description: 'a regular expression that must match somewhere in the file',
    placeholder: 'REGEX',
    parse: parsePattern,
  }),
};

export const file = defineKind({
  options: fileOptions,
  read({ address, options }) {
    const path = pathIn(address);
    const { absent, contains, matches } = options;
    if (absent && (options['not-empty'] || contains.length > 0 || matches.length > 0))
      throw new Error('absent cannot be combined with what the file must hold');
    const demands = { path, absent, notEmpty: options['not-empty'], texts: contains, patterns: matches };
    return {
      name: `file:${path}`,
      open: ({ clock }) => ({
        name: `file:${path}`,
        stages: ['assertion'],
        attempt: ({ signal }) => attemptFile(demands, { clock, signal }),
      }),
    };
  },
});

/** `file:/shared/ready` or `file:///shared/ready`. @throws Error that says what is accepted */
function pathIn(address: string): string {
  const written = address.replace(/^file:(?:\/\/(?=\/))?/i, '');
  if (written === '') throw new Error('there is no path behind file:; write file:/shared/ready');
  if (written.startsWith('//'))
    throw new Error('a file is on no host; write file:/shared/ready or file:///shared/ready');
  let path: string;
  try {
    path = decodeURIComponent(written);
  } catch {
    throw new Error('the path has a % that begins no percent-encoding; write a % as %25');
  }
  if (path.includes('\0')) throw new Error('the path has a NUL in it, which no path can');
  refuseUnexpanded('path', path, 'the path');
  return path;
}
