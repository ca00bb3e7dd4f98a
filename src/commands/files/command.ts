import { defineCommand, each } from '../../core/command.ts';
import { filesExample, parseActions } from './action.ts';
import { filesOptions } from './options.ts';
import { checkFiles, runFiles } from './run.ts';

const readEach = each('action', (text) => parseActions(text), {
  min: 1,
  example: filesExample,
});

export const files = defineCommand({
  name: 'files',
  summary: 'make, move, link and remove files and folders on a volume',
  description: `Does what is listed, in the order in which it is written: mkdir:PATH makes a folder and what is missing above it; touch:PATH an empty file; mode:MODE:PATH sets permissions of that path alone; move:FROM=TO renames; link:TARGET=PATH makes a symbolic link; remove:PATH removes a file, or a folder with all that is in it. {a,b} stands for several paths; the last part of remove: and mode: may be a pattern (*, ?, [a-z]). What is right already stays as it is: a second run changes nothing.

No link is followed that others may have made, also none that is swapped in meanwhile. Nothing is removed but below a mounted volume, and never the volume itself or what is mounted below.

Needs no root and no capability where the user may write.`,
  examples: [
    filesExample,
    "initbox files 'mkdir:/data/{logs,cache}' 'remove:/data/{lost+found,*.tmp}'",
    'initbox files move:/data/config.new=/data/config link:releases/v2=/data/current',
  ],
  positionals: {
    usage: 'ACTION…',
    name: 'actions',
    description:
      'mkdir:PATH, touch:PATH, mode:MODE:PATH, move:FROM=TO, link:TARGET=PATH or remove:PATH, done in this order',
    parse: (given, sink) => readEach(given, sink).flat(),
  },
  options: filesOptions,
  afterDashes: 'successor',
  timeout: '1h',
  check: checkFiles,
  run: runFiles,
});
