// Progress on a terminal: a line for each target, which is redrawn; and nothing of it anywhere else.
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { freePort } from '../../support/ports.ts';
import { programCommand, runInitbox, runToDeadline, terminationLog } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { startOnTerminal, type TerminalOptions } from '../../support/terminal.ts';
import { nodePath, projectDirectory, requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const escape = '\u001b';
const away = 'file:/nonexistent/file';

/** What was written until it matched, and to the end that SIGTERM makes. */
async function outputUntil(
  pattern: RegExp,
  args: readonly string[],
  options: TerminalOptions = {},
): Promise<string> {
  await using run = startOnTerminal(args, options);
  await run.waitFor(({ output }) => pattern.test(output));
  run.kill('SIGTERM');
  const { status, output } = await run.exit;
  expect(status).toBe(143);
  return output;
}

const progressLine = /^\S+Z info +wait: 0\/1 ready; /m;

describe.skipIf(requireOrSkip('progress on a terminal', whyMissing('python3', 'python3')))(
  'on a terminal',
  () => {
    test('one line for each target is redrawn until all are there, and the last line is told once', async () => {
      const folder = temporaryDirectory('terminal');
      const [one, other] = [join(folder.path, 'one'), join(folder.path, 'other')];
      await using run = startOnTerminal(['wait', `file:${one}`, `file:${other}`], { columns: 300 });
      await run.waitFor(({ seen }) =>
        /^… file:\S+one [1-9]\d?s.*\n… file:\S+other [1-9]\d?s.*\n$/.test(seen),
      );
      writeFileSync(one, '');
      await run.waitFor(({ seen }) => /^✔ file:\S+one .*\n… file:\S+other .*\n$/.test(seen));
      writeFileSync(other, 'content');
      const { status, seen, output } = await run.exit;
      expect(status).toBe(0);
      expect(seen).toMatch(
        /^✔ file:\S+one \S+, \d+ attempts: is there.*\n✔ file:\S+other \S+, \d+ attempts: is there.*\n\S+Z info {2}wait: file:\S+one [^\n]*file:\S+other [^\n]* after [\s\S]*\n$/,
      );
      expect(output).toContain(`${escape}[33m…${escape}[m`);
      expect(output).toContain(`${escape}[32m✔${escape}[m`);
      expect(output).not.toContain('ready');
      expect(output).not.toContain(`${escape}[?`);
    });

    test('a deadline leaves the block as it was, and tells why below', async () => {
      await using run = startOnTerminal(['wait-tcp', `127.0.0.1:${await freePort()}`, '--timeout', '4s']);
      const { status, seen } = await run.exit;
      expect(status).toBe(124);
      expect(seen).toMatch(
        /^… 127\.0\.0\.1:\d+ \ds, \d+ attempts: connection refused \(127\.0\.0\.1\)\n\S+Z error initbox wait-tcp: gave up after 4s/,
      );
      expect(seen).not.toContain('info');
    });

    test('what will never be there is told by its sign', async () => {
      await using run = startOnTerminal(['wait', `127.0.0.1:${await freePort()}?max-attempts=2`, away]);
      const { status, seen } = await run.exit;
      expect(status).toBe(124);
      expect(seen).toMatch(/^✘ 127\.0\.0\.1:\d+ \S+, 2 attempts, stage tcp: connection refused.*\n… file:/);
    });

    test.each([
      ['^C', 130],
      ['SIGTERM', 143],
    ])('%s ends it at once, on a line of its own', async (how, wanted) => {
      await using run = startOnTerminal(['wait', away]);
      await run.waitFor(({ seen }) => seen.startsWith('… '));
      if (how === '^C') run.type('\u0003');
      else run.kill('SIGTERM');
      const { status, seen } = await within(promptly, run.exit);
      expect(status).toBe(wanted);
      expect(seen).toMatch(/^… file:\S+ .*\n(\^C)?\S+Z error initbox wait: ended by SIG(INT|TERM)/);
      expect(seen.endsWith('\n')).toBe(true);
    });

    test('SIGKILL leaves the cursor on a line of its own', async () => {
      await using run = startOnTerminal(['wait', away]);
      await run.waitFor(({ seen }) => / [1-9]\d?s, /.test(seen));
      run.kill('SIGKILL');
      const { seen } = await run.exit;
      expect(seen).toMatch(/^… file:\S+ [^\n]*\n$/);
    });

    test('a warning in between stands above it', async () => {
      const folder = temporaryDirectory('terminal');
      const preload = join(folder.path, 'warn.mjs');
      writeFileSync(preload, "setTimeout(() => process.emitWarning('in between'), 700).unref();\n");
      const [node = '', ...rest] = programCommand();
      await using run = startOnTerminal(['wait', away, '--timeout', '3s'], {
        program: [node, '--import', preload, ...rest],
      });
      const { seen } = await run.exit;
      expect(seen).toMatch(/^\(node:\d+\) Warning: in between\n[^…]*\n… file:[^\n]*\n\S+Z error/);
      expect(seen.match(/^… file/gm)).toHaveLength(1);
    });

    test('what a hostile server says drives no terminal, and a long word is cut', async () => {
      const talks = (socket: Socket): void => void socket.on('error', () => {}).write(words);
      const words = `${escape}[2J${escape}[9A${escape}]0;title\u0007\r\nforged\u202e${'漢'.repeat(300)}\r\n`;
      const server = createServer(talks).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      await using run = startOnTerminal(
        ['wait', `127.0.0.1:${port}?expect=220`, `127.0.0.1:${port}?send=${'x'.repeat(500)}&expect=221`],
        { columns: 60 },
      );
      await run.waitFor(({ seen }) => / [1-9]\d?s, /.test(seen));
      const before = run.seen();
      run.kill('SIGTERM');
      expect((await run.exit).status).toBe(143);
      server.close();
      expect(before).toMatch(/^… 127[^\n]*…\n… 127[^\n]*…\n$/);
      for (const line of before.split('\n')) expect(line.length).toBeLessThan(60);
    });

    test('a secret in a URL is shown no more than in the log', async () => {
      const port = await freePort();
      await using run = startOnTerminal(['wait', `redis://app:hunter2hunter2@127.0.0.1:${port}`]);
      await run.waitFor(({ seen }) => / [1-9]\d?s, /.test(seen));
      run.kill('SIGTERM');
      const { output } = await run.exit;
      expect(output).not.toContain('hunter2');
    });

    test('a resize draws it anew on the new width', async () => {
      await using run = startOnTerminal(['wait', `${away}${'x'.repeat(40)}`, '--timeout', '30s'], {
        columns: 100,
      });
      await run.waitFor(({ seen }) => / [1-9]\d?s, /.test(seen));
      run.resize(40, 24);
      await run.waitFor(({ seen }) => {
        const lines = seen.trimEnd().split('\n');
        return lines.length === 2 && (lines[1] as string).length < 40;
      });
      run.resize(100, 24);
      await run.waitFor(({ seen }) => /^… .*\n… .{60,}\n$/.test(seen));
      run.resize(100, 1);
      await run.waitFor(({ output }) => progressLine.test(output));
      run.kill('SIGTERM');
      expect((await run.exit).status).toBe(143);
    });

    test('a terminal that is stopped (^S) holds up neither the deadline nor SIGTERM', async () => {
      await using deadline = startOnTerminal(['wait', away, '--timeout', '2s']);
      await deadline.waitFor(({ seen }) => seen.startsWith('… '));
      deadline.type('\u0013');
      expect((await within(2000 + promptly, deadline.exit)).status).toBe(124);
      await using told = startOnTerminal(['wait', away]);
      await told.waitFor(({ seen }) => seen.startsWith('… '));
      told.type('\u0013');
      told.kill('SIGTERM');
      expect((await within(promptly, told.exit)).status).toBe(143);
    });

    test('one that was stopped for a while shows how things stand once it goes on', async () => {
      await using run = startOnTerminal(['wait', away]);
      await run.waitFor(({ seen }) => / [1-9]\d?s, /.test(seen));
      run.type('\u0013');
      await new Promise((resolve) => setTimeout(resolve, 2500));
      run.type('\u0011');
      await run.waitFor(({ seen }) => / ([4-9]|\d\d)s, /.test(seen));
      expect(run.seen().match(/^… file/gm)).toHaveLength(1);
      run.kill('SIGTERM');
      await run.exit;
    });

    test('the command after -- begins on a line of its own, and hears of nothing', async () => {
      const folder = temporaryDirectory('terminal');
      const file = join(folder.path, 'one');
      await using run = startOnTerminal([
        'wait',
        `file:${file}`,
        '--',
        'sed',
        '-n',
        's/^\\(Sig[IC]..\\):\\t/\\1 /p',
        '/proc/self/status',
      ]);
      await run.waitFor(({ seen }) => seen.startsWith('… '));
      writeFileSync(file, '');
      const { status, seen } = await run.exit;
      expect(status).toBe(0);
      expect(seen).toMatch(/^✔ [^\n]*\n[^\n]*Z info [\s\S]*\nSigIgn 0+\nSigCgt 0+\n$/);
    });

    test('without colours where NO_COLOR is set', async () => {
      const colours = async (NO_COLOR: string): Promise<boolean> => {
        const output = await outputUntil(/….* file/, ['wait', away], { env: { NO_COLOR } });
        return output.includes(`${escape}[3`);
      };
      expect(await colours('1')).toBe(false);
      expect(await colours('')).toBe(true);
    });

    test('lines where there are more targets than rows', async () => {
      const targets = Array.from({ length: 10 }, (_, number) => `${away}${number}`);
      const args = ['wait', ...targets];
      expect(await outputUntil(/…/, args, { rows: 11 })).not.toContain('ready; ');
      expect(await outputUntil(/Z info {2}wait: 0\/10 ready; /, args, { rows: 10 })).not.toContain(escape);
    });

    test.each<[string, readonly string[], { env?: Record<string, string>; columns?: number; rows?: number }]>(
      [
        ['TERM=dumb', [], { env: { TERM: 'dumb' } }],
        ['an empty TERM', [], { env: { TERM: '' } }],
        ['no columns', [], { columns: 0, rows: 0 }],
        ['one column', [], { columns: 1 }],
        ['--log-format json', ['--log-format', 'json'], {}],
        ['--log-level debug', ['--log-level', 'debug'], {}],
      ],
    )('lines with %s', async (_what, more, options) => {
      expect(await outputUntil(/0\/1 ready; /, ['wait', away, ...more], options)).not.toContain(escape);
    });

    test('nothing with --log-level warn, until it is over', async () => {
      await using run = startOnTerminal(['wait', away, '--log-level', 'warn', '--timeout', '2s']);
      expect((await run.exit).output).toMatch(/^\S+Z error/);
    });

    test('lines for steps of a plan', async () => {
      const folder = temporaryDirectory('terminal');
      const plan = join(folder.path, 'plan.yaml');
      writeFileSync(plan, `steps:\n  - name: a\n    uses: wait\n    targets: ['${away}']\n`);
      expect(await outputUntil(/0\/1 ready; /, ['run', plan])).not.toContain(escape);
    });

    test('lines for a job in the background, whose shell has the terminal', async () => {
      const line = programCommand()
        .map((word) => `'${word}'`)
        .join(' ');
      await using run = startOnTerminal(
        ['-c', `set -m; ${line} wait ${away} --timeout 3s & wait $!; echo "it ended with $?"`],
        { program: ['/bin/sh'] },
      );
      const { output } = await run.exit;
      expect(output).toContain('it ended with 124');
      expect(output).toMatch(/0\/1 ready; /);
      expect(output).not.toContain(escape);
    });
  },
);

describe('where standard error is no terminal', () => {
  test('the lines are as ever, and nothing for terminals is loaded', async () => {
    const folder = temporaryDirectory('terminal');
    cpSync(join(projectDirectory, 'dist'), join(folder.path, 'dist'), { recursive: true });
    rmSync(join(folder.path, 'dist/parts/terminal.js'));
    const program = [nodePath(), join(folder.path, 'dist/initbox.js')];
    const { status, stderr } = await runToDeadline(['wait', '--timeout', '1s', away], {
      answered: (text) => progressLine.test(text),
      program,
      env: { TERM: 'xterm', COLUMNS: '80', FORCE_COLOR: '1' },
    });
    expect(status).toBe(124);
    expect(stderr).toMatch(progressLine);
    expect(stderr).not.toContain(escape);
    const log = terminationLog();
    const silent = await runInitbox(
      [
        '-c',
        `exec "$@" 2>/dev/null`,
        'sh',
        ...program,
        'wait',
        away,
        '--timeout',
        '1s',
        '--termination-log',
        log.path,
      ],
      { program: ['/bin/sh'], env: { TERM: 'xterm' } },
    );
    expect(silent.status).toBe(124);
    expect(log.read()).toMatch(/^initbox wait: gave up after 1s/);
  });
});
