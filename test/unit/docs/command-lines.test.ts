import { expect, test } from 'vitest';

import { warningsAbout } from './interpreted.ts';
import { codeIn, pages } from './pages.ts';
import { initboxArguments } from './shell-words.ts';

/** Blocks in which command lines stand: a shell's, and those that name no language. */
const shells = new Set(['', 'sh', 'console']);

/** `initbox run: …`, `initbox: …` and `initbox didn’t …` are what it says, not what is typed. */
const isOutput = (line: string): boolean => /^initbox(( [a-z-]+)?:| didn’t) /.test(line);

function argumentsIn(line: string): string[] | undefined {
  if (isOutput(line)) return undefined;
  const [, substituted] = /<\(([^)]*)\)/.exec(line) ?? [];
  return initboxArguments(substituted ?? line);
}

/** Without what is no command line of ours. */
function commandLines(lines: readonly { readonly place: string; readonly line: string }[]) {
  return lines.flatMap(({ place, line }): (readonly [string, readonly string[]])[] => {
    const argv = argumentsIn(line);
    return argv === undefined ? [] : [[`${place}: ${line}`, argv]];
  });
}

const inBlocks = commandLines(
  pages.flatMap(({ blocks }) =>
    blocks
      .filter(({ language }) => shells.has(language))
      .flatMap(({ place, text }) =>
        text
          .replace(/\\\n\s*/g, '')
          .split('\n')
          .map((line) => ({ place, line })),
      )
      // Output may hold anything, such as an odd number of quotes.
      .filter(({ line }) => /\binitbox\b/.test(line) && !/^(\S+:)+ /.test(line)),
  ),
);

/** In the text, and in the cells of tables, where a bar is escaped. What names a command alone is no command line. */
const inText = commandLines(
  pages.flatMap(({ path, prose }) =>
    codeIn(prose.replaceAll(String.raw`\|`, '|'))
      .filter((code) => code.startsWith('initbox ') && code !== 'initbox help COMMAND')
      .map((line) => ({ place: path, line })),
  ),
).filter(([, argv]) => argv.length > 1);

test('there are some', () => {
  expect(inBlocks.length).toBeGreaterThan(60);
  expect(inText.length).toBeGreaterThan(20);
});

test.each(inBlocks)('%s', async (_line, argv) => expect(await warningsAbout(argv)).toEqual([]));

test.each(inText)('%s (in the text)', async (_line, argv) => expect(await warningsAbout(argv)).toEqual([]));
