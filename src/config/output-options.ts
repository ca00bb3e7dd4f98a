import { flag, value } from '../core/options/option.ts';
import { parseFileMode, parseFileOwner } from '../fs/publish/attributes.ts';

// How files are written, for every command that publishes some.

export const modeOption = value({
  description: 'the mode of what is written; unset, 0440 for secrets and 0444 for content',
  placeholder: 'OCTAL',
  parse: parseFileMode,
});

export const ownerOption = value({
  description: 'the owner of what is written, in numbers',
  placeholder: 'UID:GID',
  parse: parseFileOwner,
});

export const allowDiskOption = flag({
  description: 'let secrets be written to a volume that is not in memory (tmpfs)',
});
