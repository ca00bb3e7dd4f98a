// Completion in real shells: a line and a tab are typed, and the shell says which words it then has.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';

const folder = mkdtempSync('/tmp/initbox-completion-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  mkdirSync(join(folder, 'files', 'migrations'), { recursive: true });
  writeFileSync(join(folder, 'files', 'plan with space.yaml'), '');
});

interface Pressed {
  readonly words: readonly string[] | null;
  readonly screen: string;
}

async function press(shell: string, line: string): Promise<Pressed> {
  const script = join(folder, shell);
  const { stdout } = await promisify(execFile)('python3', [
    join(import.meta.dirname, 'press.py'),
    shell,
    script,
    join(folder, 'files'),
    line,
  ]);
  return JSON.parse(stdout) as Pressed;
}

describe.each(['bash', 'zsh', 'fish'])('%s', (shell) => {
  const missing = requireOrSkip(`completion in ${shell}`, whyMissing(shell, shell));

  beforeAll(async () => {
    const { status, stdout, stderr } = await runInitbox(['completion', shell]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    writeFileSync(join(folder, shell), stdout);
  });

  test.skipIf(missing).each([
    ['a command', 'initbox wait-t', ['wait-tcp']],
    ['a flag', 'initbox chown --pol', ['chown', expect.stringMatching(/^--policy=?$/)]],
    ['a switch that turns off', 'initbox chown --no-rec', ['chown', '--no-recursive']],
    ['a value', 'initbox chown --policy ro', ['chown', '--policy', 'root-mismatch']],
    ['a value after =', 'initbox wait-tcp --log-format=j', ['wait-tcp', '--log-format=json']],
    [
      'a folder for a flag',
      'initbox migrate-with-lock --sql mi',
      ['migrate-with-lock', '--sql', expect.stringMatching(/^migrations\/?$/)],
    ],
    ['a file with a space', 'initbox run pl', ['run', 'plan with space.yaml']],
    ['a topic of help', 'initbox help exit', ['help', 'exit-codes']],
    ['a schema', 'initbox schema fe', ['schema', 'fetch-spec']],
    ['a shell', 'initbox completion z', ['completion', 'zsh']],
    [
      'a file for what takes over',
      'initbox wait-tcp db:1 -- cat pl',
      ['wait-tcp', 'db:1', '--', 'cat', 'plan with space.yaml'],
    ],
    [
      'no flag for what takes over',
      'initbox wait-tcp db:1 -- cat --time',
      ['wait-tcp', 'db:1', '--', 'cat', '--time'],
    ],
    [
      'nothing where only the user can know',
      'initbox wait-tcp --timeout pl',
      ['wait-tcp', '--timeout', 'pl'],
    ],
  ])('completes %s', async (_what, line, words) => {
    expect((await press(shell, line)).words).toEqual(['initbox', ...words]);
  });

  test.skipIf(missing)('evaluates nothing of what was typed', async () => {
    // The line is never sent off: it is completed, and then becomes a comment.
    await press(shell, 'initbox run "$(touch evaluated)" pl');
    expect(existsSync(join(folder, 'files', 'evaluated'))).toBe(false);
  });
});

test.each([
  [[], /no shell was given; for example: initbox completion bash/],
  [['tcsh'], /argument 1: "tcsh" is not one of bash, zsh, fish/],
  [['bash', 'zsh'], /2 words were given where one shell is taken/],
])('completion %j: a usage error, and nothing printed', async (words, message) => {
  const { status, stdout, stderr } = await runInitbox(['completion', ...words]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
