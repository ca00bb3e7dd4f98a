// Every value that is an address, a path, a name or a credential, found in the definitions of the commands themselves: what
// nobody replaced, and what is empty or blank, is refused in it, as a flag, a variable and a key of a plan, in the same words.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { interpret } from '../../../src/cli/interpret.ts';
import { commands } from '../../../src/commands/index.ts';
import type { AnyCommand } from '../../../src/core/command.ts';
import { allOptions } from '../../../src/core/options/all.ts';
import { meaningOf } from '../../../src/core/options/meaning.ts';
import { flagName, twinName, type Option } from '../../../src/core/options/option.ts';
import { UsageError } from '../../../src/core/outcome.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import { quote, undoAtDeath } from '../../support/undo.ts';
import { read } from '../commands/run/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'initbox-test-references-'));
undoAtDeath(`rm -rf ${quote(folder)}`);

/** What may stand in place of a value, and what is said of it. */
const texts: readonly (readonly [text: string, said: RegExp])[] = [
  [
    '$(X)',
    /(the variable X|a \$\(…\)) in it was not replaced by a value; Kubernetes replaces \$\((X|NAME)\) in args/,
  ],
  [
    '${X}',
    /(the variable X|a \$\{…\}) in it was not replaced by a value; Kubernetes replaces \$\((X|NAME)\) in args/,
  ],
  ['{{ .x }}', /template['’]s \{\{ (\.x|…) \}\} in it was not filled in/],
  ['<no value>', /"<no value>" in it is what a template writes where a value is missing/],
  ['', / is empty/],
  [' ', / is blank/],
  ['\t\n', / is blank/],
];

/** Enough for the words of each command to be read. */
const words: Readonly<Record<string, readonly string[]>> = {
  'wait-tcp': ['127.0.0.1:1'],
  'wait-dns': ['db.test'],
  'wait-http': ['http://127.0.0.1:1/'],
  'wait-postgres': ['postgres://app@127.0.0.1:1/app'],
  'create-database': ['app'],
  'fetch-config': ['env:HOME'],
  render: ['/nowhere/template'],
  chown: ['1:1', '/nowhere/tree'],
  copy: ['/nowhere/a', '/nowhere/b'],
  run: ['/nowhere/plan.yaml'],
  install: ['/nowhere'],
  files: ['mkdir:/nowhere/a'],
  sysctl: ['kernel.ostype=Linux'],
  certificate: ['shop.test'],
  schema: ['plan'],
  completion: ['bash'],
};

const all: readonly AnyCommand[] = await Promise.all(Object.values(commands).map((load) => load()));

/** The options of a command whose values mean something outside of the program. */
function meant(command: AnyCommand): [name: string, option: Option][] {
  return Object.entries(allOptions(command)).filter(([, option]) => {
    const meaning = meaningOf(option);
    return meaning !== undefined && meaning !== 'text' && meaning !== 'parsed';
  });
}

async function refusal(argv: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  try {
    await interpret(argv, environment, createRedactor());
  } catch (error) {
    if (error instanceof UsageError) return error.lines.join('\n');
    throw error;
  }
  return 'taken';
}

async function refusalOfPlan(step: object): Promise<string> {
  try {
    await read(JSON.stringify({ steps: [{ name: 'a', ...step }] }));
  } catch (error) {
    if (error instanceof UsageError) return error.lines.join('\n');
    throw error;
  }
  return 'taken';
}

const cases = all.flatMap((command) =>
  meant(command).map(
    ([name, option]) => [command.name, flagName(name, option), command, name, option] as const,
  ),
);

test('are many, of every command', () => {
  expect(cases.length).toBeGreaterThan(60);
  expect(Object.keys(commands).filter((name) => !cases.some(([of]) => of === name))).toEqual([]);
});

describe.each(cases)('%s --%s', (_, flag, command, name, option) => {
  const after = command.afterDashes === 'child' ? ['--', 'true'] : [];

  test.each(texts)('%j, as a flag and as a variable', async (text, said) => {
    const base = [command.name, ...(words[command.name] ?? [])];
    const asFlag = await refusal([...base, `--${flag}=${text}`, ...after]);
    expect(asFlag).toMatch(said);
    expect(asFlag).toMatch(`--${flag}`);
    const twin = twinName(name, option);
    // A list in a variable is parted by commas, and blanks around each part do not count.
    const asVariable = await refusal([...base, ...after], { [twin]: text });
    expect(asVariable).toMatch(option.kind === 'list' && text.trim() === '' ? / is (blank|empty)/ : said);
    expect(asVariable).toMatch(twin);
  });

  test.each(option.kind === 'secret' ? texts : [])('%j in the file', async (text, said) => {
    const path = join(folder, 'secret');
    writeFileSync(path, `${text}\n`);
    const found = await refusal([command.name, ...(words[command.name] ?? []), `--${flag}`, path, ...after]);
    expect(found).toMatch(said);
    expect(found).toMatch(path);
  });

  test.each(command.step === false || ['termination-log', 'log-level'].includes(name) ? [] : texts)(
    '%j, as a key of a plan',
    async (text, said) => {
      const found = await refusalOfPlan({
        uses: command.name,
        [flag]: option.kind === 'list' ? [text] : text,
      });
      expect(found).toMatch(said);
      expect(found).toMatch(flag);
    },
  );
});

/** The words of each command that are an address or a path. */
const positional = all.filter(
  ({ name, positionals }) => positionals !== undefined && !['schema', 'completion'].includes(name),
);

describe.each(positional.map((command) => [command.name, command] as const))(
  'the words of %s',
  (name, command) => {
    const good = words[name] ?? [];

    test.each(texts)('%j, each of them', async (text, said) => {
      for (const [index] of good.entries()) {
        const found = await refusal([name, ...good.with(index, text)]);
        expect([index, found]).toEqual([index, expect.stringMatching(said)]);
      }
    });

    test.each(command.step === false ? [] : texts)('%j, as keys of a plan', async (text, said) => {
      const keys = command.positionals?.keys ?? [{ key: command.positionals?.name ?? '', many: true }];
      for (const [index, { key }] of keys.entries()) {
        const step = Object.fromEntries(
          keys.map((one, at) => [one.key, at === index ? text : (good[at] ?? good[0])]),
        );
        expect([key, await refusalOfPlan({ uses: name, ...step })]).toEqual([
          key,
          expect.stringMatching(said),
        ]);
      }
    });
  },
);
